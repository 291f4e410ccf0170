"""Searching at /fhir: what is found is what resources say, page by page; the rest is refused."""

from __future__ import annotations

import base64

import orjson
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shipped_clinic import mappings

from fhirsvc.fhir.search_parameters import TYPES, parameters
from fhirsvc.fhir.validate import validate

PLANTED = "Quibblethwaite"


def _ids(answer):
    assert answer.status_code == 200, answer.text
    assert validate(answer.json) == []
    return [
        one["resource"]["id"]
        for one in answer.json.get("entry", [])
        if one["search"]["mode"] == "match"
    ]


@pytest.fixture(scope="module")
def made(demo):
    """What the demo clinic maps to, by type."""
    found = {}
    for record in demo:
        for resource in mappings().forward(record, 8):
            found.setdefault(resource["resourceType"], []).append(resource)
    return found


def _coded(*path):
    def codes(resource):
        nodes = [resource]
        for name in path:
            inner = [node.get(name) for node in nodes if node.get(name) is not None]
            nodes = [one for node in inner for one in (node if isinstance(node, list) else [node])]
        return {
            (coding.get("system"), coding["code"])
            for node in nodes
            for coding in node.get("coding", [])
        }

    return codes


def _subject(resource):
    return resource.get("subject", resource.get("for", {})).get("reference")


SCT = "http://snomed.info/sct"
CASES = [
    ("CarePlan", "status=active", lambda r: r["status"] == "active"),
    ("CarePlan", "status=active,revoked", lambda r: r["status"] in ("active", "revoked")),
    ("CarePlan", "status:not=active", lambda r: r["status"] != "active"),
    ("CarePlan", "patient=client.client-01", lambda r: _subject(r) == "Patient/client.client-01"),
    ("CarePlan", "subject=client.client-01", lambda r: _subject(r) == "Patient/client.client-01"),
    (
        "CarePlan",
        "subject:Patient=client.client-01",
        lambda r: _subject(r) == "Patient/client.client-01",
    ),
    (
        "CarePlan",
        "patient=http://localhost/fhir/Patient/client.client-01&status=active",
        lambda r: _subject(r) == "Patient/client.client-01" and r["status"] == "active",
    ),
    ("CarePlan", "patient=Group/client.client-01", lambda r: False),
    ("CarePlan", "identifier=plan-01", lambda r: r["identifier"][0]["value"] == "plan-01"),
    ("CarePlan", "identifier=urn:fhirsvc:care-plan|plan-01", lambda r: r["id"].endswith("plan-01")),
    ("CarePlan", "identifier=|plan-01", lambda r: False),
    ("CarePlan", "goal:missing=true", lambda r: not r.get("goal")),
    ("CarePlan", "goal:missing=false", lambda r: bool(r.get("goal"))),
    ("ServiceRequest", "code=306226009", lambda r: (SCT, "306226009") in _coded("code")(r)),
    ("ServiceRequest", f"code={SCT}|306226009", lambda r: (SCT, "306226009") in _coded("code")(r)),
    ("ServiceRequest", f"code={SCT}|", lambda r: any(s == SCT for s, _ in _coded("code")(r))),
    ("ServiceRequest", "code=urn:x|306226009", lambda r: False),
    ("ServiceRequest", "authored=2026-03-05", lambda r: r["authoredOn"].startswith("2026-03-05")),
    ("ServiceRequest", "authored=2026-03", lambda r: r["authoredOn"].startswith("2026-03")),
    ("ServiceRequest", "authored=ne2026-03", lambda r: not r["authoredOn"].startswith("2026-03")),
    ("ServiceRequest", "authored=gt2026-03-05", lambda r: r["authoredOn"][:10] > "2026-03-05"),
    ("ServiceRequest", "authored=le2026-03-05", lambda r: r["authoredOn"][:10] <= "2026-03-05"),
    (
        "ServiceRequest",
        "authored=ge2026-03-01&authored=lt2026-03-10",
        lambda r: "2026-03-01" <= r["authoredOn"][:10] < "2026-03-10",
    ),
    ("Task", "patient=client.client-01", lambda r: _subject(r) == "Patient/client.client-01"),
    (
        "Task",
        "focus=ServiceRequest/referral.referral-01-1",
        lambda r: r.get("focus", {}).get("reference") == "ServiceRequest/referral.referral-01-1",
    ),
    (
        "Observation",
        "component-code:missing=false",
        lambda r: any(_coded("code")(c) for c in r.get("component", [])),
    ),
    ("Patient", "_id=client.client-01,client.client-02", lambda r: r["id"][-2:] in ("01", "02")),
    ("Patient", "family=E", lambda r: r["name"][0]["family"].lower().startswith("e")),
    ("Patient", "family:exact=e", lambda r: r["name"][0]["family"] == "e"),
    ("Patient", "name:contains=RC", lambda r: "rc" in orjson.dumps(r["name"]).decode().lower()),
    ("Patient", "gender=female", lambda r: r.get("gender") == "female"),
    ("Patient", "birthdate=lt1990", lambda r: r["birthDate"] < "1990"),
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory, late, demo, catch_up):
    """The demo clinic, served once for all that only reads."""
    from fhirsvc.app import create_app
    from fhirsvc.settings import load
    from fhirsvc.wiring import product

    path = tmp_path_factory.mktemp("search") / "f.sqlite"
    wired = product(load(database_url=f"sqlite:///{path}", fhir_open=True), mappings=late)
    wired.database.upgrade()
    wired.publisher.accept(demo)
    catch_up(wired)
    yield create_app(wired, lambda: late.mappings).test_client()
    wired.database.dispose()


@pytest.mark.parametrize(
    ("kind", "query", "is_meant"), CASES, ids=[c[0] + "?" + c[1] for c in CASES]
)
def test_what_is_found_is_what_is_meant(asked, made, kind, query, is_meant):
    """As one would find it by reading everything; as many as are counted; by POST as well."""
    wanted = sorted(one["id"] for one in made[kind] if is_meant(one))
    assert sorted(_ids(asked.get(f"/fhir/{kind}?{query}&_count=1000"))) == wanted
    assert asked.get(f"/fhir/{kind}?{query}&_summary=count").json["total"] == len(wanted)
    form = "application/x-www-form-urlencoded"
    posted = asked.post(f"/fhir/{kind}/_search", data=f"{query}&_count=1000", content_type=form)
    assert sorted(_ids(posted)) == wanted


def test_the_table_finds_something():
    """Of the cases that should find anything the clinic has examples."""
    assert sum("lambda r: False" not in str(case) for case in CASES) > 25


@pytest.mark.parametrize("kind", TYPES)
def test_every_parameter_of_every_type_is_answered(asked, made, kind):
    """With and without it are all there are; each value that is kept finds its resource."""
    everything = asked.get(f"/fhir/{kind}?_summary=count").json["total"]
    assert everything == len({one["id"] for one in made.get(kind, [])}) or kind == "Questionnaire"
    for name in parameters(kind):
        counted = [
            asked.get(f"/fhir/{kind}?{name}:missing={word}&_summary=count").json["total"]
            for word in ("true", "false")
        ]
        assert sum(counted) == everything, name


@pytest.mark.parametrize(
    "sort", ["", "_sort=_id", "_sort=-_id", "_sort=_lastUpdated", "_sort=-_lastUpdated"]
)
def test_pages_have_everything_once(asked, made, sort):
    """In the order asked for, whatever is asked; links name no word of the search."""
    url, seen = f"/fhir/Observation?status=final,amended&_count=17&{sort}", []
    while url:
        answer = asked.get(url)
        seen += _ids(answer)
        url = next((o["url"] for o in answer.json["link"] if o["relation"] == "next"), None)
        assert url is None or "final" not in url
    assert len(seen) == len(set(seen)) == len(made["Observation"])
    if "_id" in sort:
        assert seen == sorted(seen, reverse="-" in sort)


def test_pages_stay_whole_while_data_changes(clinic, wiring, demo, clock):
    """What was there at the beginning and stays is seen, and nothing is seen twice."""
    first = clinic.get("/fhir/Goal?_count=5").json
    before = {one["id"] for one in _all(clinic, "/fhir/Goal?_count=1000")}
    clock.now += 10
    goals = [one for one in demo if one["type"] == "goal"]
    wiring.publisher.accept([{**one, "statement": "Other words"} for one in goals[::2]])
    wiring.publisher.accept([{**goals[0], "id": f"new-{n}"} for n in range(10)])
    url = next(one["url"] for one in first["link"] if one["relation"] == "next")
    seen = [one["resource"]["id"] for one in first["entry"]]
    seen += [one["id"] for one in _all(clinic, url)]
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def _all(web, url):
    while url:
        bundle = web.get(url).json
        yield from (one["resource"] for one in bundle.get("entry", []))
        url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), None)


def test_what_is_referred_to_goes_along(asked):
    """_include follows a reference, _revinclude finds what refers; each resource comes once."""
    query = "_id=referral.referral-01-1&_include=ServiceRequest:patient"
    query += (
        "&_include=ServiceRequest:requester&_revinclude=Task:focus&_revinclude=Provenance:target"
    )
    entries = asked.get(f"/fhir/ServiceRequest?{query}").json["entry"]
    modes = [(one["resource"]["resourceType"], one["search"]["mode"]) for one in entries]
    assert modes.count(("ServiceRequest", "match")) == 1
    assert modes.count(("Patient", "include")) == 1
    assert modes.count(("Practitioner", "include")) == 1
    assert modes.count(("Task", "include")) == 1
    assert modes.count(("Provenance", "include")) >= 4
    assert len({one["fullUrl"] for one in entries}) == len(entries)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("nothing=1", "nothing"),
        ("status:text=active", "status:text"),
        ("status:above=active", "status:above"),
        ("patient.name=x", "patient.name"),
        ("_has:Task:focus:status=x", "_has:Task:focus:status"),
        ("_sort=status", "_sort"),
        ("_summary=true", "_summary"),
        ("_elements=id", "_elements"),
        ("_total=some", "_total"),
        ("_count=-1", "_count"),
        ("_count=1&_count=2", "_count"),
        ("date=ap2026", "date"),
        ("date=2026-13", "date"),
        ("date=today", "date"),
        ("status=", "status"),
        ("status=a,,b", "status"),
        ("identifier=a|b|c", "identifier"),
        ("patient=a/b/c", "patient"),
        ("goal:missing=perhaps", "goal:missing"),
        ("_include=*", "_include"),
        ("_include=Task:focus", "_include"),
        ("_include=CarePlan:status", "_include"),
        ("_include:iterate=CarePlan:goal", "_include:iterate"),
        ("_page=none.WzFd", "_page"),
        ("_page=none", "_page"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(asked, query, named):
    """400, and the outcome says which parameter: nothing is ignored."""
    answer = asked.get(f"/fhir/CarePlan?{query}")
    assert answer.status_code == 400
    assert named in answer.json["issue"][0]["details"]["text"]
    assert validate(answer.json) == []


def test_a_search_is_gone_on_with_by_whoever_began_it_and_in_time(clinic, clock):
    """An hour later, for another type or at a place that is none it is refused."""
    link = clinic.get("/fhir/Goal?_count=5").json["link"][1]["url"]
    assert clinic.get(link).status_code == 200
    token = link.partition("_page=")[2].partition(".")[0]
    assert clinic.get(link.replace("/Goal", "/Task")).status_code == 400
    for place in ("[1,2]", "{}", '["x", []]', "[true]", "[99999999999999999999]", "[null]"):
        told = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
        assert clinic.get(f"/fhir/Goal?_page={token}.{told}").status_code == 400
    clock.now += 3700
    assert clinic.get(link).status_code == 400


def test_a_name_that_is_searched_for_is_in_no_log_and_no_link(asked):
    """Nor in what is refused."""
    with structlog.testing.capture_logs() as logs:
        answers = [
            asked.get(f"/fhir/Patient?{query}")
            for query in (f"nothing={PLANTED}", f"birthdate={PLANTED}", f"_count={PLANTED}")
        ]
        form = {"family": PLANTED, "_count": "1"}
        answers.append(asked.post("/fhir/Patient/_search", data=form))
    assert len(logs) == 4
    assert PLANTED not in str(logs)
    assert not any(PLANTED in one.text for one in answers)


_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", ",", "|", "\\", "a,b", "%", "_", "2026", "ge2026-01-01", "\0", "x" * 900]),
)
_NAMES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["_id", "_count", "_sort", "_page", "_include", "_revinclude", "_lastUpdated"]),
    st.sampled_from(sorted({name for kind in TYPES for name in parameters(kind)})),
    st.sampled_from(["status:not", "family:exact", "name:contains", "patient:Patient", "_since"]),
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(TYPES), st.lists(st.tuples(_NAMES, _TEXTS), max_size=4), st.booleans())
def test_no_query_breaks_it(asked, kind, query, posted):
    """Any names and values are answered or refused with an outcome, and nothing is ever a 500."""
    if posted:
        answer = asked.post(f"/fhir/{kind}/_search", data=dict(query))
    else:
        answer = asked.get(f"/fhir/{kind}", query_string=query)
    assert answer.status_code in (200, 400, 406, 415)
    assert answer.json["resourceType"] in ("Bundle", "OperationOutcome")
