"""``fhirsvc clients``: registered by keys and scopes, listed, revoked; what is wrong is located."""

from __future__ import annotations

import orjson
import partner
import pytest

SCOPE = "system/CarePlan.rs system/Task.cruds"


@pytest.fixture
def jwks(shell) -> str:
    """A file with the partner's key set."""
    path = shell.folder / "jwks.json"
    path.write_bytes(orjson.dumps(partner.key_set()))
    return str(path)


def test_from_registered_to_revoked(shell, jwks):
    """Each command says what is there, as text and as JSON."""
    assert "no clients" in shell("clients", "list").output
    made = shell.json("clients", "add", "hospital", "--jwks", jwks, "--scope", SCOPE)[0]
    assert (made["name"], made["state"], made["scope"]) == ("hospital", "active", SCOPE)
    url = "https://lab.example/jwks.json"
    result = shell("clients", "add", "lab", "--jwks-url", url, "--scope", "system/*.read")
    assert result.output == f"lab  active  {url}  system/*.rs\n"

    assert [one["keys"] for one in shell.json("clients", "list")] == ["inline", url]
    assert shell("clients", "revoke", "lab").output == "lab: revoked, 0 tokens ended\n"
    assert [one["state"] for one in shell.json("clients", "list")] == ["active", "revoked"]
    again = shell("clients", "revoke", "lab")
    assert (again.exit_code, again.output) == (2, "error: NAME: no such client\n")


def test_a_name_is_taken_until_it_is_revoked(shell, jwks):
    """The second of a name is refused; after the first was revoked it is registered anew."""
    command = ("clients", "add", "hospital", "--jwks", jwks, "--scope", SCOPE)
    assert shell(*command).exit_code == 0
    taken = shell(*command)
    assert (taken.exit_code, taken.output) == (1, "error: NAME: there is a client of this name\n")
    assert shell.json("clients", "revoke", "hospital")[0]["tokens_ended"] == 0
    assert shell(*command).exit_code == 0


def test_a_key_set_from_standard_input(shell):
    """As files elsewhere, - is standard input."""
    text = orjson.dumps(partner.key_set()).decode()
    result = shell("clients", "add", "a", "--jwks", "-", "--scope", SCOPE, input=text)
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([{**partner.rsa().as_dict(private=True), "kid": "a"}], "$.keys[0]: it has a private half"),
        ([partner.public(partner.rsa()), {"kty": "oct", "kid": "b"}], "$.keys[1]: expected kty"),
        ([partner.public(partner.curve("p", "P-256"))], "$.keys[0]: expected crv P-384"),
        ([partner.public(partner.rsa("s", 1024))], "$.keys[0]: expected 2048 to 8192 bits"),
        ([partner.public(partner.rsa())] * 2, "$.keys[1]: another key of its kty has this kid"),
        ([{**partner.public(partner.rsa()), "kid": None}], "$.keys[0]: expected a kid"),
        ([partner.public(partner.rsa(), use="enc")], "$.keys[0]: expected one to verify RS384"),
        ([{**partner.public(partner.curve()), "x": "AAAA"}], "$.keys[0]: its numbers are no key"),
        ([partner.public(partner.rsa()), "x"], "$.keys[1]: expected an object"),
        ([], "$.keys: expected a JWK set"),
        ("x", "$.keys: expected a JWK set"),
    ],
)
def test_keys_that_prove_nothing_are_refused(shell, keys, said):
    """By file and place; nothing is registered, and nothing of a key is shown."""
    path = shell.folder / "keys.json"
    path.write_bytes(orjson.dumps({"keys": keys}))
    result = shell("clients", "add", "a", "--jwks", path, "--scope", SCOPE)
    assert result.exit_code == 1
    where, _, message = said.partition(": ")
    assert f"error: {path}: {where}: error: {message}" in result.output
    assert partner.public(partner.rsa())["n"] not in result.output
    assert shell.json("clients", "list") == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["a", "--scope", SCOPE], "expected either a key set or its address"),
        (["a", "--jwks-url", "http://a.example/k", "--scope", SCOPE], "expected an https URL"),
        (["a", "--jwks-url", "http://127.0.0.1/k", "--scope", SCOPE], "expected an https URL"),
        (["a", "--jwks-url", "https://a.example/k", "--scope", "openid"], "scope 1: expected"),
        (["a", "--jwks-url", "https://a.example/k", "--scope", ""], "--scope: expected"),
        (["a b", "--jwks-url", "https://a.example/k", "--scope", SCOPE], "NAME: expected letters"),
        (["open", "--jwks-url", "https://a.example/k", "--scope", SCOPE], "NAME: expected letters"),
    ],
)
def test_what_cannot_be_registered(shell, args, said):
    """Each is told with what is expected."""
    result = shell("clients", "add", *args)
    assert result.exit_code == 1
    assert said in result.output


@pytest.mark.parametrize(("text", "where"), [("{", ":1:2"), ("[]", ""), ('{"a":1,"a":2}', ":1:8")])
def test_a_file_that_is_no_key_set(shell, text, where):
    """By file, line and column."""
    path = shell.folder / "keys.json"
    path.write_text(text)
    result = shell("clients", "add", "a", "--jwks", path, "--scope", SCOPE)
    assert result.exit_code == 1
    assert f"error: {path}{where}: " in result.output


def test_this_machine_where_the_setting_allows_it(shell, monkeypatch):
    """``partners_private`` is for trying it out, and for partners in the same network."""
    monkeypatch.setenv("FHIRSVC_PARTNERS_PRIVATE", "true")
    url = "http://127.0.0.1:9000/jwks.json"
    assert shell("clients", "add", "a", "--jwks-url", url, "--scope", SCOPE).exit_code == 0
