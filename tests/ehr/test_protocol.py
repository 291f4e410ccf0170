"""The write protocol against a simulated EHR: whatever goes wrong, the resource exists once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from wire import Wire, client_on

from fhirsvc.ehr.content import fingerprint, remote_fingerprint
from fhirsvc.ehr.protocol import (
    Dice,
    Known,
    OpenAttempt,
    Stopped,
    Wanted,
    Writer,
    Written,
)
from fhirsvc.ehr.search import Reader
from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir
from fhirsvc.errors import Category

SYSTEM = "urn:example:goal"


@dataclass
class Memory:
    """A journal that remembers in this process what the real one writes to disk."""

    known: Known = field(default_factory=Known)
    said: list[tuple[str, ...]] = field(default_factory=list)
    acked: tuple[str, int] | None = None

    def check(self):
        """Nobody stopped it."""

    def begin(self, method, wanted):
        self.said.append(("begin", method))
        opened = OpenAttempt(len(self.said), wanted.hash, wanted.version, wanted.body, 1e12)
        self.known = replace(self.known, open=opened)
        return opened.id

    def end(self, attempt, outcome, answer=None):
        self.said.append(("end", outcome))
        self.known = replace(self.known, open=None)

    def unknown(self, attempt, settle_at, status):
        self.said.append(("unknown",))
        self.known = replace(self.known, open=replace(self.known.open, settle_at=settle_at))

    def ack(self, attempt, outcome, remote, acked, status=None):
        self.said.append(("ack", outcome))
        self.acked = (acked.hash, acked.version) if acked else None
        self.known = Known(remote.id, remote.etag, remote_fingerprint(remote.body))


@dataclass
class Desk:
    """A writer, its memory and the EHR at the other end."""

    fhir: SimulatedFhir
    wire: Wire
    memory: Memory
    clock: object
    mode: str
    lag: float = 2.0

    def write(self, text="walk", version=1):
        client = client_on(self.wire, self.clock)
        reader = Reader(client, "corr", self.clock)
        dice = Dice(self.clock(), 0.5, 0)
        writer = Writer(reader, self.memory, self.mode, self.lag, dice)
        return writer.write(wanted(text, version), self.memory.known)

    @property
    def held(self):
        """The text of every Goal the EHR holds."""
        bundle = self.fhir.handle("GET", "/Goal", "", {}, b"").body
        return [entry["resource"]["description"]["text"] for entry in bundle.get("entry", [])]

    @property
    def remote_id(self):
        return self.memory.known.remote_id


def wanted(text="walk", version=1) -> Wanted:
    body = {
        "resourceType": "Goal",
        "identifier": [{"system": SYSTEM, "value": "g-1"}],
        "lifecycleStatus": "active",
        "description": {"text": text},
        "subject": {"display": "somebody"},
    }
    return Wanted("Goal", SYSTEM, "g-1", body, fingerprint(body), version)


@pytest.fixture(params=["conditional", "create"])
def desk(request, clock):
    """A writer in each of the two modes."""
    return _desk(clock, request.param)


def _desk(clock, mode, **options):
    fhir = SimulatedFhir(clock, **options)
    return Desk(fhir, Wire(fhir), Memory(), clock, mode)


def test_first_write(desk):
    """The resource is there once, and its id and version are remembered."""
    result = desk.write()

    assert isinstance(result, Written)
    assert desk.held == ["walk"]
    assert desk.memory.known.etag == 'W/"1"'
    assert desk.memory.acked == (wanted().hash, 1)
    assert desk.memory.said[0][0] == "begin"  # noted before it was made


def test_how_each_mode_writes_first(clock):
    """Conditional updates by identifier; create searches, then posts with the same condition."""
    conditional, create = _desk(clock, "conditional"), _desk(clock, "create")

    conditional.write()
    create.write()

    query = "identifier=urn%3Aexample%3Agoal%7Cg-1"
    assert conditional.wire.seen == [("PUT", f"/Goal?{query}")]
    assert create.wire.seen == [("GET", f"/Goal?{query}"), ("POST", "/Goal")]
    condition = create.wire.requests[1].headers["If-None-Exist"]
    assert condition == f"identifier={SYSTEM}|g-1"


def test_an_update_is_by_id_and_version(desk):
    """A known resource is updated under its remote id, if nobody changed it."""
    desk.write()
    desk.wire.seen.clear()

    desk.write("run", 2)

    assert desk.wire.seen == [("PUT", f"/Goal/{desk.remote_id}")]
    assert desk.wire.requests[-1].headers["If-Match"] == 'W/"1"'
    assert desk.held == ["run"]
    assert desk.memory.acked == (wanted("run", 2).hash, 2)


@pytest.mark.parametrize("fault", ["reset", "drop"])
def test_a_lost_answer_is_looked_for(desk, fault):
    """After a lost answer nothing is written before it was looked for, and it exists once."""
    desk.wire.faults.extend(["", fault] if desk.mode == "create" else [fault])

    first = desk.write()
    early = desk.write()
    desk.clock.now += first.decision.delay
    desk.wire.seen.clear()
    late = desk.write()

    assert (first.decision.action, early.decision.action) == ("retry", "retry")
    assert first.decision.delay >= desk.lag
    assert isinstance(late, Written)
    assert desk.wire.seen[0][0] == "GET"
    assert len(desk.wire.writes) == (1 if fault == "reset" else 0)
    assert desk.held == ["walk"]


def test_a_slow_index_makes_no_double(clock):
    """A search that does not show a fresh create yet is waited for, not believed."""
    desk = _desk(clock, "create", index_lag_s=1.5)
    desk.wire.faults.extend(["", Reply(500)])
    desk.write()
    desk.fhir.handle("POST", "/Goal", "", {}, _json(wanted().body))  # it was stored all the same
    clock.now += 1.0
    early = desk.write()
    clock.now += 1.0
    result = desk.write()

    assert early.decision.detail == "not known yet"
    assert isinstance(result, Written)
    assert desk.held == ["walk"]


def test_a_late_commit_makes_no_double(desk):
    """A create that was given up waiting for is given the time that EHRs were seen to take."""
    desk.wire.faults.extend(["", Reply(504)] if desk.mode == "create" else [Reply(504)])
    first = desk.write()
    desk.clock.now += 100
    early = desk.write()
    desk.fhir.handle("POST", "/Goal", "", {}, _json(wanted().body))
    desk.clock.now += 22

    late = desk.write()

    assert first.decision.delay == 122.0
    assert early.decision.detail == "not known yet"
    assert isinstance(late, Written)
    assert desk.held == ["walk"]


def test_a_lost_answer_to_an_older_version(desk):
    """What was sent is adopted, and the newer version goes on top of it."""
    desk.wire.faults.extend(["", "drop"] if desk.mode == "create" else ["drop"])
    desk.clock.now += desk.write("walk", 1).decision.delay

    result = desk.write("run", 2)

    assert isinstance(result, Written)
    assert desk.held == ["run"]
    assert desk.wire.writes[-1] == ("PUT", f"/Goal/{desk.remote_id}")


@pytest.mark.parametrize("fault", ["reset", "drop"])
def test_a_lost_answer_to_an_update(desk, fault):
    """The version at the EHR tells whether the update arrived; it is made once."""
    desk.write()
    desk.wire.faults.append(fault)
    desk.write("run", 2)
    desk.clock.now += desk.lag

    result = desk.write("run", 2)

    history = desk.fhir.handle("GET", f"/Goal/{desk.remote_id}/_history", "", {}, b"").body
    assert isinstance(result, Written)
    assert desk.held == ["run"]
    assert history["total"] == 2


def test_a_crash_before_the_answer_was_noted(desk):
    """An attempt that is simply open is treated as a lost answer."""
    desk.write()
    body = wanted("run", 2)
    known = desk.memory.known
    desk.fhir.handle("PUT", f"/Goal/{known.remote_id}", "", {}, _json(body.body, known.remote_id))
    desk.memory.known = replace(known, open=OpenAttempt(9, body.hash, 2, body.body, 0.0))

    result = desk.write("run", 2)

    assert isinstance(result, Written)
    assert ("ack", "adopted") in desk.memory.said
    assert len(desk.wire.writes) == 1


def test_a_bare_success_is_read_back(desk):
    """A success without ETag, Location and body is looked up before it is believed."""
    desk.wire.faults.extend(["", "bare"] if desk.mode == "create" else ["bare"])

    result = desk.write()

    assert isinstance(result, Written)
    assert desk.memory.known.etag == 'W/"1"'


def test_a_success_that_cannot_be_seen(clock):
    """A bare success that no search shows stays open, and is adopted when it appears."""
    desk = _desk(clock, "conditional", index_lag_s=1.0)
    desk.wire.faults.append("bare")

    first = desk.write()
    clock.now += desk.lag
    second = desk.write()

    assert (first.decision.action, first.decision.detail) == ("retry", "not seen yet")
    assert isinstance(second, Written)
    assert desk.held == ["walk"]


def test_a_success_that_committed_nothing(desk):
    """An EHR that says yes and stores nothing is asked again, not believed."""
    lie = Reply(200)
    desk.wire.faults.extend(["", lie] if desk.mode == "create" else [lie])

    first = desk.write()
    desk.clock.now += desk.lag
    second = desk.write()

    assert first.decision.action == "retry"
    assert isinstance(second, Written)
    assert desk.held == ["walk"]


def test_two_matches_are_held(desk):
    """Which of two to keep, when one holds what we did not write, is a person's decision."""
    for _ in range(2):
        desk.fhir.handle("POST", "/Goal", "", {}, _json(wanted("theirs").body))

    result = desk.write()

    assert isinstance(result, Stopped)
    assert (result.decision.action, result.decision.category) == ("hold", Category.CONFLICT)
    assert result.decision.detail == "2 match the identifier and differ"
    assert desk.held == ["theirs", "theirs"]


def test_what_is_there_already_is_adopted(clock):
    """In create mode a resource under our identifier with our content needs no write."""
    desk = _desk(clock, "create")
    desk.fhir.handle("POST", "/Goal", "", {}, _json(wanted().body))

    result = desk.write()

    assert isinstance(result, Written)
    assert desk.wire.writes == []


def test_what_is_there_with_other_content_is_updated(clock):
    """In create mode a resource under our identifier is updated under its version."""
    desk = _desk(clock, "create")
    desk.fhir.handle("POST", "/Goal", "", {}, _json(wanted("old").body))

    result = desk.write()

    assert isinstance(result, Written)
    assert desk.held == ["walk"]
    assert [method for method, _ in desk.wire.writes] == ["PUT"]


def test_changed_at_the_ehr_is_held(desk):
    """What somebody changed at the EHR is not overwritten."""
    desk.write()
    target = f"/Goal/{desk.remote_id}"
    desk.fhir.handle("PUT", target, "", {}, _json(wanted("theirs").body, desk.remote_id))

    result = desk.write("run", 2)

    assert (result.decision.action, result.decision.detail) == ("hold", "changed at the EHR")
    assert desk.held == ["theirs"]


def test_touched_but_not_changed_is_written(desk):
    """A new version with the same content is no conflict."""
    desk.write()
    target = f"/Goal/{desk.remote_id}"
    desk.fhir.handle("PUT", target, "", {}, _json(wanted("walk").body, desk.remote_id))

    result = desk.write("run", 2)

    assert isinstance(result, Written)
    assert desk.held == ["run"]


def test_the_same_change_at_the_ehr_is_adopted(desk):
    """When the EHR already holds what is wanted, there is nothing to merge."""
    desk.write()
    target = f"/Goal/{desk.remote_id}"
    desk.fhir.handle("PUT", target, "", {}, _json(wanted("run").body, desk.remote_id))

    result = desk.write("run", 2)

    assert isinstance(result, Written)
    assert desk.memory.acked == (wanted("run", 2).hash, 2)


def test_changed_while_an_answer_was_lost_is_held(desk):
    """An update that did not arrive, and a change of somebody else: a conflict."""
    desk.write()
    desk.wire.faults.append("reset")
    desk.write("run", 2)
    target = f"/Goal/{desk.remote_id}"
    desk.fhir.handle("PUT", target, "", {}, _json(wanted("theirs").body, desk.remote_id))
    desk.clock.now += desk.lag

    result = desk.write("run", 2)

    assert (result.decision.action, result.decision.category) == ("hold", Category.CONFLICT)


def test_deleted_at_the_ehr_is_held(desk):
    """A deleted resource is not quietly made again."""
    desk.write()
    desk.fhir.handle("DELETE", f"/Goal/{desk.remote_id}", "", {}, b"")

    result = desk.write("run", 2)

    assert (result.decision.action, result.decision.category) == ("hold", Category.GONE)


def test_a_refusal_ends_the_attempt(desk):
    """A refused write is not looked for later, and its reason has no values in it."""
    refusal = {
        "resourceType": "OperationOutcome",
        "issue": [{"code": "required", "diagnostics": "Zebulon", "expression": ["Goal.x"]}],
    }
    faults = ["", Reply(422, refusal)] if desk.mode == "create" else [Reply(422, refusal)]
    desk.wire.faults.extend(faults)

    result = desk.write()

    assert (result.decision.action, result.decision.detail) == ("bury", "required at Goal.x")
    assert desk.memory.said[-1] == ("end", "refused")


def test_a_busy_409_is_tried_again(desk):
    """409 without anything to see behind it means busy: HAPI answers so to a race."""
    desk.wire.faults.extend(["", Reply(409)] if desk.mode == "create" else [Reply(409)])

    result = desk.write()

    assert (result.decision.action, result.decision.detail) == ("retry", "refused as busy")


def test_a_race_for_the_first_create(desk):
    """When another writer was faster, its resource is taken over and updated."""

    def rival():
        desk.fhir.handle("POST", "/Goal", "", {}, _json(wanted("rival").body))
        return Reply(412)

    desk.wire.faults.extend(["", rival] if desk.mode == "create" else [rival])

    result = desk.write()

    assert isinstance(result, Written)
    assert desk.held == ["walk"]


def test_nobody_there_leaves_nothing_to_look_for(desk):
    """Without a connection nothing can have happened."""
    desk.wire.faults.extend(["", "refused"] if desk.mode == "create" else ["refused"])

    result = desk.write()

    assert result.decision.action == "retry"
    assert desk.memory.said[-1] == ("end", "not_sent")


def test_an_ehr_that_keeps_changing_is_not_chased(clock):
    """After a few rounds the write is put off."""
    desk = _desk(clock, "conditional")
    desk.write()
    target = f"/Goal/{desk.remote_id}"

    def touch():
        desk.fhir.handle("PUT", target, "", {}, _json(wanted("walk").body, desk.remote_id))

    desk.wire.faults.extend([touch, ""] * 10)

    result = desk.write("run", 2)

    assert (result.decision.action, result.decision.detail) == ("retry", "it kept changing")
    assert len(desk.wire.writes) == 1 + 4


def _json(body, remote_id=None) -> bytes:
    import orjson

    return orjson.dumps({**body, "id": remote_id} if remote_id else dict(body))
