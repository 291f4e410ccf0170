"""``map run`` over many records: a bar with an end, faults passed over, flat memory."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections import Counter

import orjson
import pytest

from fhirsvc import shipped
from fhirsvc.cli.inputs import Reading, total
from fhirsvc.mapping import runtime
from fhirsvc.mapping.forward import Mappings


@pytest.fixture(name="many")
def _many(shell, client_record):
    """A file of 1,000 clients whose line 500 is broken and whose line 501 has a wrong word."""
    rows = [orjson.dumps({**client_record, "id": f"c-{n}"}).decode() for n in range(1, 1001)]
    rows[499] = rows[499][:-20]
    rows[500] = orjson.dumps({**client_record, "id": "c-501", "sex": "M"}).decode()
    return shell.file("many.ndjson", *rows)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_broken_line_in_the_middle_is_told_and_passed_over(shell, many, jobs):
    """With file, line and column; all the others are mapped, in order."""
    result = shell("map", "run", many, "--jobs", jobs)
    assert result.exit_code == 1
    broken, wrong, count = result.stderr.splitlines()
    assert broken.startswith(f"{many}:500:")
    assert wrong.startswith(f"{many}:501: $.sex: error:")
    assert count == "1,000 records to 1,996 resources, 2 passed over"
    made = [orjson.loads(line) for line in result.stdout.splitlines()]
    patients = [r["id"] for r in made if r["resourceType"] == "Patient"]
    assert patients == [f"client.c-{n}" for n in range(1, 1001) if n not in (500, 501)]


def test_a_terminal_sees_how_many_there_are(shell, many):
    """Standard error of a terminal shows the bar's end; the count stays when it is gone."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "fhirsvc.cli", "map", "run", str(many), "--to", "out"]
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    with subprocess.Popen(command, stderr=theirs, cwd=shell.folder, env=environment) as child:
        os.close(theirs)
        said = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not block:
                break
            said += block
    os.close(ours)
    assert child.returncode == 1
    assert b"of 1,000" in said
    assert b"1,000 records to 1,996 resources, 2 passed over" in said


def test_the_total_is_known_of_files_of_lines_only(shell, many, tmp_path):
    """Not of standard input, of a pipe (which counting would empty), nor of other formats."""
    assert total([str(many), str(many)]) == 2000
    assert total(["-"]) is None
    assert total([str(many)], Reading("json")) is None
    os.mkfifo(tmp_path / "pipe.ndjson")
    assert total([str(tmp_path / "pipe.ndjson")]) is None


def test_what_is_remembered_is_bounded(monkeypatch):
    """Ids and references of records that are gone are forgotten: memory does not grow with them."""
    monkeypatch.setattr(runtime, "_REMEMBERED", 50)
    mappings = Mappings.load(shipped.mappings())
    goal = orjson.loads(shipped.demo()["goal.ndjson"].splitlines()[0])
    for n in range(400):
        other = {**goal, "id": f"g-{n}", "client_id": f"c-{n}", "author_id": f"s-{n}"}
        assert mappings.ndjson(other)
    assert len(runtime._KNOWN_IDS) <= 50
    kept = Counter(
        len(value)
        for shapes in mappings._shapes[8].values()
        for makers in (shapes._general, *shapes.hot.values())
        for make in makers
        for value in make.__globals__.values()
        if isinstance(value, dict)
        and all(isinstance(k, str) and k[:2] in ("c-", "s-") for k in value)
    )
    assert 0 < max(kept) <= 50
