"""From the first account on, pages and /api/v1 ask who is there."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

GOOD = "correct horse battery"
TYPED = "Quibblethwaite-typed-here"
PAGES = ("/", "/deliveries", "/docs", "/records/client/client-01", "/deliveries/1")
API = (
    ("GET", "/api/v1/records/client/client-01"),
    ("PUT", "/api/v1/records/client/client-01"),
    ("DELETE", "/api/v1/records/client/client-01"),
    ("GET", "/api/v1/records/client/client-01/history"),
    ("GET", "/api/v1/records/client/client-01/mapped"),
    ("GET", "/api/v1/records/client/client-01/trace"),
    ("POST", "/api/v1/records"),
    ("GET", "/api/v1/connections"),
    ("GET", "/api/v1/deliveries"),
    ("GET", "/api/v1/deliveries/1"),
    ("POST", "/api/v1/deliveries/1/retry"),
    ("GET", "/api/v1/conflicts"),
    ("POST", "/api/v1/conflicts/1/resolve"),
)
OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/sign-in", "/sign-out"}


@pytest.fixture(name="guarded")
def _guarded(clinic, wiring):
    """The clinic, with an account of a person and of a system."""
    wiring.accounts().add("ann", "case_manager", GOOD)
    wiring.accounts().add("emr", "system")
    return clinic


def _sign_in(web, password=GOOD, **more):
    return web.post("/sign-in", data={"name": "ann", "password": password, **more})


def test_until_there_is_an_account_nobody_has_to(clinic):
    """As on a machine of one's own."""
    assert clinic.get("/").status_code == 200
    assert clinic.get("/api/v1/records/client/client-01").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_and_leads_back(guarded, path):
    """To where somebody wanted to go, once they are in."""
    asked = guarded.get(path)
    assert asked.status_code == 303
    there = urlsplit(asked.headers["Location"])
    assert there.path == "/sign-in"
    (target,) = parse_qs(there.query)["next"]
    assert target == path
    form = guarded.get(asked.headers["Location"])
    assert (form.status_code, "client-01" in form.text.replace(path, "")) == (200, False)
    done = _sign_in(guarded, next=target)
    assert (done.status_code, done.headers["Location"]) == (303, path)
    assert guarded.get(path).status_code in (200, 404)


@pytest.mark.parametrize(("method", "path"), API)
def test_the_api_asks_for_a_token(guarded, wiring, method, path):
    """401 without one, and with a page's session; in with a system's."""
    assert guarded.open(path, method=method, json={}).status_code == 401
    _sign_in(guarded)
    assert guarded.open(path, method=method, json={}).status_code == 401
    for bad in ("Bearer", "Bearer x", "Basic YW5uOng=", f"Bearer {GOOD}"):
        headers = {"Authorization": bad}
        assert guarded.open(path, method=method, json={}, headers=headers).status_code == 401
    headers = {"Authorization": f"Bearer {wiring.accounts().token('emr')}"}
    answer = guarded.open(path, method=method, json={}, headers=headers)
    assert answer.status_code not in (401, 403)
    assert guarded.get("/", headers=headers).status_code in (200, 303)


def test_nothing_is_forgotten(guarded):
    """Every route asks, but those that say so here and those of partners."""
    rules = {rule.rule for rule in guarded.application.url_map.iter_rules()}
    told = {re.sub(r"<[^>]*>", "1", rule) for rule in rules}
    partners = ("/fhir", "/oauth", "/.well-known", "/hooks")
    left = {one for one in told if not one.startswith((*partners, "/static"))} - OPEN
    for path in sorted(left):
        statuses = {guarded.open(path, method=m).status_code for m in ("GET", "POST", "PUT")}
        assert statuses <= {303, 401, 405}, path
    assert len(left) >= 13


def test_a_token_is_not_for_pages(guarded, wiring):
    """A system sees none."""
    token = wiring.accounts().token("emr")
    guarded.set_cookie("fhirsvc_session", token)
    assert guarded.get("/").status_code == 303


def test_the_cookie_is_for_this_server_alone(guarded):
    """Not for scripts, not for other sites, not as long as one likes."""
    cookie = _sign_in(guarded).headers["Set-Cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert word in cookie
    assert "Secure" not in cookie
    secure = guarded.post(
        "/sign-in", data={"name": "ann", "password": GOOD}, base_url="https://localhost"
    )
    assert "Secure" in secure.headers["Set-Cookie"]


def test_signing_out_needs_the_form_of_this_session(guarded):
    """A page of another site cannot, and afterwards nobody is in."""
    _sign_in(guarded)
    assert guarded.post("/sign-out", data={"form_token": "x"}).status_code == 403
    page = guarded.get("/").text
    assert ">ann<" in page
    token = re.search(r'name="form_token" value="([^"]+)"', page)[1]
    assert guarded.post("/sign-out", data={"form_token": token}).status_code == 303
    assert guarded.get("/").status_code == 303


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "",
     "\\\\evil.example", "/\tevil", "https:evil.example", "evil"],
)  # fmt: skip
def test_it_leads_nowhere_else(guarded, target):
    """To the first page instead."""
    assert _sign_in(guarded, next=target).headers["Location"] == "/"


def test_a_failure_tells_nothing(guarded, capsys):
    """401 with a page that says that it does not fit; what was typed is in no log and no page."""
    capsys.readouterr()
    for name in ("ann", TYPED, "'><script>"):
        answer = guarded.post("/sign-in", data={"name": name, "password": TYPED})
        assert answer.status_code == 401
        assert "do not fit" in answer.text
        assert TYPED not in answer.text
        assert "Set-Cookie" not in answer.headers
    said = capsys.readouterr()
    assert "sign_in_refused" in said.out
    assert TYPED not in said.out + said.err
