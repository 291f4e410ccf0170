"""TLS on loopback, with real handshakes: our certificate, whom we trust, and what is said."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
import requests
from authority import Authority
from certificates import Issuer
from cryptography.hazmat.primitives import serialization
from logins import client_for, read_one
from requests.adapters import HTTPAdapter

from fhirsvc.ehr.transport import Limits, Tls, Transport, is_private, origin

# In TLS 1.3 the alert comes after our request was written, and the close may overtake it: then all
# that is known is that the connection broke.
REFUSED = ("connect", "reset")


@pytest.fixture(scope="module", name="issuer")
def _issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("tls"), "hospital")


@pytest.fixture(scope="module", name="stranger")
def _stranger(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("tls"), "stranger")


@pytest.fixture(name="ehr")
def _ehr(issuer):
    """An EHR that wants a certificate of its own authority, for FHIR and for tokens."""
    context = issuer.server(issuer.pair("server"), issuer.ca)
    with Authority(secrets={"iop": "s"}, context=context).running() as server:
        yield server


def ask(ehr, tls, kind="oauth2"):
    options = {"client_id": "iop"} if kind == "oauth2" else {}
    with contextlib.closing(client_for(ehr.url, kind, options, secret="s", tls=tls)) as client:
        return read_one(client)


def _tls(pair, ca) -> Tls:
    return Tls(str(pair.cert), str(pair.key), str(ca))


def test_with_the_right_certificate(ehr, issuer):
    """It goes along to FHIR, to the discovery and to the token endpoint."""
    assert ask(ehr, _tls(issuer.pair("iop"), issuer.ca)).status == 404
    assert {path for _, path, _ in ehr.seen} == {
        "/fhir/.well-known/smart-configuration",
        "/token",
        "/fhir/Patient/none",
    }


def test_key_and_certificate_in_one_file(ehr, issuer, tmp_path):
    """As some authorities hand them out."""
    pair = issuer.pair("one-file")
    both = tmp_path / "both.pem"
    both.write_bytes(pair.cert.read_bytes() + pair.key.read_bytes())

    assert ask(ehr, Tls(cert=str(both), ca=str(issuer.ca))).status == 404


def test_without_a_certificate(ehr, issuer):
    """Nothing is sent that the EHR would read."""
    answer = ask(ehr, Tls(ca=str(issuer.ca)), "bearer")

    assert answer.problem in REFUSED
    assert answer.problem == "reset" or "certificate required" in answer.said
    assert ehr.seen == []


def test_with_a_certificate_of_somebody_else(ehr, issuer, stranger):
    """The EHR refuses it."""
    answer = ask(ehr, _tls(stranger.pair("iop"), issuer.ca), "bearer")

    assert answer.problem in REFUSED
    assert ehr.seen == []


def test_a_server_of_another_authority(ehr, issuer, stranger):
    """An own CA takes the place of all others: we do not talk to whom it does not vouch for."""
    answer = ask(ehr, _tls(issuer.pair("iop"), stranger.ca), "bearer")

    assert (answer.problem, ehr.seen) == ("connect", [])
    assert answer.said.startswith("tls: ")


def test_a_server_of_our_own_authority_is_not_trusted_by_default(ehr):
    """Without ``ca`` the system's authorities count, and they do not know it."""
    answer = ask(ehr, Tls(), "bearer")

    assert (answer.problem, ehr.seen) == ("connect", [])


def test_an_expired_server(issuer):
    """Said in words."""
    context = issuer.server(issuer.pair("old", days=-1))
    with Authority(context=context).running() as server:
        answer = ask(server, Tls(ca=str(issuer.ca)), "bearer")

    assert (answer.problem, server.seen) == ("connect", [])
    assert answer.said == "tls: certificate has expired"


def test_an_unusable_token_endpoint_is_told_with_its_reason(ehr, issuer):
    """The token request has the same certificates, and fails as clearly."""
    answer = ask(ehr, Tls(ca=str(issuer.ca)))

    assert answer.problem == "token_unavailable"


@pytest.mark.parametrize("part", ["cert", "key", "ca"])
def test_a_file_that_is_not_there(ehr, issuer, part):
    """An answer, not an exception; the file is ours to put there."""
    tls = {**vars(_tls(issuer.pair("iop"), issuer.ca)), part: "/not/there.pem"}
    answer = ask(ehr, Tls(**tls), "bearer")

    assert (answer.status, answer.problem) == (None, "secret")
    assert "connection.tls" in answer.said


@pytest.mark.parametrize("part", ["cert", "key", "ca"])
def test_a_file_of_something_else(ehr, issuer, tmp_path, part):
    """The same for what OpenSSL cannot read."""
    junk = tmp_path / "junk.pem"
    junk.write_text("Zebulonqx")
    answer = ask(ehr, Tls(**{**vars(_tls(issuer.pair("iop"), issuer.ca)), part: str(junk)}), "none")

    assert (answer.status, answer.problem) == (None, "secret")
    assert "connection.tls" in answer.said
    assert "Zebulonqx" not in answer.said
    assert ehr.seen == []


def test_an_encrypted_key_is_refused(ehr, issuer, tmp_path):
    """Nobody is there to type its password, and nothing waits for one."""
    pair = issuer.pair("ours")
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    how = serialization.BestAvailableEncryption(b"password")
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(key.private_bytes(pem, pkcs8, how))
    answer = ask(ehr, Tls(str(pair.cert), str(locked), str(issuer.ca)), "none")

    assert (answer.problem, ehr.seen) == ("secret", [])


def test_a_certificate_that_is_replaced_counts(ehr, issuer, stranger, tmp_path):
    """From the next connection on: certificates are renewed while we run."""
    ours, theirs = issuer.pair("fresh"), stranger.pair("stale")
    cert, key = tmp_path / "cert.pem", tmp_path / "cert.key"
    tls = Tls(str(cert), str(key), str(issuer.ca))
    with contextlib.closing(client_for(ehr.url, "bearer", secret="s", tls=tls)) as client:
        cert.write_bytes(theirs.cert.read_bytes())
        key.write_bytes(theirs.key.read_bytes())
        assert read_one(client).problem in REFUSED
        cert.write_bytes(ours.cert.read_bytes())
        key.write_bytes(ours.key.read_bytes())
        assert read_one(client).status == 401


def test_a_connection_that_breaks_inside_tls_may_have_sent_everything(issuer):
    """A write of unknown outcome, which is looked for before it is made again."""
    context = issuer.server(issuer.pair("breaks"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def read_and_drop():
            raw, _ = listener.accept()
            with context.wrap_socket(raw, server_side=True) as connection:
                connection.recv(65536)
                raw_fd = connection.detach()
            socket.socket(fileno=raw_fd).close()

        thread = threading.Thread(target=read_and_drop)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/fhir"
        with contextlib.closing(client_for(url, "none", tls=Tls(ca=str(issuer.ca)))) as client:
            answer = client.request("PUT", "Patient/1", correlation_id="c", body={})
        thread.join()

    assert (answer.status, answer.problem) == (None, "reset")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://ehr.example/fhir", "https://EHR.example:443/other", True),
        ("https://ehr.example", "https://ehr.example:444", False),
        ("https://ehr.example", "http://ehr.example", False),
        ("https://ehr.example", "https://ehr.example.evil", False),
        ("https://ehr.example", "https://ehr.example@evil", False),
    ],
)
def test_origins(one, other, same):
    """Scheme, host and port."""
    assert (origin(one) == origin(other)) is same


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://a.example", True),
        ("http://127.0.0.1:8", True),
        ("http://[::1]/", True),
        ("http://localhost", True),
        ("http://a.example", False),
        ("http://127.0.0.1.evil", False),
        ("ftp://localhost", False),
        ("nonsense", False),
    ],
)
def test_what_nobody_can_listen_to(url, private):
    """https, or this machine."""
    assert is_private(url) is private


ADDRESSES = (
    "http://ehr.test/fhir/Patient",
    "https://ehr.test:8443/fhir/R4/Patient/a-1.b",
    "http://127.0.0.1:80/fhir/metadata",
    "http://EHR.test/fhir/Patient",
    "http://ehr.test/fhir/../Patient",
    "http://ehr.test/fhir/Patient?page=2&x=ü",
    "http://ehr.test/fhir/Pa tient/%41",
    "http://ehr.test",
)
BODIES = (None, b"", b'{"a": 1}', {"grant_type": "x"})
PARAMS = (None, {}, {"identifier": "urn:x|a b+c&d=ü~", "_count": "5"})


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("params", PARAMS)
@pytest.mark.parametrize("data", BODIES)
def test_what_is_sent_is_what_requests_would_send(method, params, data):
    """Address, headers and body, whether it takes the short way there or not."""
    sent = []

    class Wire(HTTPAdapter):
        def send(self, request, **_named):
            sent.append(request)
            raise requests.ConnectionError

    transport = Transport(Limits(), time.monotonic)
    transport.session.mount("http://", Wire())
    transport.session.mount("https://", Wire())
    headers = {"Accept": "a/b", "content-type": "c/d", "X-Correlation-Id": "e"}
    for url in ADDRESSES:
        transport.send(method, url, headers, params=params, data=data)
        asked = requests.Request(method, url, headers, data=data, params=params)
        wanted = transport.session.prepare_request(asked)
        got = sent.pop()
        assert (got.method, got.url, dict(got.headers)) == (
            method,
            wanted.url,
            {**wanted.headers},
        )
        assert (got.body or None) == (wanted.body or None)
    transport.close()


def test_a_header_that_would_be_two_is_not_sent():
    """A version from an EHR that has a line break in it ends in no exception."""
    transport = Transport(Limits(), time.monotonic)
    answer = transport.send("GET", "http://127.0.0.1:9/fhir", {"If-Match": "a\r\nX-Other: b"})
    transport.close()

    assert (answer.status, answer.problem) == (None, "reset")
