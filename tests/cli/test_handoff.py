"""``handoff build``: the document as a file of each form, or on standard output."""

from __future__ import annotations

import orjson
import pytest
import shipped_clinic as clinic

from fhirsvc.ehr import narrative_pdf


@pytest.fixture(name="clinic_there")
def _clinic_there(shell):
    """The demo clinic's records, loaded."""
    lines = b"\n".join(map(orjson.dumps, clinic.records())).decode()
    assert shell("load", shell.file("clinic.ndjson", lines)).exit_code == 0
    return shell


def test_a_document_is_built(clinic_there, tmp_path):
    """The Bundle on standard output is the one in the file; the page and the print are of it."""
    shell = clinic_there
    bundle = orjson.loads(shell("handoff", "build", "episode-02").stdout)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "document")
    written = tmp_path / "h.json"
    (said,) = shell.json("handoff", "build", "episode-02", "--to", str(written))
    assert said["resources"] == len(bundle["entry"])
    ids = [one["fullUrl"] for one in orjson.loads(written.read_bytes())["entry"]]
    assert ids == [one["fullUrl"] for one in bundle["entry"]]
    page = tmp_path / "h.html"
    shell("handoff", "build", "episode-02", "--to", str(page))
    assert "Crisis plan" in page.read_text(encoding="utf-8")
    if narrative_pdf.AVAILABLE:
        printed = tmp_path / "h.pdf"
        shell("handoff", "build", "episode-02", "--to", str(printed))
        assert printed.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("episode-99",), 2, "episode/episode-99: no such record"),
        (("episode-02", "--to", "h.doc"), 2, "--to ends in one of"),
        (("episode-01",), 3, "aftercare_plan/aftercare-01: it speaks of substance use"),
    ],
)
def test_what_cannot_be_built_is_told(clinic_there, args, code, said):
    """On one line, with the exit code of its kind."""
    found = clinic_there("handoff", "build", *args)
    assert found.exit_code == code
    assert said in found.stderr
    assert "Traceback" not in found.stderr
