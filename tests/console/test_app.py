"""Pages and API of one process, on a real database, by a client that is no browser."""

from __future__ import annotations

import re

import orjson
import pytest
import structlog

from fhirsvc import shipped
from fhirsvc.app import create_app
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.forward import Mappings
from fhirsvc.records import check
from fhirsvc.settings import load
from fhirsvc.store.connections import NewConnection
from fhirsvc.wiring import build

NASTY = '<script>alert("x")</script>&'
PLANTED = "Quibblethwaite"


@pytest.fixture(scope="module")
def mappings():
    """The shipped mappings."""
    return Mappings.load(shipped.mappings())


@pytest.fixture
def wiring(tmp_path, monkeypatch, mappings):
    """A wired process on an empty database."""
    monkeypatch.chdir(tmp_path)
    settings = load(database_url=f"sqlite:///{tmp_path / 'f.sqlite'}")
    made = build(settings, check=check, mapper=mappings, validate=validate)
    made.database.upgrade()
    yield made
    made.database.dispose()


@pytest.fixture
def web(wiring, mappings):
    """A client of the app."""
    return create_app(wiring, lambda: mappings).test_client()


def first(kind):
    return orjson.loads(shipped.demo()[f"{kind}.ndjson"].splitlines()[0])


def everything(wiring):
    """All of the demo, queued for one connection."""
    new = NewConnection("ehr", "http://127.0.0.1:9/fhir")
    wiring.operator.add_connection(new)
    for data in shipped.demo().values():
        wiring.publisher.accept([orjson.loads(line) for line in data.splitlines()], "corr-1")


def test_pages_of_an_empty_house_say_what_to_do(web):
    """Nothing there is no error."""
    page = web.get("/")
    assert page.status_code == 200
    assert "fhirsvc load" in page.text
    assert "None." in web.get("/deliveries").text


def test_the_home_page_counts(web, wiring):
    """Records by type, deliveries by state; the bar says in words what it shows."""
    everything(wiring)
    page = web.get("/").text
    assert re.search(r"<dd>228</dd>", page)
    assert 'aria-label="Deliveries by state: 228 pending"' in page
    assert ">assessment</a>" in page


def test_every_record_has_a_page_where_every_link_leads_somewhere(web, wiring, mappings):
    """Each in-page link has its target, each id is there once, each element its mapping line."""
    everything(wiring)
    for name, data in shipped.demo().items():
        kind = name.removesuffix(".ndjson")
        record = orjson.loads(data.splitlines()[0])
        page = web.get(f"/records/{kind}/{record['id']}")
        assert page.status_code == 200
        ids = re.findall(r'\bid="([^"]+)"', page.text)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', page.text)) <= set(ids)
        if kind in mappings.records():
            for traced in mappings.explain(record, 8):
                assert all(step.place in page.text for step in traced.trace)


def test_a_field_and_its_element_point_at_each_other(web, wiring):
    """From birth_date to Patient.birthDate and back."""
    wiring.publisher.accept([first("client")])
    page = web.get("/records/client/client-01").text
    line = re.search(r'<li id="(f\d+)"[^>]*><code><span class="name">"birth_date".*?</li>', page)
    target = re.search(r'href="#(e\d+-\d+)"', line[0])[1]
    row = re.search(rf'<tr id="{target}">.*?</tr>', page, re.DOTALL)[0]
    assert "<code>birthDate</code>" in row
    assert f'href="#{line[1]}"' in row
    assert "client/Patient.yaml:" in row


def test_psychotherapy_notes_are_on_no_page(web, wiring):
    """The page says that they are there and not what they say; other notes of the team it shows."""
    plans = [orjson.loads(line) for line in shipped.demo()["care_plan.ndjson"].splitlines()]
    plan = next(one for one in plans if "psychotherapy_notes" in one)
    wiring.publisher.accept([plan])
    page = web.get(f"/records/care_plan/{plan['id']}").text
    assert "psychotherapy_notes" in page
    assert "kept with the record, shown nowhere" in page
    assert "glass orchard" in plan["psychotherapy_notes"]
    assert "glass orchard" not in page


def test_a_form_that_went_along_has_a_page_too(wiring, mappings):
    """The Questionnaire that an assessment's answers name."""
    wiring.companions = mappings.companions
    wiring.publisher.accept([first("assessment")])
    page = (
        create_app(wiring, lambda: mappings)
        .test_client()
        .get("/records/questionnaire/assessment-core")
    )
    assert page.status_code == 200
    assert "Questionnaire" in page.text


def test_what_a_record_says_is_never_markup(web, wiring):
    """On the record's page, on the left and on the right; in a search, too."""
    plan = {**first("care_plan"), "summary": NASTY, "title": NASTY}
    wiring.publisher.accept([plan])
    page = web.get("/records/care_plan/plan-01").text
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in web.get("/", query_string={"find": NASTY}).text


def test_one_match_is_opened_and_many_are_listed(web, wiring):
    """The search is by the beginning of an id; wildcards are letters like others."""
    everything(wiring)
    assert web.get("/?find=client-01").headers["Location"] == "/records/client/client-01"
    assert web.get("/?find=client-").text.count('href="/records/client/') >= 12
    assert "No record has an id" in web.get("/?find=%25").text


def test_deliveries_by_state_with_their_history(web, wiring):
    """Only what was asked for; each leads to its transitions."""
    everything(wiring)
    pending = web.get("/deliveries?state=pending").text
    assert pending.count('class="chip pending"') == 200
    assert "The last 200 of 228" in pending
    assert "None." in web.get("/deliveries?state=dead").text
    assert web.get("/deliveries?state=lost").status_code == 400
    history = web.get("/deliveries/1").text
    assert "Nothing was written for it" in history
    assert 'class="chip pending"' in history
    assert web.get("/deliveries/999").status_code == 404


def test_older_versions_stay_to_be_seen(web, wiring):
    """Each by its number, and linked from the newest."""
    record = first("client")
    wiring.publisher.accept([record])
    wiring.publisher.accept([{**record, "mrn": "CH-2"}])
    newest = web.get("/records/client/client-01").text
    assert "CH-2" in newest
    assert "?version=1" in newest
    assert "CH-20410" in web.get("/records/client/client-01?version=1").text


def test_every_answer_is_guarded_and_nothing_is_inline(web, wiring):
    """A strict CSP, and pages that need nothing it forbids: no script, style or foreign host."""
    everything(wiring)
    for path in ("/", "/deliveries", "/deliveries/1", "/records/client/client-01", "/nowhere"):
        page = web.get(path, headers={"Accept": "text/html"})
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", page.text)
        links = re.findall(r'<(?:link|img|script|iframe)[^>]*(?:href|src)="([^"]+)"', page.text)
        assert all(link.startswith("/static/") for link in links)
        for link in links:
            with web.get(link) as found:
                assert found.status_code == 200


def test_pages_can_be_used_by_keyboard_and_ear(web, wiring):
    """A language, one main, one first heading, a skip link, a label, table headers with scope."""
    everything(wiring)
    for path in ("/", "/deliveries", "/records/client/client-01"):
        page = web.get(path).text
        assert '<html lang="en">' in page
        assert page.count("<h1") == page.count("<main") == 1
        assert 'href="#main"' in page
        assert '<label for="find">' in page
        assert not re.search(r"<th(?![^>]*scope)[ >]", page)


def test_another_host_name_is_refused(web):
    """So that no page elsewhere can read this one through a name that points here."""
    assert web.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert web.get("/", headers={"Host": "localhost:8080"}).status_code == 200
    browser = {"Host": "evil.example", "Accept": "text/html"}
    assert web.get("/", headers=browser).status_code == 400
    assert web.get("/fhir%00", headers=browser).status_code == 404


def test_a_correlation_id_is_taken_given_back_and_logged(web):
    """The caller's where it is one, else a new one."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        answer = web.get("/healthz", headers={"X-Request-ID": "abc-1"})
    assert answer.headers["X-Request-ID"] == "abc-1"
    assert [one["correlation_id"] for one in logs] == ["abc-1"]
    strange = web.get("/healthz", headers={"X-Request-ID": "a b<script>"})
    assert re.fullmatch(r"[0-9a-f]{32}", strange.headers["X-Request-ID"])


def test_the_correlation_id_reaches_the_delivery(web, wiring):
    """From the request that brought the record on to the EHR."""
    wiring.operator.add_connection(NewConnection("ehr", "http://127.0.0.1:9/fhir"))
    web.put(
        "/api/v1/records/client/client-01",
        json=first("client"),
        headers={"X-Request-ID": "from-emr-7"},
    )
    (delivery,) = wiring.operator.deliveries()
    assert delivery.correlation_id == "from-emr-7"


def test_errors_are_pages_for_browsers_and_problems_for_programs(web):
    """The same status, the same words."""
    program = web.get("/records/client/none")
    assert (program.status_code, program.mimetype) == (404, "application/problem+json")
    assert program.json["title"] == "not-found"
    assert program.json["where"] == "client/none"
    assert program.json["correlation_id"] == program.headers["X-Request-ID"]
    page = web.get("/records/client/none", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "no such record" in page.text
    assert web.post("/healthz").status_code == 405


@pytest.mark.parametrize(
    "address",
    [
        "/deliveries/99999999999999999999999",
        "/deliveries/2147483648",
        "/records/client/client-01?version=99999999999999999999",
        "/records/client/client-01?version=0",
        "/records/client/%00",
        "/api/v1/records/client/a%00",
    ],
)
def test_what_no_database_can_hold_is_not_found(web, wiring, address):
    """Numbers and texts beyond what the databases take are no fault of ours."""
    everything(wiring)
    assert web.get("/?find=%00client-01").status_code == 302
    assert web.get(address).status_code == 404


def test_what_goes_wrong_unexpectedly_says_nothing_of_it(wiring):
    """500 and the type in the log; never the text, which may hold values."""

    def fail():
        raise RuntimeError(PLANTED)

    wiring.publisher.accept([first("client")])
    web = create_app(wiring, fail).test_client()
    with structlog.testing.capture_logs() as logs:
        answer = web.get("/records/client/client-01")
    assert answer.status_code == 500
    assert PLANTED not in answer.text + str(logs)
    assert "RuntimeError" in str(logs)


def test_put_get_and_their_versions(web):
    """201, 200, ETag; If-Match and If-None-Match keep two writers apart."""
    record = first("client")
    path = "/api/v1/records/client/client-01"
    made = web.put(path, json=record, headers={"If-None-Match": "*"})
    assert (made.status_code, made.headers["ETag"], made.json["outcome"]) == (
        201,
        'W/"1"',
        "created",
    )
    assert web.get(path).json == record
    assert web.put(path, json=record).json["outcome"] == "unchanged"
    changed = {**record, "mrn": "CH-2"}
    assert web.put(path, json=changed, headers={"If-Match": 'W/"7"'}).status_code == 409
    assert web.put(path, json=changed, headers={"If-None-Match": "*"}).status_code == 409
    assert web.put(path, json=changed, headers={"If-Match": "seven"}).status_code == 400
    assert web.put(path, json=changed, headers={"If-Match": 'W/"1"'}).headers["ETag"] == 'W/"2"'
    assert web.get("/api/v1/records/client/none").status_code == 404


@pytest.mark.parametrize(
    ("body", "kind", "status", "where"),
    [
        (b"{", "application/json", 422, "1:2"),
        (b'{"type":"client","type":"staff"}', "application/json", 422, "1:18"),
        (b"[]", "application/json", 422, "$"),
        (b'{"type":"client","id":"other"}', "application/json", 422, "$"),
        (b'{"type":"client","id":"client-01"}', "application/json", 422, "$.updated_at"),
        (b"{}", "text/plain", 400, "Content-Type"),
    ],
)
def test_a_bad_put_is_refused_with_its_place(web, body, kind, status, where):
    """And nothing is stored."""
    path = "/api/v1/records/client/client-01"
    answer = web.put(path, data=body, content_type=kind)
    assert (answer.status_code, answer.json["where"]) == (status, where)
    assert web.get(path).status_code == 404


def test_delete_and_history(web):
    """A deleted record is gone, its history tells all, and it can be put again."""
    path, record = "/api/v1/records/client/client-01", first("client")
    web.put(path, json=record)

    assert web.delete(path, headers={"If-Match": 'W/"7"'}).status_code == 409
    deleted = web.delete(path, headers={"If-Match": 'W/"1"'})
    assert (deleted.status_code, deleted.headers["ETag"]) == (200, 'W/"2"')
    assert deleted.get_json()["outcome"] == "deleted"
    assert web.get(path).status_code == 410
    assert web.delete(path).status_code == 410
    assert web.delete("/api/v1/records/client/none").status_code == 404
    told = web.get(f"{path}/history").get_json()
    assert [(one["version"], one["deleted"]) for one in told] == [(1, False), (2, True)]
    assert told[0]["record"] == record
    assert web.get("/api/v1/records/client/none/history").status_code == 404
    assert web.put(path, json=record).get_json()["version"] == 3
    assert web.get(path).get_json() == record


def test_a_batch_has_a_result_for_each_line(web):
    """In order; a bad line does not stop the others."""
    good = orjson.dumps(first("client")).decode()
    bad = orjson.dumps({**first("client"), "id": "c-2", "sex": "M"}).decode()
    body = f"{good}\nnonsense\n{bad}\n{good}\n"
    answer = web.post("/api/v1/records", data=body, content_type="application/x-ndjson")
    lines = [orjson.loads(line) for line in answer.data.splitlines()]
    assert [(one["line"], one["outcome"]) for one in lines] == [
        (1, "created"),
        (2, "refused"),
        (3, "refused"),
        (4, "unchanged"),
    ]
    assert lines[2]["findings"][0]["where"] == "$.sex"
    assert '"M"' not in answer.text


def test_health_readiness_and_metrics(web, wiring):
    """Alive is not ready: without the schema it is not."""
    everything(wiring)
    assert web.get("/healthz").text == web.get("/readyz").text == "ok\n"
    metrics = web.get("/metrics").text
    assert 'fhirsvc_deliveries{connection="ehr",state="pending"} 228.0' in metrics
    assert 'fhirsvc_records{type="client"} 12.0' in metrics


def test_without_a_schema_it_is_alive_and_not_ready(tmp_path, mappings):
    """Whoever sends traffic has to know."""
    settings = load(database_url=f"sqlite:///{tmp_path / 'empty.sqlite'}")
    wiring = build(settings, check=check, mapper=mappings, validate=validate)
    web = create_app(wiring, lambda: mappings).test_client()
    assert web.get("/healthz").status_code == 200
    assert web.get("/readyz").status_code == 409
    wiring.database.dispose()


def test_a_name_is_in_no_log_metric_or_address(web, wiring):
    """It may be on the record's page, and nowhere else."""
    record = first("client")
    record["name"]["family"] = PLANTED
    with structlog.testing.capture_logs() as logs:
        web.put("/api/v1/records/client/client-01", json=record)
        web.put("/api/v1/records/client/client-01", json={**record, "sex": PLANTED})
        page = web.get("/records/client/client-01").text
        web.get("/", query_string={"find": PLANTED})
        web.get(f"/records/client/{PLANTED}")
    assert len(logs) == 5
    assert PLANTED in page
    assert not [
        link for link in re.findall(r'(?:href|src|action)="([^"]*)"', page) if PLANTED in link
    ]
    assert PLANTED not in str(logs)
    assert PLANTED not in web.get("/metrics").text
