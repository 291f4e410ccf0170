"""Subscriptions at EHRs: asked for, heard, followed by number, and made active again."""

from __future__ import annotations

import orjson
import pytest
import responses
from flask import Flask
from tiny import FakeClock
from wire import BASE

from fhirsvc.api.hooks import hooks
from fhirsvc.api.problems import register
from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.client import Client, Limits
from fhirsvc.ehr.credentials import NoAuth
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.watching import SECRET_HEADER, Watcher
from fhirsvc.store import connections, cursors, inbox, watches
from fhirsvc.store.connections import NewConnection

TOPIC = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"
INBOUND = {
    "poll_s": 60,
    "subscribe": [TOPIC, "Goal?"],
    "hook_secret": "env:HOOK",
    "heartbeat_s": 60,
}


class Desk:
    """A connection with two subscriptions, and what the EHR is asked."""

    def __init__(self, database, clock: FakeClock) -> None:
        self.database, self.clock = database, clock
        new = NewConnection("hospital", BASE, inbound=INBOUND)
        database.run(lambda tx: connections.add(tx, new, clock()))
        database.run(lambda tx: cursors.want(tx, 1, ["Goal", "Task"], clock() + 9000))
        bucket = TokenBucket(1000.0, 1000, clock, clock.sleep)
        client = Client(BASE, NoAuth(), bucket, Limits(), clock)
        self.watcher = Watcher(
            database,
            lambda _: client,
            clock,
            lambda _: "s3cret\n",
            lambda: "corr",
            "https://clinic.example/",
        )

    def watch(self, criteria=TOPIC):
        with self.database.read() as tx:
            return {one.criteria: one for one in watches.of(tx, 1)}[criteria]

    def tend(self):
        self.clock.sleep(61)
        self.watcher.tend()

    def hear(self, body, secret="s3cret", path=""):
        return self.watcher.hear("hospital", secret, body, path)

    def cursors(self):
        with self.database.read() as tx:
            return {one.resource_type: one for one in cursors.every(tx, 1)}

    def hints(self):
        with self.database.read() as tx:
            found = inbox.waiting(tx, 1, self.clock())
        return [(one.resource_type, one.remote_id, one.source) for one in found]


@pytest.fixture(name="ehr")
def _ehr():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture(name="desk")
def _desk(database, clock, ehr):
    """Both subscriptions are made."""

    def made(request):
        body = orjson.loads(request.body)
        name = "topic" if "://" in body["criteria"] else "plain"
        return 201, {}, orjson.dumps({**body, "id": name, "status": "requested"}).decode()

    ehr.add_callback("POST", f"{BASE}/Subscription", made)
    desk = Desk(database, clock)
    desk.tend()
    return desk


def notification(kind="event-notification", events=(), newest=0, state="active", focus=True):
    parts = []
    for number, reference in events:
        part = [{"name": "event-number", "valueString": str(number)}]
        if focus:
            part.append({"name": "focus", "valueReference": {"reference": reference}})
        parts.append({"name": "notification-event", "part": part})
    parameters = [
        {"name": "subscription", "valueReference": {"reference": f"{BASE}/Subscription/topic"}},
        {"name": "status", "valueCode": state},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(newest)},
        *parts,
    ]
    resource = {"resourceType": "Parameters", "parameter": parameters}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": resource}]}


def test_what_the_ehr_is_asked(desk, ehr):
    """A topic as the backport says, a search as R4 does; both with the secret to send along."""
    bodies = {one["criteria"]: one for one in (orjson.loads(c.request.body) for c in ehr.calls)}

    channel = bodies[TOPIC]["channel"]
    assert channel["endpoint"] == "https://clinic.example/hooks/hospital"
    assert channel["header"] == [f"{SECRET_HEADER}: s3cret"]
    assert channel["_payload"]["extension"][0]["valueCode"] == "id-only"
    assert "_payload" not in bodies["Goal?"]["channel"]
    assert {desk.watch().state, desk.watch("Goal?").state} == {"requested"}


def test_handshake_events_and_their_order(desk):
    """The handshake makes it active; events leave hints; none is missing: nothing is compared."""
    assert desk.hear(notification("handshake")).kind == "handshake"
    assert desk.watch().state == "active"

    heard = desk.hear(notification(events=[(1, "Task/7"), (2, f"{BASE}/Task/8")], newest=2))

    assert (heard.hints, heard.has_gap) == (2, False)
    assert desk.hints() == [("Task", "7", "hook"), ("Task", "8", "hook")]
    assert desk.watch().last_event == 2
    again = desk.hear(notification(events=[(2, "Task/8")], newest=2))
    assert not again.has_gap
    assert len(desk.hints()) == 2


def test_a_missing_number_makes_everything_be_compared(desk):
    """Event 3 never came: what it was about is found by comparing."""
    desk.hear(notification(events=[(1, "Task/7"), (2, "Task/8")], newest=2))

    heard = desk.hear(notification(events=[(4, "Task/9")], newest=4))

    assert heard.has_gap
    assert all(one.next_at <= desk.clock() for one in desk.cursors().values())
    assert all(one.compared_at is None for one in desk.cursors().values())


def test_an_empty_notification_makes_us_read(desk):
    """One without a focus says only that something changed."""
    desk.hear(notification(events=[(1, "")], newest=1, focus=False))

    assert all(one.next_at <= desk.clock() for one in desk.cursors().values())


def test_a_heartbeat_that_counts_more_events_is_a_gap(desk):
    """The sign of life says how many there were: two were never heard."""
    assert desk.hear(notification("heartbeat", newest=2)).has_gap


def test_silence_is_looked_into(desk, ehr):
    """Nothing for two heartbeats: still active at the EHR, but what it said may be lost."""
    desk.hear(notification("handshake"))
    ehr.get(f"{BASE}/Subscription/topic", json={"resourceType": "Subscription", "status": "active"})
    ehr.get(f"{BASE}/Subscription/plain", json={"resourceType": "Subscription", "status": "active"})
    desk.clock.sleep(200)

    desk.tend()

    assert all(one.next_at <= desk.clock() for one in desk.cursors().values())
    assert desk.watch().heard_at == desk.clock()


@pytest.mark.parametrize("state", ["error", "off"])
def test_one_that_ended_is_made_active_again(desk, ehr, state):
    """The client has to: PUT with status requested, and everything is compared."""
    desk.hear(notification("handshake"))
    for name in ("topic", "plain"):
        body = {"resourceType": "Subscription", "id": name, "status": state}
        ehr.get(f"{BASE}/Subscription/{name}", json=body)
        ehr.put(f"{BASE}/Subscription/{name}", json={**body, "status": "requested"})
    desk.clock.sleep(200)

    desk.tend()

    puts = [c for c in ehr.calls if c.request.method == "PUT" and c.request.url.endswith("topic")]
    (sent,) = [orjson.loads(one.request.body) for one in puts]
    assert (sent["status"], sent["id"]) == ("requested", "topic")
    assert desk.watch().state == "requested"


def test_one_that_is_gone_is_made_anew(desk, ehr):
    """The EHR lost it: it is asked for again at the next look."""
    ehr.get(f"{BASE}/Subscription/topic", status=404)
    ehr.get(f"{BASE}/Subscription/plain", status=404)
    desk.clock.sleep(200)
    desk.tend()
    assert desk.watch().remote_id is None

    desk.tend()

    assert desk.watch().remote_id == "topic"


@pytest.mark.parametrize("secret", ["", "s3cre", "s3cret ", "S3CRET"])
def test_a_wrong_secret(desk, secret):
    """Whoever does not know the secret is not heard."""
    with pytest.raises(FhirsvcError) as raised:
        desk.hear(notification("handshake"), secret=secret)

    assert raised.value.category == Category.UNAUTHENTICATED
    assert desk.watch().state == "requested"


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "history", "entry": []},
        {"resourceType": "Bundle", "type": "history", "entry": [{"resource": 7}]},
        {"resourceType": "Bundle", "type": "history", "entry": "no"},
    ],
)
def test_what_is_no_notification(desk, body):
    """It is refused, and where the first entry should be is said."""
    with pytest.raises(FhirsvcError) as raised:
        desk.hear(body)

    assert raised.value.where == "Bundle.entry[0]"


def test_odd_numbers_break_nothing(desk):
    """Numbers that are none, or absurd, are none."""
    body = notification(events=[(1, "Task/7")], newest=1)
    parameters = body["entry"][0]["resource"]["parameter"]
    parameters[3]["valueString"] = "9" * 40
    parameters.append({"name": "notification-event", "part": "nonsense"})

    assert desk.hear(body).hints == 1


@pytest.fixture(name="web")
def _web(desk):
    app = Flask("tests")
    register(app, str)
    app.register_blueprint(hooks(lambda: desk.watcher))
    return app.test_client()


def test_hooks_over_http(web, desk):
    """200 with the secret, whatever the way in; 401 without, 404 elsewhere, 4xx for nonsense."""
    named = {SECRET_HEADER: "s3cret"}
    body = orjson.dumps(notification("handshake"))

    assert web.post("/hooks/hospital", data=body, headers=named).status_code == 200
    assert web.post("/hooks/hospital", data=body).status_code == 401
    assert web.post("/hooks/elsewhere", data=body, headers=named).status_code == 404
    assert web.post("/hooks/hospital", data=b"", headers=named).status_code == 200
    assert web.put("/hooks/hospital/Goal/5", data=b"", headers=named).status_code == 200
    assert web.post("/hooks/hospital", data=b"{", headers=named).status_code in (400, 422)
    assert web.post("/hooks/hospital", data=b"[]", headers=named).status_code == 422
    assert ("Goal", "5", "hook") in desk.hints()
