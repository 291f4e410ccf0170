"""Whatever a command is given: one clear line with its place, the exit code, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from fhirsvc import cli
from fhirsvc.cli import records as records_command

FILES = {
    "empty.json": b"",
    "half.json": b'[{"type": "client"',
    "twice.ndjson": b'{"type": "client", "type": "staff"}\n',
    "latin.ndjson": b'{"type": "client", "id": "\xe9"}\n',
    "nan.ndjson": b'{"type": "client", "id": NaN}\n',
    "deep.ndjson": b'{"type": ' + b"[" * 500 + b"]" * 500 + b"}\n",
    "list.ndjson": b"[1, 2]\n",
    "unknown.ndjson": b'{"type": "clint"}\n',
    "header.csv": b"id,nmae\nx,y\n",
    "quote.csv": b'id,name\n"x,y\n',
    "nul.ndjson": b'{"type": "client", "id": "\\u0000"}\n',
    "zip.ndjson": b"PK\x03\x04\xff\xfe\x00\x00",
    "notes.txt": b"hello",
}
FINDINGS = [name for name in FILES if name not in ("notes.txt",)]


@pytest.fixture(autouse=True)
def _files(shell):
    for name, data in FILES.items():
        (shell.folder / name).write_bytes(data)


@pytest.mark.parametrize("command", [["records", "check"], ["load"], ["map", "run"]])
@pytest.mark.parametrize("name", FINDINGS)
def test_a_broken_file_is_a_finding_with_its_line(shell, command, name):
    """Exit 1 and file:line in front; the bytes themselves are not echoed."""
    extra = ["--type", "client"] if name.endswith(".csv") else []
    result = shell(*command, name, *extra)
    assert result.exit_code == 1, result.output
    assert f"{name}:" in result.output
    assert "error" in result.output
    assert "clint" not in result.output


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["records", "check", "nowhere.ndjson"], 2, "nowhere.ndjson: cannot be read: No such file"),
        (["records", "check", "."], 2, "expected a file name ending in"),
        (["records", "check", "notes.txt"], 2, "notes.txt: expected a file name ending in"),
        (["records", "check"], 2, "Missing argument"),
        (["records", "chek", "x"], 2, "No such command"),
        (["records", "schema", "clint"], 2, "no such record type"),
        (["records", "check", "header.csv", "--type", "nothing"], 2, "no such record type"),
        (["nothing"], 2, "No such command"),
        (["map", "run", "unknown.ndjson", "--us-core", "5"], 2, "is not one of"),
        (["map", "run", "unknown.ndjson", "--jobs", "0"], 2, "0 is not in the range"),
        (["map", "run", "unknown.ndjson", "--trace", "--format", "bundle"], 2, "--trace goes with"),
        (["map", "run", "unknown.ndjson", "--to", "notes.txt"], 2, "notes.txt: cannot be made"),
        (["map", "check", "nowhere"], 2, "nowhere: no such folder of mappings"),
        (["codes", "lint", "nowhere"], 2, "nowhere: no such folder of mappings"),
        (["connect", "add", "Bad Name", "--url", "http://x"], 1, "connection.name: expected"),
        (["connect", "add", "x", "--url", "ftp://x"], 1, "connection.base_url: expected"),
        (["connect", "add", "x", "--url", "http://u:p@x"], 1, "connection.base_url: expected"),
        (["connect", "add", "x", "--url", "http://a b/"], 1, "connection.base_url: expected"),
        (["connect", "add", "x", "--url", "http://[::1/"], 1, "connection.base_url: expected"),
        (["connect", "add", "x", "--url", "http://x:99999/"], 1, "connection.base_url: expected"),
        (["connect", "add", "x", "--url", "http://x:0/"], 1, "connection.base_url: expected"),
        (["connect", "add", "x", "--url", "http://x", "--rate", "inf"], 1, "connection.rate"),
        (["connect", "add", "x", "--url", "http://x", "--auth", "basic"], 1, "connection.secret"),
        (["connect", "add", "x", "--url", "http://x", "--rate", "0"], 1, "connection.rate"),
        (["connect", "add", "x", "--url", "http://x", "--auth", "smart"], 1, "options.client_id"),
        (["connect", "set", "x", "--rate", "1"], 2, "connection x: no such connection"),
        (["keys", "retire", "x"], 2, "KID: no such key"),
        (["keys", "new", "--alg", "HS256"], 2, "is not one of"),
        (["connect", "test", "x"], 2, "connection x: no such connection"),
        (["sync", "now", "x"], 2, "connection x: no such connection"),
        (["sync", "pause", "x"], 2, "connection x: no such connection"),
        (["sync", "retry", "1"], 2, "delivery 1: no such delivery"),
        (["sync", "retry", "9223372036854775808"], 2, "is not in the range"),
        (["sync", "retry", "one"], 2, "is not a valid integer"),
        (["db", "check"], 1, "database: the schema is at nothing"),
        (["demo", "--once", "--db", "notes.txt"], 2, "wants a new file"),
        (["serve", "--port", "70000"], 2, "70000 is not in the range"),
        (["serve", "--host", "192.0.2.1"], 3, "192.0.2.1:8080: cannot listen"),
    ],
)
def test_a_mistake_is_said_on_one_line(shell, args, code, said):
    """What is wrong and where, with the exit code that the help promises."""
    result = shell(*args)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FHIRSVC_SWEEP_S", "soon", "setting sweep_s: "),
        ("FHIRSVC_LOG_LEVEL", "loud", "setting log_level: "),
        ("FHIRSVC_DATABASE_URL", "sqlite:////proc/nowhere/x.sqlite", "cannot open the file"),
    ],
)
def test_a_wrong_setting_is_named_not_repeated(shell, monkeypatch, name, value, said):
    """Its value may be a password."""
    monkeypatch.setenv(name, value)
    result = shell("sync", "status")
    assert result.exit_code in (1, 3)
    assert said in result.stderr
    assert "soon" not in result.stderr
    assert "loud" not in result.stderr


def test_a_database_that_is_none_is_one_line(shell, monkeypatch):
    """A file of something else where the database should be."""
    monkeypatch.setenv("FHIRSVC_DATABASE_URL", f"sqlite:///{shell.folder / 'notes.txt'}")
    (shell.folder / "notes.txt").write_bytes(b"not a database at all " * 100)
    result = shell("sync", "status")
    assert result.exit_code == 3
    assert result.stderr == "error: database: cannot be used (file is not a database)\n"


def test_an_unexpected_error_names_its_type_alone(shell, monkeypatch):
    """Its text may hold values; FHIRSVC_DEBUG=1 raises it in full."""

    def fail(*_):
        raise RuntimeError("Ellery")

    monkeypatch.setattr(records_command, "check_record", fail)
    (shell.folder / "c.ndjson").write_text("{}\n")
    result = shell("records", "check", "c.ndjson")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: unexpected RuntimeError; please report it")
    assert "Ellery" not in result.stderr
    monkeypatch.setenv("FHIRSVC_DEBUG", "1")
    loud = CliRunner().invoke(cli.main, ["records", "check", "c.ndjson"])
    assert isinstance(loud.exception, RuntimeError)


def test_a_reader_that_goes_away_is_no_error(shell, client_record):
    """``fhirsvc … | head -0`` is quiet."""
    file = shell.file("c.ndjson", *[client_record] * 2000)
    command = [sys.executable, "-m", "fhirsvc.cli", "map", "run", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141
    assert said == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_one_line(shell, client_record):
    """What cannot be written is said, wherever it goes."""
    file = shell.file("c.ndjson", *[client_record] * 200)
    command = [sys.executable, "-m", "fhirsvc.cli", "map", "run", str(file)]
    with open("/dev/full", "wb") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert run.returncode == 3
    assert run.stderr == b"error: files: No space left on device\n"


def test_help_and_check_start_without_the_rest():
    """No database, no engine, no web server is imported to check a record or print help."""
    heavy = "sqlalchemy dbos flask granian rich pydantic fhir requests".split()
    code = (
        "import sys\nfrom fhirsvc.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        f"found = [n for n in {heavy} if n in sys.modules]\n"
        "print('imported', found, file=sys.stderr)"
    )
    for args in (["--help"], ["records", "check", os.devnull, "--input-format", "ndjson"]):
        run = subprocess.run(
            [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
        )
        assert run.stderr.endswith("imported []\n"), run.stderr
