"""What was written and is not served is named, and what is no loss is not."""

from __future__ import annotations

import pytest

from fhirsvc.fhir.said import unsaid

CODE = {"coding": [{"system": "s", "code": "c", "display": "C"}], "text": "T"}
TASK = {"resourceType": "Task", "id": "1", "status": "requested", "code": CODE, "n": [1, 2.5, True]}


@pytest.mark.parametrize(
    ("written", "lost"),
    [
        (TASK, []),
        ({**TASK, "id": "2"}, []),
        ({**TASK, "meta": {"versionId": "3", "lastUpdated": "x"}, "text": {"div": "x"}}, []),
        ({**TASK, "meta": {"tag": [{"code": "x"}]}}, ["Task.meta.tag.code"]),
        ({**TASK, "n": [2.5, 1.0]}, []),
        ({**TASK, "n": [False, 3]}, ["Task.n"]),
        ({**TASK, "n": ["1"]}, ["Task.n"]),
        ({**TASK, "code": {**CODE, "text": "U"}}, ["Task.code.text"]),
        ({**TASK, "code": {"coding": [{"system": "s", "code": "c", "display": "D"}]}}, []),
        ({**TASK, "code": {"coding": [{"code": "d"}]}}, ["Task.code.coding.code"]),
        ({**TASK, "owner": {"display": "D"}}, ["Task.owner.display"]),
        ({**TASK, "on": "2026-03-05T10:00:00Z"}, []),
        ({**TASK, "on": "2026-03-06T10:00:00Z"}, ["Task.on"]),
        ({**TASK, "status": None, "_status": {"id": "x"}}, ["Task._status.id"]),
        ({**TASK, "code": [{"text": "U"}, {"text": "V"}]}, ["Task.code.text"]),
    ],
)
def test_what_is_lost(written, lost):
    """By its path, once; lists have no places here."""
    assert unsaid(written, {**TASK, "on": "2026-03-05"}) == lost
