"""Where tokens come from, and that no credential goes anywhere else."""

from __future__ import annotations

import contextlib

import pytest
import responses
from authority import Authority
from logins import client_for, read_one
from tiny import FakeClock

from fhirsvc.ehr.discovery import OAUTH_URIS, Discovery
from fhirsvc.ehr.tokens import TokenError
from fhirsvc.ehr.transport import Limits, Transport
from fhirsvc.errors import Category

BASE = "https://ehr.example/fhir"
SMART = f"{BASE}/.well-known/smart-configuration"
URL = "https://as.example/token"


def _statement(url):
    uris = {"url": OAUTH_URIS, "extension": [{"url": "token", "valueUri": url}]}
    return {"resourceType": "CapabilityStatement", "rest": [{"security": {"extension": [uris]}}]}


def _discovery(given="") -> Discovery:
    return Discovery(Transport(Limits(), FakeClock()), BASE, given)


@responses.activate
def test_smart_configuration_first_and_once():
    """It is read without a credential, and kept."""
    responses.add("GET", SMART, json={"token_endpoint": URL})
    discovery = _discovery()

    assert [discovery.token_url() for _ in range(3)] == [URL] * 3
    assert len(responses.calls) == 1
    assert "Authorization" not in responses.calls[0].request.headers


@responses.activate
@pytest.mark.parametrize("how", [{"status": 404}, {"body": "<html>"}, {"json": {}}])
def test_then_the_capability_statement(how):
    """Servers from before SMART's file say it in an extension."""
    responses.add("GET", SMART, **how)
    responses.add("GET", f"{BASE}/metadata", json=_statement(URL))

    assert _discovery().token_url() == URL


@responses.activate
def test_a_given_address_is_not_looked_for():
    """Nobody is asked."""
    assert _discovery(URL).token_url() == URL


@responses.activate
@pytest.mark.parametrize(
    ("smart", "metadata", "category"),
    [
        ({"status": 404}, {"json": {}}, Category.UNAUTHENTICATED),
        ({"status": 503}, {"json": _statement(URL)}, Category.UNAVAILABLE),
        ({"status": 404}, {"status": 500}, Category.UNAVAILABLE),
        ({"json": {"token_endpoint": "http://as.example/t"}}, {}, Category.UNAUTHENTICATED),
        ({"json": {"token_endpoint": "file:///etc"}}, {}, Category.UNAUTHENTICATED),
        ({"json": {"token_endpoint": "https://[::1"}}, {}, Category.UNAUTHENTICATED),
        ({"json": {"token_endpoint": [URL]}}, {"json": {}}, Category.UNAUTHENTICATED),
        ({"status": 404}, {"json": _statement("http://a.example")}, Category.UNAUTHENTICATED),
        ({"status": 404}, {"json": {"rest": [{"security": 3}, 7]}}, Category.UNAUTHENTICATED),
    ],
)
def test_no_address(smart, metadata, category):
    """What passes is told from what somebody has to mend; plain http is never asked."""
    responses.add("GET", SMART, **smart)
    responses.add("GET", f"{BASE}/metadata", **metadata)

    with pytest.raises(TokenError) as raised:
        _discovery().token_url()

    assert raised.value.category == category


@responses.activate
def test_a_failure_is_not_kept():
    """The next request looks again."""
    responses.add("GET", SMART, status=503)
    responses.add("GET", SMART, json={"token_endpoint": URL})
    discovery = _discovery()
    with pytest.raises(TokenError):
        discovery.token_url()

    assert discovery.token_url() == URL


def test_an_endpoint_that_moved_is_found_again():
    """Nobody answers there any more: the EHR is asked where it is now."""
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(Authority(secrets={"iop": "s"}).running())
        new = stack.enter_context(Authority(secrets={"iop": "s"}).running())
        client = client_for(new.url, "oauth2", {"client_id": "iop"}, secret="s")
        stack.callback(client.close)
        new.declares = {"token_endpoint": old.token_url}
        old.faults.append((404, {}, b""))
        assert read_one(client).problem == "token_refused"
        new.declares = {}

        assert read_one(client).status == 404
        assert (len(old.asked), len(new.asked)) == (1, 1)


def test_no_credential_goes_to_another_origin():
    """Not by a link, not by a redirect: only the base's origin and the token URL ever see one."""
    with contextlib.ExitStack() as stack:
        ehr = stack.enter_context(Authority(secrets={"iop": "s"}).running())
        other = stack.enter_context(Authority().running())
        client = client_for(ehr.url, "oauth2", {"client_id": "iop"}, secret="s")
        stack.callback(client.close)

        same = client.request("GET", f"{ehr.url}/Patient/none", correlation_id="c")
        links = [
            client.request("GET", url, correlation_id="c")
            for url in (
                f"{other.url}/Patient?page=2",
                f"https://127.0.0.1:{ehr.server_address[1]}/fhir/Patient",
                f"{ehr.root}@{other.root.removeprefix('http://')}/fhir/Patient",
                "ftp://127.0.0.1/Patient",
                "http://[::1/Patient",
            )
        ]

        assert same.status == 404
        assert [one.problem for one in links] == ["elsewhere"] * 5
        assert other.seen == []


def test_a_path_cannot_leave_the_base():
    """Whatever an id looks like, the host is the base's."""
    with Authority().running() as ehr, Authority().running() as other:
        client = client_for(ehr.url, "bearer", secret="s")
        host = other.root.removeprefix("http:")
        for path in (f"@{host.strip('/')}/x", f"/{host}/x", "../../x", "\\\\evil", "?x", "#x"):
            client.request("GET", path, correlation_id="c")
        client.close()

        assert other.seen == []
