"""The HTTP client: what it sends, and that every way to fail is an answer."""

from __future__ import annotations

import ssl

import pytest
import requests
import responses
from tiny import FakeClock

from fhirsvc.ehr.auth import NoAuth, SecretAuth
from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.client import Client, Limits
from fhirsvc.errors import Category, FhirsvcError

BASE = "https://ehr.example/fhir"


def _client(auth=None, limits=None) -> Client:
    clock = FakeClock()
    bucket = TokenBucket(1000, 1000, clock, clock.sleep)
    return Client(BASE, auth or NoAuth(), bucket, limits or Limits(), clock)


@responses.activate
def test_what_a_request_carries():
    """FHIR JSON both ways, the correlation id, the credential; the body as JSON."""
    responses.add("PUT", f"{BASE}/Patient", json={"resourceType": "Patient"})

    answer = _client(SecretAuth("bearer", lambda: "tok\n")).request(
        "PUT",
        "Patient",
        correlation_id="c-9",
        params={"identifier": "urn:a|b,c"},
        body={"resourceType": "Patient"},
    )

    sent = responses.calls[0].request
    assert answer.status == 200
    assert answer.body == {"resourceType": "Patient"}
    assert f"{BASE}/Patient?identifier=urn%3Aa%7Cb%2Cc" == sent.url
    assert sent.body == b'{"resourceType":"Patient"}'
    assert (
        sent.headers["Content-Type"],
        sent.headers["X-Correlation-Id"],
        sent.headers["Authorization"],
    ) == ("application/fhir+json", "c-9", "Bearer tok")


@responses.activate
def test_basic():
    """Basic credentials are user and password in base64."""
    responses.add("GET", f"{BASE}/metadata", json={})

    _client(SecretAuth("basic", lambda: "me:pass")).request("GET", "metadata", correlation_id="")

    assert responses.calls[0].request.headers["Authorization"] == "Basic bWU6cGFzcw=="


@responses.activate
def test_a_redirect_is_not_followed():
    """The token is never handed to whoever a redirect names."""
    responses.add(
        "GET", f"{BASE}/Patient/1", status=302, headers={"Location": "https://evil.example"}
    )

    answer = _client(SecretAuth("bearer", lambda: "t")).request(
        "GET", "Patient/1", correlation_id=""
    )

    assert answer.status == 302
    assert len(responses.calls) == 1


@responses.activate
def test_401_once_with_a_new_token():
    """A token that was rotated meanwhile is read again, once."""
    secrets = iter(["old", "new"])
    responses.add("GET", f"{BASE}/Patient/1", status=401)
    responses.add("GET", f"{BASE}/Patient/1", json={"resourceType": "Patient"})

    answer = _client(SecretAuth("bearer", lambda: next(secrets))).request(
        "GET", "Patient/1", correlation_id=""
    )

    assert (answer.status, answer.renewed) == (200, True)
    sent = [call.request.headers["Authorization"] for call in responses.calls]
    assert sent == ["Bearer old", "Bearer new"]


@responses.activate
def test_401_with_the_same_token_is_not_repeated():
    """When the secret has not changed there is nothing new to try."""
    responses.add("GET", f"{BASE}/Patient/1", status=401)

    answer = _client(SecretAuth("bearer", lambda: "same")).request(
        "GET", "Patient/1", correlation_id=""
    )

    assert (answer.status, len(responses.calls)) == (401, 1)


def test_a_missing_secret_is_an_answer():
    """Nothing is sent without the credential, and nobody has to catch anything."""

    def nothing() -> str:
        raise FhirsvcError(Category.UNAUTHENTICATED, "the secret is not there")

    answer = _client(SecretAuth("bearer", nothing)).request("GET", "Patient/1", correlation_id="")

    assert (answer.status, answer.problem) == (None, "secret")


@responses.activate
@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (requests.ConnectTimeout(), "connect"),
        (requests.exceptions.SSLError(ssl.SSLCertVerificationError("x")), "connect"),
        (requests.exceptions.SSLError(ssl.SSLEOFError(8, "EOF occurred")), "reset"),
        (requests.exceptions.SSLError(), "reset"),
        (requests.ReadTimeout(), "timeout"),
        (requests.ConnectionError("Connection aborted."), "reset"),
        (requests.exceptions.ChunkedEncodingError(), "reset"),
    ],
)
def test_failures(error, problem):
    """Only when no connection was made can the request not have arrived."""
    responses.add("PUT", f"{BASE}/Patient/1", body=error)

    answer = _client().request("PUT", "Patient/1", correlation_id="", body={})

    assert (None, problem) == (answer.status, answer.problem)


def test_nobody_listens():
    """A refused connection is known to have sent nothing."""
    clock = FakeClock()
    bucket = TokenBucket(10, 10, clock, clock.sleep)
    client = Client("http://127.0.0.1:1/fhir", NoAuth(), bucket, Limits(), clock)

    answer = client.request("PUT", "Patient/1", correlation_id="", body={})

    assert answer.problem == "connect"


@responses.activate
def test_an_answer_has_a_largest_size():
    """An endless answer is not read to its end."""
    responses.add("GET", f"{BASE}/Patient/1", body=b"x" * 5000)

    answer = _client(limits=Limits(body_bytes=1000)).request("GET", "Patient/1", correlation_id="")

    assert answer.problem == "oversize"


@responses.activate
@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"a":', b"\xff\xfe"])
def test_a_success_that_is_no_json_object(body):
    """A proxy's login page with status 200 is not taken for a success."""
    responses.add("PUT", f"{BASE}/Patient/1", body=body)

    answer = _client().request("PUT", "Patient/1", correlation_id="", body={})

    assert (answer.status, answer.problem) == (None, "malformed")


@responses.activate
def test_an_error_that_is_no_json_keeps_its_status():
    """The page of a gateway says by its status what to do."""
    responses.add("PUT", f"{BASE}/Patient/1", body=b"<html>", status=502)

    answer = _client().request("PUT", "Patient/1", correlation_id="", body={})

    assert (answer.status, answer.body, answer.problem) == (502, None, None)
