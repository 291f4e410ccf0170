"""``connect`` and ``keys``: logins set up, changed, listed and tested as a person does."""

from __future__ import annotations

import pytest
from authority import Authority

from fhirsvc import shipped
from fhirsvc.app import create_app
from fhirsvc.ehr.capability import Capabilities
from fhirsvc.settings import load
from fhirsvc.store import connections
from fhirsvc.store.database import Database
from fhirsvc.wiring import product

URL = "https://ehr.example/fhir"
SMART = ("--auth", "smart", "--client-id", "iop", "--scope", "system/*.cruds")


@pytest.fixture
def web(shell):
    """What ``fhirsvc serve`` answers, on the shell's own settings."""
    shell("db", "upgrade")
    wiring = product(load(), late=True)
    yield create_app(wiring, lambda: None).test_client()
    wiring.database.dispose()


@pytest.fixture
def authority(web):
    """An EHR that checks our assertions by the key set that we serve."""
    key_set = lambda: web.get("/.well-known/jwks.json").json  # noqa: E731 - read at each request
    with Authority(key_set=key_set, secrets={"iop": "sesame"}).running() as server:
        yield server


def login(said):
    """The check of that name."""
    return next(one for one in said["checks"] if one["id"] == "login")


def stored(name):
    database = Database(load().database_url)
    with database.read() as tx:
        found = connections.get(tx, name)
    database.dispose()
    return found


def test_every_login_can_be_described(shell):
    """What is said is what is kept, and what is listed; secrets by their place alone."""
    shell(
        *("connect", "add", "a", "--url", URL, "--auth", "oauth2", "--client-id", "iop"),
        *("--secret", "env:S", "--client-auth", "client_secret_post", "--token-url", f"{URL}/t"),
        *("--ca", "file:/ca.pem", "--client-cert", "file:/c.pem", "--client-key", "file:/c.key"),
    )
    shell("connect", "add", "b", "--url", URL, *SMART, "--key", "file:/k.pem", "--kid", "k")

    a, b = shell.json("connect", "list")
    assert (a["auth"], a["secret"]) == ("oauth2", "env:S")
    assert a["options"] == {
        "client_id": "iop",
        "client_auth": "client_secret_post",
        "token_url": f"{URL}/t",
    }
    assert a["tls"] == {"ca": "file:/ca.pem", "cert": "file:/c.pem", "key": "file:/c.key"}
    assert b["options"]["key"] == "file:/k.pem"
    text = shell("connect", "list").stdout
    assert "client_id=iop" in text
    assert "capability" not in a


@pytest.mark.parametrize(
    ("args", "where"),
    [
        (["--auth", "smart"], "options.client_id"),
        (["--auth", "smart", "--client-id", "x"], "options.scope"),
        ([*SMART, "--token-url", "http://x.example"], "options.token_url"),
        ([*SMART, "--secret", "env:X"], "secret"),
        (["--auth", "oauth2", "--client-id", "x"], "secret"),
        (["--client-id", "x"], "options.client_id"),
        (["--client-cert", "/c.pem"], "tls.cert"),
        (["--client-key", "file:/c.key"], "tls.cert"),
    ],
)
def test_a_wrong_option_is_named(shell, args, where):
    """And nothing is stored, neither at first nor by a change."""
    result = shell("connect", "add", "x", "--url", URL, *args)
    assert (result.exit_code, shell.json("connect", "list")) == (1, [])
    assert f"error: connection.{where}: expected: " in result.stderr
    shell("connect", "add", "x", "--url", URL)
    assert shell("connect", "set", "x", *args).exit_code == 1
    assert shell.json("connect", "list")[0]["auth"] == "none"


def test_a_connection_is_changed(shell):
    """What is not said stays; '' takes away; another auth drops what it does not know."""
    shell("connect", "add", "x", "--url", URL, *SMART, "--alg", "ES384", "--rate", "5")

    (one,) = shell.json("connect", "set", "x", "--index-lag", "9", "--alg", "")
    assert (one["index_lag_s"], one["rate"]) == (9.0, 5.0)
    assert one["options"] == {"client_id": "iop", "scope": "system/*.cruds"}
    (one,) = shell.json("connect", "set", "x", "--url", f"{URL}/", "--us-core", "6.1")
    assert (one["base_url"], one["us_core"], one["auth"]) == (URL, 6, "smart")
    (one,) = shell.json("connect", "set", "x", "--auth", "oauth2", "--secret", "env:S")
    assert (one["auth"], one["options"]["client_id"]) == ("oauth2", "iop")
    (one,) = shell.json("connect", "set", "x", "--auth", "none")
    assert (one["options"], one["secret"]) == ({}, "")
    result = shell("connect", "set", "y", "--auth", "none")
    assert (result.exit_code, "no such connection" in result.stderr) == (2, True)


def test_a_connection_can_be_tested(shell, ehr):
    """Each check as JSON and as text; what the statement says is kept with the connection."""
    shell("connect", "add", "ehr", "--url", ehr.url)
    (said,) = shell.json("connect", "test", "ehr")
    assert set(said) == {"connection", "base_url", "checks", "capability", "verdict"}
    assert set(said["checks"][0]) == {
        *("id", "title", "request", "status", "ms", "verdict", "advice")
    }
    assert (said["verdict"], said["capability"]["fhir"]) == ("pass", "4.0.1")
    assert "create" in said["capability"]["resources"]["CarePlan"]
    kept = stored("ehr")
    assert "CarePlan" in Capabilities.from_json(kept.capability).types
    assert kept.capability_at > 1_700_000_000
    text = shell("connect", "test", "ehr")
    assert (text.exit_code, "pass  Reachable  GET metadata → 200" in text.stdout) == (0, True)


def test_nobody_there_ends_with_3(shell):
    """The other side failed; a script can tell that from a finding."""
    shell("connect", "add", "dead", "--url", "http://127.0.0.1:9/fhir")
    (said,) = shell.json("connect", "test", "dead", code=3)
    assert said["verdict"] == "fail"
    assert stored("dead").capability is None


def test_a_missing_secret_is_a_finding(shell, ehr):
    """It is asked for when used, and only its place is named."""
    args = ("--auth", "bearer", "--secret", "env:NOT_THERE")
    shell("connect", "add", "ehr", "--url", ehr.url, *args)
    result = shell("connect", "test", "ehr")
    assert result.exit_code == 1
    assert "env:NOT_THERE: the secret is not there" in result.stdout


def test_smart_from_nothing_to_a_token(shell, authority):
    """A key, a connection, a test: the EHR verifies us by what we serve."""
    shell("connect", "add", "ehr", "--url", authority.url, *SMART)
    (said,) = shell.json("connect", "test", "ehr", code=1)
    assert "fhirsvc keys new" in login(said)["advice"]

    shell("keys", "new", "--alg", "ES384")

    (said,) = shell.json("connect", "test", "ehr")
    assert login(said)["verdict"] == "pass"
    assert authority.why == ""


def test_deliveries_use_the_login(shell, authority):
    """The worker asks for one token, and sends with it."""
    shell("keys", "new")
    shell("connect", "add", "ehr", "--url", authority.url, *SMART, "--index-lag", "0")
    shell(
        "load",
        shell.file("o.ndjson", shipped.demo()["organization.ndjson"].splitlines()[0].decode()),
    )
    shell("worker", "--until-idle")

    assert authority.why == ""
    assert len(authority.asked) == 1
    assert authority.fhir.count("Organization") == 1


def test_keys_come_and_go(shell, web):
    """Made, listed, published, retired; the private half is in no answer and no output."""
    assert "fhirsvc keys new" in shell("keys", "list").stdout
    assert web.get("/.well-known/jwks.json").json == {"keys": []}
    (first,) = shell.json("keys", "new", "--alg", "ES384")
    (second,) = shell.json("keys", "new", "--alg", "ES384")
    assert [first["state"], second["state"]] == ["signing", "waiting"]

    answer = web.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert [one["kid"] for one in answer.json["keys"]] == [first["kid"], second["kid"]]
    assert set(answer.json["keys"][0]) == {*"kty crv x y kid alg use key_ops".split()}

    early = shell("keys", "retire", first["kid"])
    assert (early.exit_code, "signs from" in early.stderr) == (1, True)
    (third,) = shell.json("keys", "new", "--alg", "ES384", "--delay", "0")
    assert third["state"] == "signing"
    (gone,) = shell.json("keys", "retire", first["kid"][:20])
    assert gone["state"] == "retired"
    assert len(web.get("/.well-known/jwks.json").json["keys"]) == 3
    (leaked,) = shell.json("keys", "retire", second["kid"], "--at-once")
    assert leaked["state"] == "withdrawn"
    kids = [one["kid"] for one in web.get("/.well-known/jwks.json").json["keys"]]
    assert kids == [first["kid"], third["kid"]]
    states = [one["state"] for one in shell.json("keys", "list")]
    assert states == ["retired", "withdrawn", "signing"]
    files = "".join(path.read_text() for path in (shell.folder / "fhirsvc-keys").iterdir())
    assert files.count('"d"') == 1
    assert '"d"' not in shell("keys", "list", "--json").stdout


def test_the_only_key_is_not_retired_by_mistake(shell):
    """Nothing would sign any more; a key that leaked goes all the same."""
    (only,) = shell.json("keys", "new", "--alg", "ES384")
    result = shell("keys", "retire", only["kid"])
    assert (result.exit_code, "fhirsvc keys new" in result.stderr) == (1, True)
    assert shell("keys", "retire", only["kid"], "--at-once").exit_code == 0
    for kid in (only["kid"], "nothing"):
        assert shell("keys", "retire", kid).exit_code == 2


def test_a_broken_key_file_is_a_finding(shell, web):
    """Named, and the others are used and published."""
    (key,) = shell.json("keys", "new", "--alg", "ES384")
    bad = shell.folder / "fhirsvc-keys" / "key-bad.json"
    bad.write_text("{}")
    result = shell("keys", "list")
    assert result.exit_code == 1
    assert "key-bad.json" in result.stdout
    assert [one["kid"] for one in web.get("/.well-known/jwks.json").json["keys"]] == [key["kid"]]
