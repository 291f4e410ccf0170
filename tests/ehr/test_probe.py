"""``connect test``'s checks: a good EHR passes, and each fault is found and said."""

from __future__ import annotations

import contextlib
import time
import uuid
from email.utils import formatdate

import orjson
import pytest
import requests
from authority import Authority
from certificates import Issuer
from logins import client_for
from probes import FullFhir, run_on, verdicts
from wire import Wire

from fhirsvc.ehr.assertion import new_key
from fhirsvc.ehr.credentials import SecretAuth
from fhirsvc.ehr.keys import KeyFolder, jwks
from fhirsvc.ehr.probe import Report, probe
from fhirsvc.ehr.probe_run import Subject
from fhirsvc.ehr.simulated_fhir import Reply
from fhirsvc.ehr.transport import Tls


@pytest.fixture(name="wire")
def _wire(clock):
    return Wire(FullFhir(clock))


def faulty(clock, *faults, **more) -> Wire:
    return Wire(FullFhir(clock, faults, **more))


def check(report: Report, id_: str):
    (found,) = [one for one in report.checks if one.id == id_]
    return found


def test_a_good_ehr_passes(wire, clock):
    """All of it, writing too; nothing stays behind."""
    report = run_on(wire, clock, writes=True)

    assert report.verdict == "pass", report.checks
    found = verdicts(report)
    assert {name for name, verdict in found.items() if verdict == "skip"} == {
        "tls",
        "login",
        "clock",
        "batch",
    }
    assert {"Goal.read", "Patient.identifier", "paging", "write.stale", "write.delete"} <= set(
        found
    )
    assert report.capability["resources"]["Basic"] == [
        "create",
        "delete",
        "read",
        "search-type",
        "update",
    ]
    assert orjson.loads(report.statement)["resourceType"] == "CapabilityStatement"
    assert wire.fhir.count("Basic") == 0


def test_it_writes_only_when_told_to(wire, clock):
    """A run without it is reads alone."""
    run_on(wire, clock)

    assert wire.writes == []


def test_what_is_said_names_no_value(wire, clock):
    """Paths and names of parameters: no id, no value, nothing of a resource."""
    report = run_on(wire, clock, writes=True)
    said = [f"{one.title} {one.request} {one.advice}" for one in report.checks]

    assert not [one for one in said if "Zebulonqx" in one or "urn:uuid" in one]
    assert {one.request for one in report.checks if one.request} >= {
        "GET Patient?identifier",
        "GET Patient/[id]",
        "PUT Basic/[id]",
    }


@pytest.mark.parametrize(
    ("fault", "id_", "verdict", "said"),
    [
        ("ignores identifier", "Goal.identifier", "fail", "it is ignored"),
        ("ignores _id", "parameter._id", "warn", "it is ignored"),
        ("ignores _lastUpdated", "parameter._lastUpdated", "warn", "it is ignored"),
        ("lenient", "parameter.unknown", "warn", "ignores what it does not know"),
        ("bare", "outcome", "warn", "without an OperationOutcome"),
        ("no versions", "Goal.read", "warn", "neither ETag nor meta.versionId"),
        ("foreign links", "paging", "fail", "another address"),
        ("overwrites", "write.stale", "warn", "If-Match is ignored"),
        ("doubles", "write.conditional", "fail", "second resource"),
        ("keeps", "write.delete", "warn", "delete it by hand"),
    ],
)
def test_a_fault_is_found(clock, fault, id_, verdict, said):
    """Each by the check that is for it."""
    report = run_on(faulty(clock, fault), clock, writes=True)
    found = [one for one in report.checks if one.id == id_]

    assert verdict in [one.verdict for one in found]
    assert any(said in one.advice for one in found)


def test_links_to_another_address_are_not_followed(clock):
    """Whatever a server says of itself."""
    wire = faulty(clock, "foreign links")
    run_on(wire, clock)

    assert {one.url.split("/")[2] for one in wire.requests} == {"127.0.0.1"}


def test_without_versions_a_stale_write_cannot_be_told(clock):
    """That is said, and nothing is tried."""
    report = run_on(faulty(clock, "no versions"), clock, writes=True)

    assert check(report, "Goal.read").verdict == "warn"
    assert "no versions" in check(report, "write.stale").advice


@pytest.mark.parametrize(("lag", "verdict"), [(0.0, "pass"), (1.0, "pass"), (7.0, "warn")])
def test_the_lag_of_the_index_is_measured(clock, lag, verdict):
    """And the setting that would do is named, when the connection's would not."""
    report = run_on(faulty(clock, index_lag_s=lag), clock, writes=True)
    found = check(report, "write.search")

    assert found.verdict == verdict
    assert verdict == "pass" or "--index-lag 8" in found.advice
    assert found.advice.startswith(f"after {lag:.1f} s")


def test_an_index_that_never_comes(clock):
    """It gives up, and deletes what it made all the same."""
    wire = faulty(clock, index_lag_s=1e9)
    report = run_on(wire, clock, writes=True)

    assert check(report, "write.search").verdict == "fail"
    assert wire.fhir.count("Basic") == 0


def test_without_basic_nothing_is_written(wire, clock):
    """There is nothing harmless to write, and that is no fault."""
    wire.fhir._takes = {one: can for one, can in wire.fhir._takes.items() if one != "Basic"}
    wire.fhir._capability = lambda: super(FullFhir, wire.fhir)._capability()
    report = run_on(wire, clock, writes=True)

    assert check(report, "write").verdict == "skip"
    assert wire.writes == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (requests.ConnectTimeout(), "no answer (connect)"),
        (requests.ReadTimeout(), "no answer (timeout)"),
        (requests.exceptions.SSLError(), "tls"),
    ],
)
def test_nobody_answers(wire, clock, error, said):
    """The run ends there."""
    wire.faults.append(error)
    report = run_on(wire, clock)

    assert (report.is_reached, report.verdict, report.statement) == (False, "fail", "")
    assert said in report.checks[-1].advice
    assert report.checks[-1].id == "reach"


STATEMENT = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
JSON = {"Content-Type": "application/fhir+json"}


@pytest.mark.parametrize(
    ("reply", "verdict", "said"),
    [
        (Reply(200, STATEMENT, JSON), "pass", "FHIR 4.0.1, unnamed software"),
        (Reply(200, STATEMENT, {"Content-Type": "text/html"}), "warn", "Content-Type"),
        (Reply(200, {**STATEMENT, "fhirVersion": "3.0.2"}, JSON), "fail", "FHIR 3.0.2"),
        (Reply(200, {"resourceType": "CapabilityStatement"}, JSON), "fail", "of no version"),
        (Reply(200, {**STATEMENT, "format": ["xml"]}, JSON), "fail", "JSON"),
        (Reply(200, {"resourceType": "Bundle"}, JSON), "fail", "no CapabilityStatement"),
        (Reply(404), "fail", "answered 404"),
        (Reply(302, None, {"Location": "https://x"}), "fail", "answered 302"),
        (Reply(500), "fail", "answered 500"),
    ],
)
def test_metadata(wire, clock, reply, verdict, said):
    """R4 in JSON, or it is said what it is instead."""
    wire.faults.append(reply)
    report = run_on(wire, clock)

    found = check(report, "metadata")
    assert (found.verdict, report.is_reached) == (verdict, True)
    assert said in found.advice
    assert (verdicts(report).get("redirect") == "fail") == (reply.status == 302)


def test_a_statement_of_nonsense(wire, clock):
    """Whatever it holds, there is a report."""
    for rest in (7, [7], [{"resource": 7}], [{"resource": [{"type": 7, "interaction": "x"}]}]):
        wire.faults.append(Reply(200, {**STATEMENT, "rest": rest, "software": [], "format": 1}))
        report = run_on(wire, clock)
        assert "Patient" in check(report, "declared").advice


def test_metadata_behind_a_login(wire, clock):
    """Read with the credential then; the first request has none."""
    wire.faults.append(Reply(401))
    report = run_on(wire, clock, auth=SecretAuth("bearer", lambda: "t"))

    assert check(report, "metadata").verdict == "warn"
    assert ["Authorization" in one.headers for one in wire.requests[:2]] == [False, True]


@pytest.mark.parametrize(
    ("skew", "auth", "verdict"),
    [
        (5, "none", "pass"),
        (-20, "smart", "pass"),
        (120, "none", "warn"),
        (-90, "smart", "fail"),
        (90, "smart", "warn"),
        (400, "smart", "fail"),
    ],
)
def test_clocks(wire, clock, skew, auth, verdict):
    """An assertion is refused by an EHR whose clock is far from ours, by others nothing is."""
    headers = {**JSON, "Date": formatdate(clock() + skew, usegmt=True)}
    wire.faults.append(Reply(200, STATEMENT, headers))
    report = run_on(wire, clock, auth=SecretAuth("bearer", lambda: "t"), kind=auth)

    assert check(report, "clock").verdict == verdict


def test_conditional_writes_that_are_not_there(wire, clock):
    """A connection that counts on them has to be set otherwise."""
    real = wire.fhir._capability

    def without():
        said = real()
        for one in said["rest"][0]["resource"]:
            one["conditionalUpdate"] = False
        return said

    wire.fhir._capability = without
    assert check(run_on(wire, clock), "conditional").verdict == "fail"
    assert check(run_on(wire, clock, write_mode="create"), "conditional").verdict == "pass"


def test_what_is_not_declared_is_listed(wire, clock):
    """It needs another way; that stops nothing."""
    report = run_on(wire, clock, mapped=("Patient", "CarePlan", "CareTeam"))

    found = check(report, "declared")
    assert found.verdict == "warn"
    assert "CarePlan, CareTeam" in found.advice


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(403, "fail"), (401, "fail"), (400, "warn"), (422, "warn"), (501, "fail"), (500, "fail")],
)
def test_a_search_that_is_refused(wire, clock, status, verdict):
    """Though it is declared."""
    wire.faults.extend(["", Reply(status)])
    report = run_on(wire, clock)

    assert check(report, "Goal.search").verdict == verdict


def test_rate_limits_are_seen(wire, clock):
    """In headers, and when they are met."""
    wire.faults.extend(["", Reply(429, None, {"Retry-After": "1"})])
    assert check(run_on(wire, clock), "rate").verdict == "warn"
    wire.faults.append(Reply(200, STATEMENT, {**JSON, "X-RateLimit-Limit": "100"}))
    assert "x-ratelimit-limit" in check(run_on(wire, clock), "rate").advice


# ---- logins and TLS, on loopback ----------------------------------------------------------

OPTIONS = {"client_id": "iop", "scope": "system/*.cruds"}


def run_as(ehr: Authority, auth: str, options, *, keys=None, secret="", tls=None, url="") -> Report:
    subject = Subject(auth, options, "conditional", 2.0, 20.0, ("Patient", "Goal"))
    made = client_for(url or ehr.url, auth, options, keys=keys, secret=secret, tls=tls)
    with contextlib.closing(made) as client:
        return probe(
            client,
            subject,
            now=time.time,
            clock=time.monotonic,
            sleep=time.sleep,
            new_id=lambda: str(uuid.uuid4()),
        )


@pytest.fixture(name="keys")
def _keys(tmp_path):
    folder = KeyFolder(tmp_path / "keys")
    folder.write(new_key("ES384", time.time()))
    return folder


@pytest.fixture(name="ehr")
def _ehr(keys):
    key_set = lambda: jwks(keys.read()[0], time.time())  # noqa: E731 - read at each request
    fhir = FullFhir(time.time)
    with Authority(fhir, secrets={"iop": "s"}, key_set=key_set).running() as server:
        fhir.base = server.url
        yield server


def test_smart_passes(ehr, keys):
    """Configuration, token and scopes, and all that follows."""
    report = run_as(ehr, "smart", OPTIONS, keys=keys)

    assert report.verdict == "pass", report.checks
    found = verdicts(report)
    assert {found[name] for name in ("smart", "login", "scopes", "clock")} == {"pass"}


@pytest.mark.parametrize(
    ("grants", "scope", "said"),
    [
        ({"system/Patient.rs"}, "system/Patient.rs system/Goal.cruds", "system/Goal.crus"),
        ({"system/Patient.rs"}, "system/Patient.rs system/Goal.cruds", "system/Patient.cu"),
        ({"system/*.cruds"}, "system/*.cruds launch", "not granted: launch"),
        (
            {"system/Patient.read", "system/*.write"},
            "system/Patient.read system/*.write",
            "Goal.rs",
        ),
    ],
)
def test_scopes_that_are_not_enough(ehr, keys, grants, scope, said):
    """What is lacking is told as a scope; SMART's first spelling is understood."""
    ehr.grants = grants
    report = run_as(ehr, "smart", {**OPTIONS, "scope": scope}, keys=keys)

    assert check(report, "scopes").verdict == "warn"
    assert said in check(report, "scopes").advice


@pytest.mark.parametrize(
    ("declares", "auth", "options", "verdict", "said"),
    [
        (None, "smart", {}, "warn", "answered 404"),
        (None, "smart", {"token_url": "-"}, "warn", "not needed"),
        ({"token_endpoint": ""}, "smart", {}, "fail", "names no token_endpoint"),
        ({"token_endpoint": "http://x.example/t"}, "smart", {}, "fail", "neither https"),
        (
            {"token_endpoint": "https://x.example/t"},
            "smart",
            {"token_url": "given"},
            "warn",
            "other",
        ),
        (
            {"token_endpoint_auth_methods_supported": ["client_secret_basic"]},
            "smart",
            {},
            "fail",
            "does not offer private_key_jwt",
        ),
        (
            {"token_endpoint_auth_signing_alg_values_supported": ["RS384"]},
            "smart",
            {"alg": "ES384"},
            "fail",
            "does not take ES384",
        ),
        (
            {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
            "oauth2",
            {},
            "warn",
            "does not offer client_secret_basic",
        ),
    ],
)
def test_smart_configurations(ehr, keys, declares, auth, options, verdict, said):
    """What it offers, against what the connection does."""
    ehr.declares = declares
    if "token_url" in options:
        options = {**options, "token_url": ehr.token_url}
    report = run_as(ehr, auth, {**OPTIONS, **options}, keys=keys, secret="s")

    assert check(report, "smart").verdict == verdict
    assert said in check(report, "smart").advice


@pytest.mark.parametrize(
    ("auth", "secret", "said"),
    [
        ("smart", "", "check client_id, the keys it has of us"),
        ("oauth2", "wrong", "check client_id, the secret"),
        ("oauth2", "", "env:SECRET: the secret is not there"),
        ("bearer", "", "env:SECRET: the secret is not there"),
    ],
)
def test_a_login_that_fails(ehr, keys, auth, secret, said):
    """Where to look is said, and the run goes no further."""
    ehr.key_set = lambda: {"keys": []}
    options = OPTIONS if auth in ("smart", "oauth2") else {}
    report = run_as(ehr, auth, options, keys=keys, secret=secret)

    assert check(report, "login").verdict == "fail"
    assert said in check(report, "login").advice
    assert check(report, "read").verdict == "skip"
    assert report.capability["fhir"] == "4.0.1"


def test_a_refused_bearer_token(ehr):
    """A token is there, and the EHR does not take it."""
    report = run_as(ehr, "bearer", {}, secret="old")

    assert check(report, "Patient.search").advice == "our credential is refused"


@pytest.mark.parametrize(
    ("days", "verdict", "said"),
    [(60.5, "pass", "60 days"), (20.5, "warn", "have it renewed"), (2.5, "fail", "renewed now")],
)
def test_the_days_a_certificate_has_left(tmp_path, days, verdict, said):
    """With the version of TLS."""
    issuer = Issuer(tmp_path, "hospital")
    context = issuer.server(issuer.pair("server", days=days))
    with Authority(context=context).running() as ehr:
        report = run_as(ehr, "none", {}, tls=Tls(ca=str(issuer.ca)))

    found = check(report, "tls")
    assert (found.verdict, report.is_reached) == (verdict, True)
    assert found.advice.startswith("TLSv1.3")
    assert said in found.advice


@pytest.mark.parametrize(
    ("tls", "said"),
    [({}, "unable to get local issuer certificate"), ({"ca": "/not/there"}, "connection.tls")],
)
def test_tls_that_fails(tmp_path, tls, said):
    """Why, in words; and that nobody was reached."""
    issuer = Issuer(tmp_path, "hospital")
    with Authority(context=issuer.server(issuer.pair("server"))).running() as ehr:
        report = run_as(ehr, "none", {}, tls=Tls(**tls))

    assert said in check(report, "tls").advice
    assert not report.is_reached


def test_an_expired_certificate(tmp_path):
    """Both checks say it."""
    issuer = Issuer(tmp_path, "hospital")
    with Authority(context=issuer.server(issuer.pair("server", days=-1))).running() as ehr:
        report = run_as(ehr, "none", {}, tls=Tls(ca=str(issuer.ca)))

    assert [one.advice.count("certificate has expired") for one in report.checks] == [1, 1]


@pytest.mark.parametrize(("auth", "verdict"), [("none", "warn"), ("bearer", "fail")])
def test_plain_http_over_a_network(wire, clock, auth, verdict):
    """A credential must not go over it; loopback is another matter."""
    wire.faults.append(requests.ConnectTimeout())
    report = run_on(wire, clock, base="http://ehr.example/fhir", kind=auth)

    assert check(report, "tls").verdict == verdict
