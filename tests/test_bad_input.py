"""Bad input through the door a person uses: one clear message with its place, an exit code.

No traceback, no "unexpected", and nothing of a record's values in what is printed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from shipped_clinic import ROOT, texts

from fhirsvc.cli import main

SECRET = "Rumpelstiltskin"  # stands where a person's data would
GOAL = json.loads((ROOT / "fixtures/goal/met/record.json").read_text(encoding="utf-8"))
FINE, FINDINGS, USAGE, OTHER_SIDE = 0, 1, 2, 3


def goal(**changed: object) -> bytes:
    """A goal of the demo clinic with some fields changed, as a line of NDJSON."""
    return json.dumps({**GOAL, **changed}).encode() + b"\n"


@dataclass(frozen=True)
class Bad:
    """What is wrong, the command, the message it gets, and what is on disk and in the settings."""

    name: str
    command: str
    exit: int
    says: str
    file: bytes | None = None  # of in.ndjson, or of the name that the command has
    stdin: bytes | None = None
    env: Mapping[str, str] = field(default_factory=dict)


CHECK = "records check in.ndjson"
CSV = "records check --type goal in.csv"
TYPES = "expected one of: client, staff"
# fmt: off
RECORDS = [
    Bad("no JSON", CHECK, FINDINGS, "in.ndjson:2:2: error: expected a name in double quotes",
        goal() + b"{oops\n"),
    Bad("a record cut short", CHECK, FINDINGS, "in.ndjson:1:94: error: this text has no closing",
        goal()[:100]),
    Bad("a word for a record", CHECK, FINDINGS, "in.ndjson:1:1: error: expected an object",
        json.dumps(SECRET).encode()),
    Bad("a list for a record", CHECK, FINDINGS, "in.ndjson:1:1: error: expected an object", b"[1]"),
    Bad("null for a record", CHECK, FINDINGS, "in.ndjson:1:1: error: expected an object", b"null"),
    Bad("bytes that are no text", CHECK, FINDINGS, "in.ndjson:1:3: error: is not UTF-8",
        b"\x00\x01\xff\xfe"),
    Bad("another encoding", CHECK, FINDINGS, "error: is not UTF-8",
        goal(statement=f"{SECRET} caf@").replace(b"@", b"\xe9")),
    Bad("NaN", CHECK, FINDINGS, "in.ndjson:1:6: error: NaN and Infinity are not JSON",
        b'{"a":NaN}'),
    Bad("a name twice", CHECK, FINDINGS, "in.ndjson:1:16: error: this name was already used at 1:2",
        b'{"type":"goal","type":"goal"}'),
    Bad("lists without end", CHECK, FINDINGS, "in.ndjson:1:61: error: is nested deeper than 60",
        b"[" * 100_000),
    Bad("a number without end", CHECK, FINDINGS, "error: this number is too large",
        goal(readiness=10**400)),
    Bad("JSON over several lines as NDJSON", CHECK, FINDINGS, "in.ndjson:1:2: error: expected",
        json.dumps(GOAL, indent=1).encode()),
    Bad("two values in a JSON file", "records check in.json", FINDINGS,
        "in.json:1:8: error: more follows after the end of the value", b'{"a":1}{"b":2}'),
    Bad("standard input", "records check -", FINDINGS, "<stdin>:1:2: error: expected a name",
        stdin=b"{"),
    Bad("no record type", CHECK, FINDINGS, "in.ndjson:1: $.type: error: is required",
        b'{"id":"x"}'),
    Bad("a type of no record", CHECK, FINDINGS, f"in.ndjson:1: $.type: error: {TYPES}",
        goal(type=SECRET)),
    Bad("a field of no record", CHECK, FINDINGS,
        "in.ndjson:2: $.statment: error: unknown field; did you mean 'statement'? [unknown]",
        goal() + goal(statment=SECRET)),
    Bad("a word of no list", CHECK, FINDINGS, "in.ndjson:1: $.lifecycle: error: expected one of:",
        goal(lifecycle=SECRET)),
    Bad("a day of no month", CHECK, FINDINGS, "in.ndjson:1: $.start_date: error: expected a date",
        goal(start_date="2026-02-30")),
    Bad("half a character", CHECK, FINDINGS, "error: half a surrogate pair [unreadable]",
        goal(statement=f"{SECRET}\ud83d")),
]
TABLES = [
    Bad("CSV of an unknown type", "records check in.csv", FINDINGS,
        "in.csv:2:1: error: the file needs a column 'type'", b"id,statement\n1,x\n"),
    Bad("CSV of a type that is none", "records check --type gaol in.csv", USAGE,
        "did you mean 'goal'?", b"id\n1\n"),
    Bad("a column of no field", CSV, FINDINGS, "in.csv:1:1: error: column 2: unknown field; did "
        "you mean 'statement'? [header]", f"id,statment\n1,{SECRET}\n".encode()),
    Bad("a column twice", CSV, FINDINGS, "in.csv:1:1: error: column 2: the same header",
        b"id,id\n1,2\n"),
    Bad("a cell too many", CSV, FINDINGS, "in.csv:2:1: error: has 3 cells; the header has 2",
        f"id,statement\n1,b,{SECRET}\n".encode()),
    Bad("CSV without a header", CSV, FINDINGS, "in.csv:1:1: error: is empty", b""),
    Bad("a quote without end", CSV, FINDINGS, "in.csv:2:1: error: a quote is not closed",
        f'id,statement\n1,"{SECRET}\n'.encode()),
]
FILES = [
    Bad("a file that is not there", CHECK, USAGE, "error: in.ndjson: cannot be read: No such file"),
    Bad("an ending of no format", "records check in.txt", USAGE,
        "error: in.txt: expected a file name ending in: .ndjson", b"x"),
    Bad("no file at all", "records check", USAGE, "Missing argument 'FILE...'"),
    Bad("a folder for a file", "records check --input-format ndjson .", USAGE,
        "error: .: cannot be read: Is a directory"),
    Bad("a schema of no type", "records schema gaol", USAGE, "did you mean 'goal'?"),
    Bad("a target that is a file", "map run --to in.ndjson in.ndjson", USAGE,
        "error: in.ndjson: cannot be made: File exists", goal()),
    Bad("a bad record to map", "map run in.ndjson", FINDINGS, "in.ndjson:2: $.statment: error: "
        "unknown field", goal() + goal(statment=SECRET)),
    Bad("a bad record to load", "load in.ndjson", FINDINGS, "2 records: 1 created, 1 refused",
        goal() + b"{oops\n"),
    Bad("a version of US Core", "map run --us-core 5 in.ndjson", USAGE, "'5' is not one of '6.1'"),
    Bad("a trace of a bundle", "map run --trace --format bundle in.ndjson", USAGE,
        "--trace goes with --format ndjson", goal()),
    Bad("no such command", "recrods", USAGE, "No such command 'recrods'"),
    Bad("no such command of a group", "records chekc", USAGE, "Did you mean 'check'?"),
]
RESOURCES = [
    Bad("a code outside the binding", "validate in.ndjson", FINDINGS, '"Patient.gender"',
        json.dumps({"resourceType": "Patient", "gender": SECRET}).encode()),
    Bad("no resource type", "validate in.ndjson", FINDINGS, '"resourceType"', b"{}"),
    Bad("no resource", "validate in.ndjson", FINDINGS, "expected an object", b"[1]"),
    Bad("an element of no resource", "validate in.ndjson", FINDINGS, "Patient",
        b'{"resourceType":"Patient","gendr":"male"}'),
]
SETTINGS = [
    Bad("a folder of mappings that is not there", "map check nowhere", USAGE,
        "error: nowhere: no such folder of mappings"),
    Bad("a folder of codes that is not there", "codes lint nowhere", USAGE,
        "error: nowhere: no such folder of mappings"),
    Bad("mappings set to nothing", "map run in.ndjson", USAGE,
        "error: nowhere: no such folder of mappings", goal(), env={"FHIRSVC_MAPPINGS": "nowhere"}),
    Bad("a setting of no list", "config show", FINDINGS, "error: setting log_level: String should",
        env={"FHIRSVC_LOG_LEVEL": "loud"}),
    Bad("a setting of no number", "config show", FINDINGS, "error: setting read_timeout_s: Input",
        env={"FHIRSVC_READ_TIMEOUT_S": "soon"}),
    Bad("a database of no kind", "sync status", OTHER_SIDE, "error: database: cannot be used",
        env={"FHIRSVC_DATABASE_URL": "rubbish"}),
    Bad("a connection by another protocol", "connect add x --url ftp://ehr", FINDINGS,
        "error: connection.base_url: expected: an http(s) URL"),
    Bad("a connection's name", "connect add Bad! --url http://ehr/fhir", FINDINGS,
        "error: connection.name: expected: lower-case letters"),
    Bad("a secret in the open", f"connect add x --url http://ehr --auth bearer --secret {SECRET}",
        FINDINGS, "error: connection.secret: expected: env:NAME or file:PATH"),
    Bad("no such connection", "connect test nobody", USAGE, "nobody: no such connection"),
    Bad("no such connection to pause", "sync pause nobody", USAGE, "nobody: no such connection"),
]
# fmt: on
CASES = [*RECORDS, *TABLES, *FILES, *RESOURCES, *SETTINGS]


@pytest.fixture(autouse=True)
def _an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case has a folder and a database of its own, and no setting of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FHIRSVC_DATABASE_URL", f"sqlite:///{tmp_path / 'db.sqlite'}")


def _run(command: list[str], **how: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, command, **how)  # type: ignore[arg-type]
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


@pytest.mark.parametrize("bad", CASES, ids=lambda b: b.name)
def test_bad_input_is_told(bad: Bad):
    """The message, its place and the exit code; no traceback and no value of the record."""
    if bad.file is not None:
        name = next((w for w in bad.command.split() if w.startswith("in.")), "in.ndjson")
        Path(name).write_bytes(bad.file)

    code, said = _run(bad.command.split(), input=bad.stdin, env=bad.env)

    assert bad.says in said
    assert bad.exit == code
    assert "Traceback" not in said
    assert "unexpected" not in said
    assert SECRET not in said.replace(bad.command, "")


# A file of the mappings, what is changed in it, and the line that `map check` prints first.
MAPPINGS = [
    ("goal/Goal.yaml", "{from: statement,", "{from: statment,",
     "goal/Goal.yaml:14:3: error: goal has no field 'statment'; did you mean 'statement'? "
     "[unknown-field]"),
    ("goal/Goal.yaml", "  startDate:", "\tstartDate:",
     "goal/Goal.yaml:16:1: error: found character '\\t' that cannot start any token [yaml]"),
    ("codes/referral_task_status.yaml", "prefer: {in-progress: scheduled}", "",
     "'prefer' must name one of them [inverse]"),
    ("instruments/phq-9.yaml", "range: [0, 27]", "range: [0, 26]",
     "instruments/phq-9.yaml:7:8: error: the highest total is not what the highest answers add "
     "up to [instrument]"),
    ("codes/systems.yaml", "loinc: http", "loinc: [http",
     "codes/systems.yaml:4:4: error: expected"),
    ("codes/sources.csv", "system,code", "sys,code",
     "codes/sources.csv:1:1: error: column 'system' is missing [missing-key]"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "line"), MAPPINGS)
def test_a_folder_of_mappings_with_a_mistake_is_told(file: str, old: str, new: str, line: str):
    """``map check`` prints the finding and exits 1; ``map run`` maps nothing."""
    for name, text in texts().items():
        path = Path("mine") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(old, new, 1) if name == file else text, encoding="utf-8")
    Path("in.ndjson").write_bytes(goal())

    code, said = _run(["map", "check", "mine"])
    ran, told = _run(["map", "run", "in.ndjson"], env={"FHIRSVC_MAPPINGS": "mine"})

    assert line in said.splitlines()[0]
    assert (FINDINGS, FINDINGS) == (code, ran)
    assert "resourceType" not in told
    assert "error" in told.splitlines()[0]
    assert "Traceback" not in said + told


def test_a_mapping_file_that_is_no_text_is_told():
    """Its name, and that it is not UTF-8."""
    Path("mine/goal").mkdir(parents=True)
    Path("mine/goal/Goal.yaml").write_bytes(b"\xff\xfe")

    code, said = _run(["map", "check", "mine"])

    assert (FINDINGS, "error: goal/Goal.yaml: not UTF-8\n") == (code, said)


def test_a_code_with_a_wrong_digit_is_told():
    """``codes lint`` names the place of a LOINC code that cannot be one."""
    for name, text in texts().items():
        path = Path("mine") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("76690-7", "76690-8"), encoding="utf-8")

    code, said = _run(["codes", "lint", "mine"])

    assert code == FINDINGS
    assert "client/Observation.yaml:12:39: error: '76690-8' is no LOINC code" in said


@pytest.mark.parametrize("config", ["a = = 1", "unheard_of = 1", "read_timeout_s = 'soon'"])
def test_a_bad_configuration_file_is_told(config: str):
    """The file or the setting is named; its value is not."""
    Path("fhirsvc.toml").write_text(config, encoding="utf-8")

    code, said = _run(["config", "show"])

    assert code == FINDINGS
    assert said.startswith(("error: fhirsvc.toml: not valid TOML", "error: setting "))
    assert "soon" not in said


def test_a_file_that_is_no_database_is_told(tmp_path: Path):
    """Exit 3: what stands there is not ours."""
    (tmp_path / "db.sqlite").write_bytes(b"not a database " * 500)

    assert (OTHER_SIDE, "error: database: cannot be used (file is not a database)\n") == _run(
        ["sync", "status"]
    )


def test_good_input_is_not_refused():
    """The counterpart: the same doors let a good record through."""
    Path("in.ndjson").write_bytes(goal())
    for command in (CHECK, "map run in.ndjson", "load in.ndjson", "map check", "codes lint"):
        assert _run(command.split())[0] == FINE
