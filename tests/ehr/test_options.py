"""Options of a connection: refused with their place before anything is stored."""

from __future__ import annotations

import pytest

from fhirsvc.ehr.options import OPTIONS, check, tls_paths
from fhirsvc.ehr.transport import Tls
from fhirsvc.errors import Category, FhirsvcError

URL = "https://ehr.example/fhir"
SMART = {"client_id": "iop", "scope": "system/Patient.cruds system/Goal.cruds"}
OAUTH = {"client_id": "iop"}


@pytest.mark.parametrize(
    ("auth", "secret", "options", "tls"),
    [
        ("none", "", {}, {}),
        ("basic", "env:X", {}, {"ca": "file:/ca.pem"}),
        ("bearer", "env:X", {}, {"cert": "file:a.pem", "key": "file:a.key"}),
        ("oauth2", "env:X", OAUTH, {}),
        ("oauth2", "env:X", {**OAUTH, "token_url": "https://as.example/t?tenant=1"}, {}),
        ("oauth2", "env:X", {**OAUTH, "client_auth": "client_secret_post", "audience": "x"}, {}),
        ("smart", "", SMART, {}),
        ("smart", "", {**SMART, "token_url": "http://127.0.0.1:9/token", "alg": "ES384"}, {}),
        ("smart", "", {**SMART, "key": "file:/key.pem", "kid": "k", "jku": URL}, {}),
    ],
)
def test_what_is_fine(auth, secret, options, tls):
    """Nothing is said."""
    check(URL, auth, secret, options, tls)


@pytest.mark.parametrize(
    ("auth", "options", "where"),
    [
        ("none", {"client_id": "x"}, "options.client_id"),
        ("bearer", {"scope": "x"}, "options.scope"),
        ("oauth2", {}, "options.client_id"),
        ("oauth2", {**OAUTH, "alg": "RS384"}, "options.alg"),
        ("oauth2", {**OAUTH, "client_auth": "none"}, "options.client_auth"),
        ("oauth2", {**OAUTH, "token_url": "http://as.example/token"}, "options.token_url"),
        ("oauth2", {**OAUTH, "token_url": "https://u:p@as.example/"}, "options.token_url"),
        ("oauth2", {**OAUTH, "token_url": "https://as.example/#x"}, "options.token_url"),
        ("oauth2", {**OAUTH, "token_url": "as.example"}, "options.token_url"),
        ("oauth2", {**OAUTH, "token_url": "https://[::1/"}, "options.token_url"),
        ("oauth2", {**OAUTH, "scope": "a  b"}, "options.scope"),
        ("oauth2", {"client_id": "a b"}, "options.client_id"),
        ("oauth2", {"client_id": 7}, "options.client_id"),
        ("smart", {"client_id": "iop"}, "options.scope"),
        ("smart", {**SMART, "alg": "HS256"}, "options.alg"),
        ("smart", {**SMART, "key": "-----BEGIN"}, "options.key"),
        ("smart", {**SMART, "kid": "k"}, "options.key"),
        ("smart", {**SMART, "jku": "http://iop.example"}, "options.jku"),
        ("smart", {**SMART, "client_auth": "client_secret_post"}, "options.client_auth"),
        ("smart", {**SMART, "tokenurl": URL}, "options.tokenurl"),
    ],
)
def test_a_wrong_option(auth, options, where):
    """Its place is named, and its value, which may be a secret in the wrong place, is not."""
    with pytest.raises(FhirsvcError) as raised:
        check(URL, auth, "", options, {})

    assert (raised.value.category, raised.value.where) == (Category.INVALID, f"connection.{where}")
    assert "BEGIN" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "tls", "where"),
    [
        (URL, {"cert": "a.pem"}, "tls.cert"),
        (URL, {"cert": "env:CERT"}, "tls.cert"),
        (URL, {"key": "file:a.key"}, "tls.cert"),
        (URL, {"certificate": "file:a"}, "tls.certificate"),
        ("http://ehr.example", {"ca": "file:a"}, "base_url"),
    ],
)
def test_wrong_certificates(url, tls, where):
    """A key belongs to a certificate, and both to https."""
    with pytest.raises(FhirsvcError) as raised:
        check(url, "none", "", {}, tls)

    assert raised.value.where == f"connection.{where}"


def test_smart_has_no_secret():
    """What it proves itself by is a key."""
    with pytest.raises(FhirsvcError) as raised:
        check(URL, "smart", "env:X", SMART, {})

    assert raised.value.where == "connection.secret"


def test_every_option_says_what_it_expects():
    """And for whom it is."""
    assert all(option.expected and option.auths for option in OPTIONS.values())


def test_paths():
    """As the transport wants them."""
    assert tls_paths({"cert": "file:/a.pem", "ca": "file:/b"}) == Tls(cert="/a.pem", ca="/b")
