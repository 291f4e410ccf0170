"""Subscriptions: asked for, told of what changed, in order and by number, whatever fails."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
import partner
import pytest
import responses
import sqlalchemy as sa
import structlog
from flask.testing import FlaskClient

from fhirsvc.app import create_app
from fhirsvc.fhir.subscription import BACKPORT, TOPICS
from fhirsvc.fhir.validate import validate
from fhirsvc.services import notify
from fhirsvc.services.inbound import Inbound
from fhirsvc.services.serve import instant
from fhirsvc.services.watching import Watcher
from fhirsvc.settings import load
from fhirsvc.store import subscriptions
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.received import watch
from fhirsvc.wiring import Wiring, product

ENDPOINT = "https://hospital.example/hook"
TASK = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"
SCOPE = "system/Subscription.cruds system/Task.rs system/Goal.s"
FHIR = "application/fhir+json"
Json = dict[str, Any]


def asked(topic: str = TASK, *filters: str, content: str = "id-only", **channel: Any) -> Json:
    """A Subscription; ``channel`` changes its channel, None leaves an element out."""
    payload = {"url": f"{BACKPORT}backport-payload-content", "valueCode": content}
    made = {
        "type": "rest-hook",
        "endpoint": ENDPOINT,
        "payload": FHIR,
        "_payload": {"extension": [payload]},
        "header": ["X-Secret: s3cret-of-the-hospital"],
        **channel,
    }
    body: Json = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "referrals",
        "criteria": topic,
        "channel": {name: value for name, value in made.items() if value is not None},
    }
    if filters:
        url = f"{BACKPORT}backport-filter-criteria"
        body["_criteria"] = {"extension": [{"url": url, "valueString": one} for one in filters]}
    return body


def seconds(name: str, value: int, kind: str = "valueUnsignedInt") -> Json:
    return {"url": f"{BACKPORT}{name}", kind: value}


@dataclass
class Endpoint:
    """A partner's endpoint: what it answers next, else 200, and what it was told."""

    answers: deque[tuple[int, Json]] = field(default_factory=deque)
    heard: list[Json] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    def __call__(self, request: Any) -> tuple[int, Json, str]:
        status, headers = self.answers.popleft() if self.answers else (200, {})
        bundle = orjson.loads(request.body)
        assert validate(bundle) == []
        self.headers.append(request.headers)
        self.heard.append(bundle)
        return status, headers, "" if status == 204 else "thanks"

    def told(self, kind: str = "event-notification") -> list[list[int]]:
        """The numbers of the events of each notification of a kind."""
        return [numbers(one) for one in self.heard if value(one, "type") == kind]


def parameters(bundle: Json) -> list[Json]:
    return bundle["entry"][0]["resource"]["parameter"]


def value(bundle: Json, name: str) -> Any:
    found = next(one for one in parameters(bundle) if one["name"] == name)
    return next(text for key, text in found.items() if key.startswith("value"))


def parts(bundle: Json) -> list[Json]:
    return [
        {part["name"]: part for part in one["part"]}
        for one in parameters(bundle)
        if one["name"] == "notification-event"
    ]


def numbers(bundle: Json) -> list[int]:
    return [int(one["event-number"]["valueString"]) for one in parts(bundle)]


@dataclass
class Desk:
    """The clinic, a partner with a token, and its endpoint."""

    wiring: Wiring
    web: FlaskClient
    endpoint: Endpoint
    referral: Json
    clock: Any
    jti: int = 0

    def token(self, scope: str = SCOPE, name: str = partner.NAME) -> Json:
        self.jti += 1
        claims = {"iss": name, "sub": name, "jti": f"jti-{self.jti}"}
        assertion = partner.sound(self.clock(), **claims)
        answer = self.web.post("/oauth/token", data=partner.form(assertion, scope=scope))
        return {"Authorization": f"Bearer {answer.json['access_token']}"}

    def send(self, method: str, path: str = "", body: Json | None = None, **how: Any) -> Any:
        headers = {**how.pop("token", self.token()), "Content-Type": FHIR, **how.pop("headers", {})}
        data = None if body is None else orjson.dumps(body)
        url = f"/fhir/Subscription{path}"
        return self.web.open(url, method=method, data=data, headers=headers, **how)

    def create(self, body: Json | None = None, **how: Any) -> str:
        answer = self.send("POST", "", asked() if body is None else body, **how)
        assert answer.status_code == 201, answer.text
        where = f"http://localhost/fhir/Subscription/{answer.json['id']}"
        assert answer.headers["Location"] == where
        return str(answer.json["id"])

    def active(self, body: Json | None = None) -> str:
        """A Subscription whose handshake was taken."""
        made = self.create(body)
        self.work()
        assert self.read(made)["status"] == "active"
        return made

    def read(self, id: str) -> Json:
        answer = self.send("GET", f"/{id}")
        assert validate(answer.json) == []
        return dict(answer.json)

    def work(self) -> int:
        """What is due is done; in how many pieces."""
        notifier = self.wiring.notifier()
        done = next(n for n in range(100) if not notifier.piece())
        notifier.close()
        return done

    def change(self, *clients: str) -> None:
        """Another urgency of referrals: a new version of a ServiceRequest and a Task each."""
        is_urgent = self.referral["priority"] == "urgent"
        self.referral["priority"] = "routine" if is_urgent else "urgent"
        wanted = clients or (self.referral["client_id"],)
        found = self.wiring.publisher.accept([{**self.referral, "client_id": c} for c in wanted])
        assert found.count("changed") == len(wanted)


@pytest.fixture(name="endpoint")
def _endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.add_callback("POST", ENDPOINT, made)
        yield made


@pytest.fixture(name="desk")
def _desk(wiring, web, demo, clock, endpoint) -> Desk:
    wiring.partners.register(partner.NAME, SCOPE, jwks=partner.key_set())
    wiring.partners.register("other", "system/*.cruds", jwks=partner.key_set())
    referral = next(dict(one) for one in demo if one["type"] == "referral")
    wiring.publisher.accept([referral])
    return Desk(wiring, web, endpoint, referral, clock)


def test_from_the_handshake_to_the_first_event(desk):
    """Requested until its endpoint takes the handshake; then each change is told, once."""
    made = desk.create()
    assert desk.read(made)["status"] == "requested"
    assert desk.work() == 1
    assert desk.read(made)["status"] == "active"
    handshake = desk.endpoint.heard[0]
    assert [value(handshake, name) for name in ("type", "status")] == ["handshake", "requested"]
    assert len(handshake["entry"]) == 1
    headers = desk.endpoint.headers[0]
    assert headers["X-Secret"] == "s3cret-of-the-hospital"
    assert headers["Content-Type"] == FHIR
    assert "Authorization" not in headers

    desk.change()
    assert desk.work() == 1

    told = desk.endpoint.heard[1]
    address = f"http://localhost/fhir/Subscription/{made}"
    assert value(told, "subscription") == {"reference": address}
    assert value(told, "topic") == TASK
    assert value(told, "events-since-subscription-start") == "1"
    assert told["entry"][0]["request"] == {"method": "GET", "url": f"{address}/$status"}
    task = "Task/referral.referral-01-1.task"
    focus = {"reference": f"http://localhost/fhir/{task}"}
    assert parts(told)[0]["focus"]["valueReference"] == focus
    entry = told["entry"][1]
    assert entry["fullUrl"] == focus["reference"]
    assert entry["request"] == {"method": "PUT", "url": task}
    assert "resource" not in entry
    assert desk.work() == 0


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_what_goes_along(desk, content):
    """Nothing that names a resource; its address; the resource as it is when it is sent."""
    desk.active(asked(content=content))
    desk.change()
    desk.work()
    told = desk.endpoint.heard[-1]
    assert ("focus" in parts(told)[0]) == (content != "empty")
    assert ("referral" in orjson.dumps(told).decode()) == (content != "empty")
    resources = [one["resource"] for one in told["entry"][1:] if "resource" in one]
    assert [one["priority"] for one in resources] == (
        [desk.referral["priority"]] if content == "full-resource" else []
    )
    assert len(told["entry"]) == (1 if content == "empty" else 2)


FILTERS = [
    (("Task?patient=Patient/client.client-01",), 1),
    (("Task?patient=client.client-01",), 1),
    (("patient=Patient%2Fclient.client-01",), 1),
    (("Task?patient=Patient/client.client-02",), 0),
    (("Task?patient=client.client-02,client.client-01",), 1),
    (("Task?owner=Organization/organization.org-willow",), 1),
    (("Task?owner=http://localhost/fhir/Organization/organization.org-willow",), 1),
    (("Task?owner=Organization/organization.org-other",), 0),
    (("Task?requester=Practitioner/staff.staff-delgado&status=in-progress",), 1),
    (("Task?requester=Practitioner/staff.staff-delgado&status=completed",), 0),
    (("Task?requester=Practitioner/staff.staff-delgado", "Task?status=completed"), 0),
    (("Task?status:not=completed",), 1),
    (("Task?code=http://hl7.org/fhir/CodeSystem/task-code|fulfill",), 1),
    (("Task?code=http://hl7.org/fhir/CodeSystem/task-code|approve",), 0),
]


def test_filters(desk):
    """Those of a search by words: all have to hold, of one any of its values."""
    made = {desk.create(asked(TASK, *filters)): filters for filters, _ in FILTERS}
    desk.work()
    desk.endpoint.heard.clear()
    desk.change()
    desk.work()
    told = [value(one, "subscription")["reference"][-32:] for one in desk.endpoint.heard]
    assert {made[one] for one in told} == {filters for filters, expected in FILTERS if expected}
    assert len(told) == len(set(told))


def test_each_topic_is_about_its_type(desk, demo):
    """And each type has a topic of ours; Gravity's two are beside them."""
    desk.wiring.partners.register("all", "system/*.cruds", jwks=partner.key_set())
    token = desk.token("system/*.cruds", "all")
    made = {topic: desk.create(asked(topic), token=token) for topic in TOPICS}
    desk.work()
    desk.endpoint.heard.clear()
    desk.change()
    desk.work()
    told = {value(one, "subscription")["reference"] for one in desk.endpoint.heard}
    about = {"Task", "ServiceRequest"}
    expected = {made[topic] for topic, type_ in TOPICS.items() if type_ in about}
    assert {one.rpartition("/")[2] for one in told} == expected
    assert len(expected) == 4
    assert set(TOPICS.values()) >= {"Task", "ServiceRequest", "QuestionnaireResponse", "CarePlan"}


def test_what_is_deleted_and_what_is_new(desk):
    """A deletion is filtered by what was said last; a creation is a POST."""
    desk.active(asked(TASK, "Task?patient=client.client-01", content="full-resource"))
    desk.wiring.publisher.delete(("referral", desk.referral["id"]))
    desk.wiring.publisher.accept([{**desk.referral, "id": "referral-new"}])
    desk.work()
    entries = [one for bundle in desk.endpoint.heard[1:] for one in bundle["entry"][1:]]
    found = [(one["request"]["method"], "resource" in one) for one in entries]
    assert found == [("DELETE", False), ("POST", True)]
    assert desk.endpoint.told() == [[1, 2]]


def test_no_event_without_the_change(desk):
    """Both are in one transaction: one that is rolled back leaves neither."""
    made = desk.active()

    def breaks(tx: sa.Connection, _receipt: object) -> None:
        noted = subscriptions.events(tx, made, 1, 9, 9)
        assert len(noted) == 1
        raise RuntimeError("the transaction breaks")

    with pytest.raises(RuntimeError):
        desk.wiring.publisher.accept_one({**desk.referral, "priority": "urgent"}, also=breaks)

    assert desk.work() == 0
    desk.change()
    desk.work()
    assert desk.endpoint.told() == [[1]]


def test_the_same_again_is_no_event(desk):
    """A record that changes nothing, and resources that other mappings make the same."""
    desk.active()
    desk.wiring.publisher.accept([desk.referral])
    assert desk.work() == 0


def test_many_records_at_once_are_told_as_they_are_served(desk, catch_up, demo):
    """They are served by the worker later, and told then."""
    desk.active(asked(content="empty"))
    referrals = [one for one in demo if one["type"] == "referral"]
    many = [{**referrals[0], "id": f"many-{number}"} for number in range(150)]
    desk.wiring.publisher.accept(many)
    assert desk.work() == 0
    catch_up(desk.wiring)
    assert desk.work() == 2
    assert [len(one) for one in desk.endpoint.told()] == [100, 50]
    assert [one for told in desk.endpoint.told() for one in told] == list(range(1, 151))


def test_a_notification_has_as_many_events_as_its_client_takes(desk):
    """max-count; in order."""
    extension = [seconds("backport-max-count", 2, "valuePositiveInt")]
    desk.active(asked(extension=extension))
    for _ in range(5):
        desk.change()
    desk.work()
    assert desk.endpoint.told() == [[1, 2], [3, 4], [5]]


# ---- what fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [(500, {}), (404, {}), (302, {"Location": "https://x.example"})])
def test_a_handshake_that_is_not_taken(desk, answer):
    """error, and why; no redirect is followed; its client makes it active again, nobody else."""
    desk.endpoint.answers.append(answer)
    made = desk.create()
    desk.work()
    found = desk.read(made)
    assert found["status"] == "error"
    assert found["error"] == f"the endpoint did not take the handshake: status {answer[0]}"
    assert desk.work() == 0
    assert len(desk.endpoint.heard) == 1

    answer = desk.send("PUT", f"/{made}", {**found, "status": "requested"})

    assert (answer.status_code, answer.json["status"]) == (200, "requested")
    assert "error" not in answer.json
    desk.work()
    assert desk.read(made)["status"] == "active"


def test_a_notification_that_is_not_taken_comes_again(desk):
    """Later and later, the same events by the same numbers; nothing is left out."""
    made = desk.active()
    desk.endpoint.answers.extend([(500, {}), (429, {"Retry-After": "120"}), (503, {})])
    waits = []
    for _ in range(3):
        desk.change()
        assert desk.work() <= 1
        with desk.wiring.database.read() as tx:
            row = subscriptions.get(tx, partner.NAME, made)
        waits.append(row.next_at - desk.clock())
        desk.clock.now = row.next_at
    assert 2.5 <= waits[0] <= 5
    assert waits[1] == 120
    assert 10 <= waits[2] <= 20
    desk.work()
    assert desk.endpoint.told() == [[1], [1, 2], [1, 2, 3], [1, 2, 3]]
    assert desk.read(made)["status"] == "active"


def test_after_the_last_try_it_is_in_error_until_its_client_comes(desk):
    """Events are counted meanwhile, may be asked for, and are told when it is active again."""
    made = desk.active()
    desk.endpoint.answers.extend([(500, {})] * notify.MOST_FAILURES)
    desk.change()
    for _ in range(notify.MOST_FAILURES + 2):
        desk.work()
        desk.clock.now += notify.LONGEST_S
    assert len(desk.endpoint.told()) == notify.MOST_FAILURES
    found = desk.read(made)
    assert found["status"] == "error"
    assert found["error"] == "the endpoint did not take 10 notifications: status 500"
    desk.change()
    assert desk.work() == 0
    assert numbers(desk.send("GET", f"/{made}/$events").json) == [1, 2]

    desk.send("PUT", f"/{made}", {**found, "status": "active"})
    desk.work()

    assert [value(one, "type") for one in desk.endpoint.heard[-2:]] == [
        "handshake",
        "event-notification",
    ]
    assert numbers(desk.endpoint.heard[-1]) == [1, 2]
    assert desk.read(made)["status"] == "active"


def test_events_that_are_too_old_leave_a_gap_that_is_seen(desk):
    """They are not kept for ever: what is told then is how many there were."""
    made = desk.active()
    desk.send("PUT", f"/{made}", {**desk.read(made), "status": "off"})
    desk.change()  # while it is off nothing is counted
    desk.send("PUT", f"/{made}", {**desk.read(made), "status": "requested"})
    desk.change()
    desk.change()
    later = desk.clock() + notify.KEPT_S + 1
    desk.wiring.database.run(lambda tx: subscriptions.forget(tx, later))

    desk.work()
    desk.change()
    desk.work()

    beat, told = desk.endpoint.heard[-2:]
    assert (value(beat, "type"), parts(beat)) == ("heartbeat", [])
    assert value(beat, "events-since-subscription-start") == "2"
    assert numbers(told) == [3]


def test_a_heartbeat_where_nothing_happens(desk):
    """So long after what was heard last; not where none is asked for."""
    desk.active(asked())
    desk.active(asked(extension=[seconds("backport-heartbeat-period", 60)]))
    desk.clock.now += 59
    assert desk.work() == 0
    desk.clock.now += 1
    assert desk.work() == 1
    assert desk.endpoint.told("heartbeat") == [[]]
    desk.clock.now += 30
    desk.change()
    desk.work()
    desk.clock.now += 59
    assert desk.work() == 0
    desk.clock.now += 1
    assert desk.work() == 1


def test_an_end_is_kept(desk):
    """From that moment it is off, and nothing more is sent."""
    made = desk.active({**asked(), "end": instant(desk.clock() + 60)})
    desk.clock.now += 61
    desk.change()
    desk.work()
    assert desk.endpoint.told() == []
    assert desk.read(made)["status"] == "off"


def test_several_workers_share(desk, database_url):
    """Each event once and in order, though eight look for something to do at the same time."""
    extension = [seconds("backport-max-count", 1, "valuePositiveInt")]
    made = [desk.active(asked(extension=extension)) for _ in range(3)]
    for _ in range(10):
        desk.change()
    notifiers = [desk.wiring.notifier() for _ in range(8)]

    def work(notifier: Any) -> None:
        quiet = 0
        while quiet < 3:
            quiet = 0 if notifier.piece() else quiet + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, notifiers))
    desk.work()  # what the last of them was too early for

    told: dict[str, list[int]] = {}
    for one in desk.endpoint.heard:
        told.setdefault(value(one, "subscription")["reference"][-32:], []).extend(numbers(one))
    assert told == {id_: list(range(1, 11)) for id_ in made}


def test_a_worker_that_dies_is_followed_by_another(desk):
    """Not before its time is over; then what it had in hand is sent again."""
    made = desk.active()
    desk.change()
    now = desk.clock()
    dead = desk.wiring.database.run(lambda tx: subscriptions.claim(tx, "dead", now, notify.LEASE_S))
    assert dead.id == made
    assert desk.work() == 0
    desk.clock.now += notify.LEASE_S
    assert desk.work() == 1
    assert desk.endpoint.told() == [[1]]


def test_what_its_client_changes_meanwhile_stands(desk):
    """Whoever has it in hand comes back to another Subscription, and changes nothing of it."""
    made = desk.active()
    body = desk.read(made)

    class Slow:
        def __init__(self, inner: Endpoint) -> None:
            self.inner, self.is_first = inner, True

        def __call__(self, request: Any) -> Any:
            if self.is_first:
                self.is_first = False
                desk.send("PUT", f"/{made}", {**body, "status": "off"})
            return self.inner(request)

    with responses.RequestsMock() as mock:
        mock.add_callback("POST", ENDPOINT, Slow(desk.endpoint))
        desk.change()
        desk.work()
    assert desk.read(made)["status"] == "off"


# ---- who may, and what is refused ---------------------------------------------------------------


def test_a_client_sees_its_own_and_no_others(desk):
    """What is another's is not there: not to read, change, end, search, ask about."""
    mine = desk.create()
    other = desk.token("system/*.cruds", "other")
    theirs = desk.create(token=other)
    for how in (
        {"method": "GET", "path": f"/{mine}"},
        {"method": "PUT", "path": f"/{mine}", "body": {**asked(), "id": mine}},
        {"method": "DELETE", "path": f"/{mine}"},
        {"method": "GET", "path": f"/{mine}/$status"},
        {"method": "GET", "path": f"/{mine}/$events"},
    ):
        answer = desk.send(**how, token=other)
        assert answer.status_code == 404, how
        assert answer.json["resourceType"] == "OperationOutcome"
    assert [one["resource"]["id"] for one in desk.send("GET").json["entry"]] == [mine]
    found = desk.send("GET", "/$status", token=other).json["entry"]
    assert [one["fullUrl"].split("/")[-2] for one in found] == [theirs]


@pytest.mark.parametrize(
    ("scope", "method", "content", "status"),
    [
        ("system/Task.rs", "POST", "id-only", 403),
        ("system/Subscription.rud system/Task.rs", "POST", "id-only", 403),
        ("system/Subscription.c", "POST", "id-only", 403),
        ("system/Subscription.c system/Task.r", "POST", "id-only", 403),
        ("system/Subscription.c system/Task.s", "POST", "full-resource", 403),
        ("system/Subscription.c system/Task.s", "POST", "empty", 201),
        ("system/Subscription.c system/Task.rs", "POST", "full-resource", 201),
        ("system/Subscription.c", "GET", "", 403),
        ("system/Subscription.r", "GET", "", 403),
        ("system/Subscription.s", "GET", "", 200),
    ],
)
def test_scopes(desk, scope, method, content, status):
    """Letters of Subscription, and of the type that is to be heard of: s, and r for its content."""
    body = asked(content=content) if method == "POST" else None
    answer = desk.send(method, "", body, token=desk.token(scope))
    assert answer.status_code == status, answer.text


def test_without_a_token_nobody_subscribes(desk):
    """Not even where the setting lets anybody in: notifications go to those who are known."""
    answer = desk.send("POST", "", asked(), token={})
    assert answer.status_code == 403


def test_a_client_that_is_revoked_hears_nothing_more(desk):
    """Its Subscriptions are off, and stay so when its name is registered anew."""
    made = desk.active()
    desk.wiring.partners.revoke(partner.NAME)
    desk.wiring.partners.register(partner.NAME, SCOPE, jwks=partner.key_set())
    desk.change()
    assert desk.work() == 0
    assert desk.read(made)["status"] == "off"


def test_what_its_client_may_not_see_any_more_is_not_sent(desk):
    """Scopes are looked at each time, as they are registered then."""
    made = desk.active()
    with desk.wiring.database.write() as tx:
        tx.execute(sa.text("UPDATE partner SET scope = 'system/Subscription.cruds'"))
    desk.change()
    desk.work()
    assert desk.endpoint.told() == []
    assert desk.read(made)["status"] == "error"


def test_what_was_allowed_is_not_sent_where_it_is_not_any_more(desk):
    """An endpoint on this machine, after the setting that allowed it was taken back."""
    made = desk.active()
    with desk.wiring.database.write() as tx:
        body = orjson.loads(subscriptions.get(tx, partner.NAME, made).body)
        body["channel"]["endpoint"] = "http://127.0.0.1:1/hook"
        subscriptions.change(tx, made, body=orjson.dumps(body).decode())
    desk.change()
    desk.work()
    assert desk.read(made)["error"] == "its endpoint is not one that may be sent to"


WRONG: dict[str, tuple[Json, str]] = {
    "no topic": ({**asked(), "criteria": "Task?"}, "Subscription.criteria"),
    "another's topic": (asked("https://other.example/topic"), "Subscription.criteria"),
    "e-mail": (asked(type="email"), "Subscription.channel.type"),
    "websocket": (asked(type="websocket"), "Subscription.channel.type"),
    "no endpoint": (asked(endpoint=None), "Subscription.channel.endpoint"),
    "http": (asked(endpoint="http://hospital.example/"), "Subscription.channel.endpoint"),
    "this machine": (asked(endpoint="http://127.0.0.1/"), "Subscription.channel.endpoint"),
    "a password": (asked(endpoint="https://a:b@h.example/"), "Subscription.channel.endpoint"),
    "a file": (asked(endpoint="file:///etc/passwd"), "Subscription.channel.endpoint"),
    "xml": (asked(payload="application/fhir+xml"), "Subscription.channel.payload"),
    "no payload": (asked(payload=None), "Subscription.channel.payload"),
    "no content": (asked(_payload=None), "Subscription.channel.payload.extension"),
    "a header that is ours": (asked(header=["Host: x"]), "Subscription.channel.header[0]"),
    "a header twice": (asked(header=["X-A: 1", "x-a: 2"]), "Subscription.channel.header[1]"),
    "no header": (asked(header=["X-A"]), "Subscription.channel.header[0]"),
    "two in one": (asked(header=["X-A: 1\r\nX-B: 2"]), "Subscription.channel.header[0]"),
    "eleven headers": (asked(header=[f"X-{n}: 1" for n in range(11)]),
                       "Subscription.channel.header"),
    "a filter of another type": (asked(TASK, "Goal?patient=1"), "Subscription.criteria.extension"),
    "a filter by a date": (asked(TASK, "Task?modified=gt2026"), "Subscription.criteria.extension"),
    "a filter by nothing": (asked(TASK, "Task?"), "Subscription.criteria.extension"),
    "a filter by what is not there": (asked(TASK, "Task?x=1"), "Subscription.criteria.extension"),
    "a filter by missing": (asked(TASK, "Task?owner:missing=true"),
                            "Subscription.criteria.extension"),
    "a filter of bad values": (asked(TASK, "Task?owner=a,,b"), "Subscription.criteria.extension"),
    "too fast a heartbeat": (asked(extension=[seconds("backport-heartbeat-period", 1)]),
                             "Subscription.channel.extension"),
    "too long a wait": (asked(extension=[seconds("backport-timeout", 3600)]),
                        "Subscription.channel.extension"),
    "over": ({**asked(), "end": "2020-01-01T00:00:00Z"}, "Subscription.end"),
    "no reason": ({k: v for k, v in asked().items() if k != "reason"}, "Subscription.reason"),
    "an element that is none": ({**asked(), "topic": TASK}, "Subscription"),
    "another resource": ({"resourceType": "Task"}, "resourceType"),
}  # fmt: skip


def test_what_is_not_offered_is_refused_at_its_place(desk):
    """422 with the element; nothing is kept, nothing is ignored."""
    token, found = desk.token(), {}
    for name, (body, _) in WRONG.items():
        answer = desk.send("POST", "", body, token=token)
        found[name] = answer.status_code, answer.json["issue"][0].get("expression")
    assert found == {name: (422, [where]) for name, (_, where) in WRONG.items()}
    assert desk.send("GET").json["total"] == 0


def test_a_body_that_is_none(desk):
    """Its form and its place."""
    token = desk.token()
    answers = [
        desk.web.post("/fhir/Subscription", data=b"{", headers={**token, "Content-Type": FHIR}),
        desk.web.post("/fhir/Subscription", data=b"[]", headers={**token, "Content-Type": FHIR}),
        desk.web.post("/fhir/Subscription", data=b"x", headers={**token, "Content-Type": "a/b"}),
    ]
    assert [one.status_code for one in answers] == [400, 400, 415]


def test_versions_and_the_end(desk):
    """If-Match holds on changes; the topic stays; what is deleted is gone, with its secrets."""
    made = desk.active()
    desk.change()
    body = desk.read(made)
    old = {"headers": {"If-Match": 'W/"9"'}}
    assert desk.send("PUT", f"/{made}", body, **old).status_code == 412
    assert desk.send("DELETE", f"/{made}", **old).status_code == 412
    assert desk.send("PUT", f"/{made}", body, headers={"If-Match": "x"}).status_code == 400
    other = {**body, "criteria": "urn:fhirsvc:SubscriptionTopic:Goal"}
    answer = desk.send("PUT", f"/{made}", other)
    assert answer.json["issue"][0]["expression"] == ["Subscription.criteria"]
    assert desk.send("PUT", f"/{made}", {**body, "id": "x"}).status_code == 422
    same = desk.send("PUT", f"/{made}", body, headers={"If-Match": 'W/"1"'})
    assert same.headers["ETag"] == 'W/"2"'

    assert desk.send("DELETE", f"/{made}").status_code == 204
    assert desk.send("DELETE", f"/{made}").status_code == 204
    assert desk.send("GET", f"/{made}").status_code == 410
    assert desk.send("PUT", f"/{made}", body).status_code == 410
    assert desk.send("GET", "").json["total"] == 0
    desk.change()
    assert desk.work() == 0
    with desk.wiring.database.read() as tx:
        assert tx.execute(sa.select(subscriptions.subscription.c.body)).scalars().all() == ["{}"]
        assert tx.execute(sa.select(subscriptions.subscription_event)).all() == []


def test_searching_and_asking_how_it_is(desk):
    """By status, topic, endpoint and id; unknown parameters are refused; Parameters are R4."""
    first, second = desk.active(), desk.create(asked("urn:fhirsvc:SubscriptionTopic:Goal"))
    desk.change()
    desk.change()
    desk.work()
    for query, expected in (
        ("status=active", {first, second}),
        ("status=error,off", set()),
        (f"_id={second}", {second}),
        (f"criteria={TASK}", {first}),
        (f"url={ENDPOINT}&criteria={TASK}", {first}),
    ):
        found = desk.send("GET", f"?{query}").json
        assert {one["resource"]["id"] for one in found.get("entry", [])} == expected, query
        assert validate(found) == []
    assert desk.send("GET", "?name=x").status_code == 400
    assert desk.send("GET", "?_id=x&_id=y").status_code == 400

    status = desk.send("GET", f"/{first}/$status").json
    assert validate(status) == []
    told = {one["name"]: one for one in status["entry"][0]["resource"]["parameter"]}
    assert told["type"]["valueCode"] == "query-status"
    assert told["events-since-subscription-start"]["valueString"] == "2"
    assert len(desk.send("GET", f"/$status?id={second}").json["entry"]) == 1

    events = desk.send("GET", f"/{first}/$events?eventsSinceNumber=2&content=full-resource").json
    assert validate(events) == []
    assert (value(events, "type"), numbers(events)) == ("query-event", [2])
    assert events["entry"][1]["resource"]["resourceType"] == "Task"
    until = desk.send("GET", f"/{first}/$events?eventsUntilNumber=1&content=empty").json
    assert (numbers(until), len(until["entry"])) == ([1], 1)
    assert desk.send("GET", f"/{first}/$events?eventsSinceNumber=x").status_code == 400
    assert desk.send("GET", f"/{first}/$events?content=all").status_code == 422
    narrow = desk.token("system/Subscription.r system/Task.s")
    full = f"/{first}/$events?content=full-resource"
    assert desk.send("GET", full, token=narrow).status_code == 403


def test_the_capability_statement_says_so(desk):
    """Topics, interactions and operations; what it names is answered."""
    found = desk.web.get("/fhir/metadata").json
    assert validate(found) == []
    own = next(one for one in found["rest"][0]["resource"] if one["type"] == "Subscription")
    assert {one["valueCanonical"] for one in own["extension"]} == set(TOPICS)
    made = desk.create()
    samples = {"_id": made, "criteria": TASK, "status": "requested", "url": ENDPOINT}
    for one in own["searchParam"]:
        assert desk.send("GET", f"?{one['name']}={samples[one['name']]}").json["total"] == 1
    for one in own["operation"]:
        assert desk.send("GET", f"/{made}/${one['name']}").status_code == 200
    answers = {
        "create": desk.send("POST", "", asked()),
        "read": desk.send("GET", f"/{made}"),
        "update": desk.send("PUT", f"/{made}", {**asked(), "id": made}),
        "search-type": desk.send("GET", ""),
        "delete": desk.send("DELETE", f"/{made}"),
    }
    assert {one["code"] for one in own["interaction"]} == answers.keys()
    assert all(one.status_code < 300 for one in answers.values())


def test_a_client_has_a_hundred_at_most(desk, monkeypatch):
    """One more is refused until another is ended."""
    monkeypatch.setattr("fhirsvc.services.subscribing.MOST", 2)
    made = [desk.create(), desk.create()]
    assert desk.send("POST", "", asked()).status_code == 409
    desk.send("DELETE", f"/{made[0]}")
    desk.create()


def test_nothing_of_a_client_or_a_secret_is_in_a_log(desk):
    """Ids, kinds and counts; the header's secret and the endpoint go nowhere but there."""
    with structlog.testing.capture_logs() as logs:
        made = desk.active(asked(content="full-resource"))
        desk.endpoint.answers.append((500, {}))
        desk.change()
        desk.work()
    told = str(logs)
    assert [one["kind"] for one in logs if one["event"] == "notified"] == [
        "handshake",
        "event-notification",
    ]
    assert made in told
    for secret in ("s3cret", "hospital.example", "client-01", "referral-01"):
        assert secret not in told


def test_our_own_watcher_hears_it(desk, clock):
    """The other end of the same promise: one fhirsvc hears what another tells."""
    made = desk.active()
    desk.change()
    desk.change()
    desk.work()
    there = desk.wiring.database
    wants = Inbound(subscribe=(TASK,), hook_secret="env:HOOK")
    new = NewConnection("clinic", "http://localhost/fhir", inbound={
        "subscribe": list(wants.subscribe), "hook_secret": wants.hook_secret})  # fmt: skip
    connection = desk.wiring.operator.add_connection(new)
    row = {"connection_id": connection.id, "criteria": TASK, "remote_id": made}
    with there.write() as tx:
        tx.execute(sa.insert(watch).values(
            **row, state="requested", last_event=0, heartbeat_s=300.0, updated_at=0.0))  # fmt: skip
    watcher = Watcher(there, lambda _: None, clock, lambda _: "pst", lambda: "x")

    heard = [watcher.hear("clinic", "pst", one, "") for one in desk.endpoint.heard]

    assert [(one.kind, one.hints, one.has_gap) for one in heard] == [
        ("handshake", 0, False),
        ("event-notification", 1, False),
    ]


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.headers["Content-Type"], orjson.loads(data)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args):
        pass


def test_over_a_real_socket(database_url, clock, late, demo):
    """On this machine, where the setting allows it; without it nothing is sent there."""
    server = HTTPServer(("127.0.0.1", 0), _Hook)
    server.heard = []
    serving = threading.Thread(target=server.serve_forever, args=(0.02,))
    serving.start()
    made = product(load(database_url=database_url, partners_private=True), mappings=late)
    made.clock = clock
    made.database.upgrade()
    made.partners.register(partner.NAME, SCOPE, jwks=partner.key_set())
    referral = next(dict(one) for one in demo if one["type"] == "referral")
    web = create_app(made, lambda: late.mappings).test_client()
    desk = Desk(made, web, Endpoint(), referral, clock)
    try:
        desk.create(asked(endpoint=f"http://127.0.0.1:{server.server_port}/hook"))
        made.publisher.accept([referral])
        assert desk.work() == 2
        made.settings = load(database_url=database_url)
        desk.change()
        desk.work()
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
        made.database.dispose()
    assert [(kind, value(one, "type")) for kind, one in server.heard] == [
        (FHIR, "handshake"),
        (FHIR, "event-notification"),
    ]
