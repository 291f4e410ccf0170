"""SMART scopes: what each spelling allows."""

from __future__ import annotations

import pytest

from fhirsvc.ehr.scopes import allowed, lacking


@pytest.mark.parametrize(
    ("scope", "letters"),
    [
        ("system/Goal.cruds", "cdrsu"),
        ("system/Goal.rs", "rs"),
        ("system/Goal.cu", "cu"),
        ("system/*.s", "s"),
        ("user/Goal.read", "rs"),
        ("system/Goal.write", "cdu"),
        ("system/Goal.*", "cdrsu"),
        ("system/Goal.rs?category=x", "rs"),
        ("patient/Goal.cruds", ""),
        ("system/Goals.cruds", ""),
        ("system/Goal.sr", ""),
        ("system/Goal.", ""),
        ("launch", ""),
        ("", ""),
    ],
)
def test_what_a_scope_allows(scope, letters):
    """Both versions' words; scopes of a patient's app and misspelt ones allow nothing."""
    assert "".join(sorted(allowed([scope], "Goal"))) == letters


def test_what_is_lacking():
    """Told as the scope that would do."""
    granted = ["system/Goal.rs", "system/*.c"]

    assert lacking(granted, {"Goal": "cru", "Patient": "cs", "Task": "c"}) == [
        "system/Goal.u",
        "system/Patient.s",
    ]
