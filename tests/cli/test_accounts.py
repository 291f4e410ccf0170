"""``fhirsvc accounts``: added, listed, given tokens and passwords, disabled."""

from __future__ import annotations

import pytest


def test_from_nobody_to_disabled(shell):
    """Each command says what is there, as text and as JSON."""
    assert shell("accounts", "list").output == "no accounts: nobody has to sign in\n"
    word = shell.folder / "word"
    word.write_text("correct horse battery\n", encoding="utf-8")
    made = shell.json("accounts", "add", "ann", "--role", "clinician", "--password-file", word)[0]
    assert (made["name"], made["role"], made["state"]) == ("ann", "clinician", "active")
    assert shell("accounts", "add", "emr", "--role", "system").output == "emr  system  active\n"
    token = shell("accounts", "token", "emr").output.strip()
    assert len(token) >= 40
    changed = shell.json("accounts", "password", "ann", "--password-file", word)[0]
    assert changed == {"name": "ann", "sessions_ended": 0}
    assert shell("accounts", "disable", "emr").output == "emr: disabled, 1 session ended\n"
    states = {one["name"]: one["state"] for one in shell.json("accounts", "list")}
    assert states == {"ann": "active", "emr": "disabled"}
    assert "correct horse" not in shell("accounts", "list").output


@pytest.mark.parametrize(
    ("args", "given", "said"),
    [
        (
            ("add", "ann", "--role", "clinician", "--password-file", "-"),
            "short\n",
            "password: from",
        ),
        (("add", "Ann", "--role", "system"), "", "NAME: small letters"),
        (("token", "nobody"), "", "NAME: there is no such account"),
        (("disable", "nobody"), "", "NAME: there is no such account"),
    ],
)
def test_what_is_wrong_is_located(shell, args, given, said):
    """On one line."""
    result = shell("accounts", *args, input=given)
    assert result.exit_code != 0
    assert said in result.stderr
    assert "Traceback" not in result.stderr
