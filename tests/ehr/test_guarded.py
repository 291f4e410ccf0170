"""Addresses that others name: private ones are not connected to, whatever a name says."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import certificates
import pytest

from fhirsvc.ehr import guarded
from fhirsvc.ehr.transport import Limits

LIMITS = Limits(connect_s=2.0, read_s=2.0, body_bytes=1000)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.headers["Host"])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_args):
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """Answers on this machine, and tells who was asked for."""
    made = HTTPServer(("127.0.0.1", 0), _Handler)
    made.seen = []
    serving = threading.Thread(target=made.serve_forever, args=(0.02,))
    serving.start()
    yield made
    made.shutdown()
    serving.join()
    made.server_close()


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.216.34", True, True),
        ("2606:4700::1111", True, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("10.1.2.3", False, True),
        ("172.16.0.1", False, True),
        ("192.168.1.1", False, True),
        ("fd00::1", False, True),
        ("::ffff:10.1.2.3", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("100.64.0.1", False, False),
    ],
)
def test_which_addresses_are_allowed(address, public, private):
    """Public ones; with the setting those of this machine and private networks; no link-local."""
    assert guarded.is_allowed(address, private=False) is public
    assert guarded.is_allowed(address, private=True) is private


@pytest.mark.parametrize(
    ("url", "public", "private"),
    [
        ("https://a.example/jwks.json", True, True),
        ("https://a.example:8443/x?y=z", True, True),
        ("http://a.example/", False, False),
        ("http://localhost:8080/x", False, True),
        ("http://127.0.0.1/x", False, True),
        ("http://10.0.0.1/x", False, False),
        ("https://me:pass@a.example/", False, False),
        ("https://a.example/#x", False, False),
        ("https://a.example/#", False, False),
        ("https://a.example/ x", False, False),
        ("https://a.example/\n", False, False),
        ("https:///x", False, False),
        ("https://a.example:port/", False, False),
        ("ftp://a.example/", False, False),
        ("file:///etc/passwd", False, False),
        ("a.example", False, False),
        ("", False, False),
        ("https://a.example/" + "x" * 500, False, False),
    ],
)
def test_which_urls_are_kept(url, public, private):
    """https without user and fragment; http on this machine where the setting allows it."""
    assert guarded.is_fit(url, private=False) is public
    assert guarded.is_fit(url, private=True) is private


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_is_sent_to_this_machine(server, host):
    """Not even a connection is made; with the setting it is, under the name that was given."""
    url = f"http://{host}:{server.server_port}/x"
    strict = guarded.guarded(LIMITS, time.monotonic, private=False)
    answer = strict.send("GET", url, {})
    strict.close()
    assert (answer.status, answer.problem) == (None, "connect")
    assert server.seen == []

    lenient = guarded.guarded(LIMITS, time.monotonic, private=True)
    assert lenient.send("GET", url, {}).status == 200
    lenient.close()
    assert server.seen == [f"{host}:{server.server_port}"]


def test_a_name_that_changes_its_answer_leads_nowhere_else(server, monkeypatch):
    """The address that was looked at is the one that is connected to; the name is asked once."""
    real = socket.getaddrinfo
    asked = []

    def changing(host, *given, **named):
        if host != "rebind.example":
            return real(host, *given, **named)
        asked.append(host)
        address = "127.0.0.1" if len(asked) > 1 else "93.184.216.34"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.server_port))]

    reached = []

    def connect(address, *_given, **_named):
        reached.append(address[0])
        raise OSError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    strict = guarded.guarded(LIMITS, time.monotonic, private=False)
    answer = strict.send("GET", f"http://rebind.example:{server.server_port}/x", {})
    strict.close()

    assert answer.problem == "connect"
    assert reached == ["93.184.216.34"]
    assert server.seen == []


def test_one_private_address_among_public_ones_is_enough(monkeypatch):
    """Which of them would be connected to is chance."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
        for address in ("93.184.216.34", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_given, **_named: found)
    strict = guarded.guarded(LIMITS, time.monotonic, private=False)
    answer = strict.send("GET", "https://mixed.example/", {})
    strict.close()
    assert answer.problem == "connect"


def test_a_certificate_is_for_the_name_not_for_the_address(server, tmp_path):
    """What is connected to is an address; what has to prove itself is the name in the URL."""
    issuer = certificates.Issuer(tmp_path, "authority")
    pair = issuer.pair("server")  # for 127.0.0.1
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    lenient = guarded.guarded(LIMITS, time.monotonic, private=True)
    lenient.session.verify = str(issuer.ca)

    found = {
        host: lenient.send("GET", f"https://{host}:{server.server_port}/x", {}).status
        for host in ("127.0.0.1", "localhost")
    }

    lenient.close()
    assert found == {"127.0.0.1": 200, "localhost": None}
