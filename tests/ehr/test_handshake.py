"""The look at TLS: what it tells, and that nothing it meets is an exception."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from authority import Authority
from certificates import Issuer
from cryptography.hazmat.primitives import serialization

from fhirsvc.ehr.handshake import shake
from fhirsvc.ehr.transport import Tls


@pytest.fixture(name="issuer")
def _issuer(tmp_path):
    return Issuer(tmp_path, "hospital")


def test_version_and_days(issuer):
    """With our own certificate, where one is wanted."""
    ours = issuer.pair("ours")
    context = issuer.server(issuer.pair("server", days=10), issuer.ca)
    with Authority(context=context).running() as ehr:
        tls = Tls(str(ours.cert), str(ours.key), str(issuer.ca))
        seen = shake(ehr.url, tls, 5.0, time.time())

    assert (seen.version, seen.problem) == ("TLSv1.3", "")
    assert 9.9 < seen.days < 10.1


def test_an_encrypted_key_asks_nobody(issuer, tmp_path):
    """A password would be asked for on a terminal that is not there."""
    pair = issuer.pair("ours")
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    tls = Tls(str(pair.cert), str(locked), str(issuer.ca))

    assert "connection.tls" in shake("https://127.0.0.1:9", tls, 1.0, 0.0).problem


def test_what_speaks_no_tls():
    """Said in a few words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            raw, _ = listener.accept()
            with raw:
                raw.recv(4096)
                raw.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        seen = shake(url, Tls(), 5.0, 0.0)
        thread.join()

    assert (seen.days, bool(seen.problem)) == (None, True)


def test_nobody_there():
    """The same."""
    assert shake("https://127.0.0.1:9", Tls(), 1.0, 0.0).problem == "no connection"
