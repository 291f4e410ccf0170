"""Deliveries to EHRs that take little: what goes in which form, and what is said about it."""

from __future__ import annotations

import base64

import clinic_sides
import orjson
import pytest
import shipped_clinic
from clinic_sides import CLIENT, goal_id, is_needed

from fhirsvc.services.review import Reviewer
from fhirsvc.store import deliveries, links, queue, turns

MRN = "urn:oid:2.16.840.1.113883.3.1"
READS = frozenset({"read", "search-type"})
WRITES = READS | {"create", "update"}
# As an Oracle Health site declares it (DocumentReference, Observation, Condition can be written).
HOSPITAL = {
    **dict.fromkeys(("CarePlan", "Goal", "ServiceRequest", "CareTeam", "Patient"), READS),
    **dict.fromkeys(("Practitioner", "Organization"), READS),
    **dict.fromkeys(("DocumentReference", "Observation", "Condition"), WRITES),
}


def _hospital(database, clock, takes, ehr=None, **connection):
    made = clinic_sides.clinic(database, clock, takes=takes, ehr=ehr, **connection)
    made.accept(*(one for one in shipped_clinic.records() if is_needed(one)))
    return made


def _patient(clinic, value="CH-20410"):
    """The hospital's own Patient, under the record number that both know."""
    body = {"resourceType": "Patient", "identifier": [{"system": MRN, "value": value}]}
    clinic.fhir._takes = {**clinic.fhir._takes, "Patient": WRITES}
    made = clinic.fhir.handle("POST", "/Patient", "", {}, orjson.dumps(body)).body["id"]
    clinic.fhir._takes = {**clinic.fhir._takes, "Patient": READS}
    return made


@pytest.fixture(name="hospital")
def _fixture(database, clock):
    ours = "urn:fhirsvc:mrn"
    return _hospital(database, clock, HOSPITAL, options={"systems": {ours: MRN}})


def _of(clinic, kind):
    return [one for one in clinic.deliveries() if one.record_type == kind]


def test_a_plan_and_its_goals_go_as_documents(hospital):
    """What the hospital does not take is filed to be read, with the FHIR beside it."""
    patient = _patient(hospital)

    hospital.drain()

    goal = next(one for one in _of(hospital, "goal") if one.record_id == goal_id())
    assert (goal.state, goal.reason) == ("delivered", "")
    (told,) = [one for one in orjson.loads(goal.report) if one["resource"] == "Goal"]
    assert (told["rung"], told["via"]) == ("document", "DocumentReference")
    assert "statement" in {one["field"] for one in told["downgraded"]}
    filed = _documents(hospital, goal_id())
    assert [one["attachment"]["contentType"] for one in filed["content"]] == [
        "text/html",
        "application/pdf",
        "application/fhir+json",
    ]
    statement = hospital.record("goal", goal_id())["statement"]
    html = base64.b64decode(filed["content"][0]["attachment"]["data"]).decode()
    assert statement[:20] in html
    bundle = orjson.loads(base64.b64decode(filed["content"][2]["attachment"]["data"]))
    assert "Goal" in {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert filed["subject"]["reference"] == f"Patient/{patient}"
    assert hospital.fhir.count("Goal") == hospital.fhir.count("CarePlan") == 0


def _with_a_clinician(hospital):
    """An Observation there, and who performed it."""
    listed = hospital.fhir.handle("GET", "/Observation", "", {}, b"").body["entry"]
    found = [one["resource"] for one in listed if "performer" in one["resource"]]
    return next(
        (one, who) for one in found for who in one["performer"] if who.get("type") == "Practitioner"
    )


def test_everybody_arrives_though_the_hospital_knows_no_clinician(hospital):
    """Clinicians whom it does not find are called by name and number; nothing waits for them."""
    _patient(hospital)

    hospital.drain()

    assert {one.state for one in hospital.deliveries()} == {"delivered"}
    _, who = _with_a_clinician(hospital)
    assert "reference" not in who
    assert who["display"]
    assert who["identifier"]["value"]


def test_a_missed_wake_is_found_for_what_is_absent_too(hospital):
    """A delivery that began to wait just when a clinician was not found is woken by the sweep."""
    _patient(hospital)
    hospital.drain()
    waits = frozenset({("link", "Practitioner", "staff.staff-delgado")})
    goal = next(one for one in _of(hospital, "goal"))

    def asleep(tx):
        deliveries.reopen(tx, 1, goal.record, hospital.clock(), "tests")
        taken = turns.claim(tx, 1, "me", hospital.clock())
        change = deliveries.Change("pending", delay=900.0, waits=waits)
        turns.finish(tx, taken, change, hospital.clock())

    hospital.database.run(asleep)

    assert hospital.database.run(lambda tx: queue.wake_satisfied(tx, hospital.clock())) == 1


def test_an_edit_there_comes_back_in_the_form_it_went_out_in(hospital):
    """What was taken in is quiet: no reference of ours is written where theirs should be."""
    _patient(hospital)
    hospital.drain()
    observation, _ = _with_a_clinician(hospital)
    body = {**observation, "note": [{"text": "Seen on the ward"}]}
    path = f"/Observation/{observation['id']}"
    assert hospital.fhir.handle("PUT", path, "", {}, orjson.dumps(body)).status == 200
    hospital.wire.seen.clear()

    taken = hospital.look("Observation", observation["id"])

    assert taken.merged.is_quiet
    assert (taken.merged.taken, taken.merged.conflicts) == ((), ())
    assert hospital.drain() == []
    assert hospital.wire.writes == []


def test_a_patient_that_was_linked_by_hand_stays_the_hospitals_own(hospital):
    """Linking says who it is; what the hospital writes of them is not taken into the record."""
    reviewer = Reviewer(
        hospital.database,
        hospital.deliverer.mapper,
        hospital.receiver,
        lambda _: hospital.client,
        hospital.clock,
        lambda: "corr",
    )
    patient = _patient(hospital, "a number of their own")
    hospital.drain()
    before = hospital.record("client", CLIENT)

    connection = hospital.operator.connection("hospital")
    taken = reviewer.join(connection, ("client", CLIENT), "Patient", patient)

    assert taken.state == "passed"
    with hospital.database.read() as tx:
        name = ("Patient", patient)
        assert links.by_remote(tx, connection.id, [name])[name].rung == "equivalent"
    hospital.drain()
    assert hospital.record("client", CLIENT) == before
    assert hospital.conflicts() == []
    assert {one.state for one in hospital.deliveries()} == {"delivered"}


def _documents(clinic, record_id):
    bundle = clinic.fhir.handle("GET", "/DocumentReference", "", {}, b"").body
    found = [entry["resource"] for entry in bundle["entry"]]
    (one,) = [d for d in found if d["identifier"][0]["value"].endswith(record_id)]
    return one


def test_the_same_again_is_not_filed_again(hospital):
    """An unchanged record delivered again sends nothing; a changed one updates its document."""
    _patient(hospital)
    hospital.drain()
    before = _documents(hospital, goal_id())
    goal = next(one for one in _of(hospital, "goal") if one.record_id == goal_id())
    hospital.wire.seen.clear()

    hospital.database.run(
        lambda tx: deliveries.reopen(tx, 1, goal.record, hospital.clock(), "again")
    )
    assert hospital.drain() == ["delivered"]
    assert hospital.wire.writes == []

    hospital.accept({**hospital.record("goal", goal_id()), "statement": "Another aim"})
    assert hospital.drain() == ["delivered"]
    after = _documents(hospital, goal_id())
    assert after["id"] == before["id"]
    assert after["meta"]["versionId"] == "2"


def test_without_its_patient_nothing_is_sent(hospital):
    """A client whom the hospital does not know by any number of its own is held, not guessed."""
    hospital.drain()

    (client,) = [one for one in _of(hospital, "client") if one.record_id == CLIENT]
    assert (client.state, client.category) == ("held", "not-found")
    assert client.reason == (
        f"Patient/client.{CLIENT}: not-found: no Patient there carries an identifier of its own"
    )
    assert {one.state for one in _of(hospital, "goal")} == {"pending"}
    assert hospital.fhir.count("DocumentReference") == 0

    _patient(hospital)
    hospital.operator.retry(client.id)
    hospital.drain()
    assert {one.state for one in _of(hospital, "goal")} == {"delivered"}


def test_a_refusal_is_learned(database, clock):
    """An EHR that declares more than it takes is asked once; then the next form is taken."""
    declared = dict.fromkeys(clinic_sides.TYPES, WRITES)
    clinic = _hospital(database, clock, declared)
    real = clinic.fhir.handle("GET", "/metadata", "", {}, b"").body
    clinic.fhir._takes = {**declared, "Goal": READS}
    clinic.fhir._capability = lambda: real

    clinic.drain()

    goal = next(one for one in _of(clinic, "goal") if one.record_id == goal_id())
    assert goal.state == "delivered"
    (told,) = [one for one in orjson.loads(goal.report) if one["resource"] == "Goal"]
    assert told["rung"] == "document"
    asked = [path for method, path in clinic.wire.seen if method != "GET" and "/Goal" in path]
    assert len(asked) == 1, asked


def test_a_chosen_rung_comes_first(database, clock):
    """A setting holds what could go: it says why, and goes when the setting does."""
    clinic = _hospital(database, clock, None, rungs={"Goal": "hold"})

    clinic.drain()

    goal = next(one for one in _of(clinic, "goal") if one.record_id == goal_id())
    assert (goal.state, goal.category) == ("held", "unsupported")
    assert "chosen in the connection's settings" in goal.reason
    assert clinic.fhir.count("Goal") == 0


def test_writes_go_together_where_a_batch_is_taken(database, clock):
    """The same resources arrive in fewer requests, each known by itself afterwards."""
    one_by_one = _hospital(database, clock, None)
    one_by_one.drain()
    alone = len(one_by_one.wire.writes)
    stored = sorted(kind for kind, _ in one_by_one.everything())

    together = clinic_sides.clinic(database, clock, name="batching", batch=True)
    together.drain()

    assert sorted(kind for kind, _ in together.everything()) == stored
    assert len(together.wire.writes) < alone * 0.8
    assert any(path in ("", "/") for _, path in together.wire.writes)
    assert together.settle() == 0


def test_a_batch_that_is_declared_and_not_taken_is_tried_once(database, clock):
    """The refusal is remembered: everything goes one by one after it."""
    clinic = clinic_sides.clinic(database, clock, batch=True)
    declared = clinic.fhir.handle("GET", "/metadata", "", {}, b"").body
    clinic.fhir._batch = False
    clinic.fhir._capability = lambda: declared
    clinic.accept(*(one for one in shipped_clinic.records() if is_needed(one)))

    clinic.drain()

    assert {one.state for one in clinic.deliveries()} == {"delivered"}
    assert len([path for _, path in clinic.wire.writes if path in ("", "/")]) == 1


# What Oracle Health declares for DocumentReference, Observation and Condition: no search by
# identifier, nothing conditional.
STRICT = {"searches": {"patient", "_id", "_lastUpdated"}, "conditional": False}


def test_an_ehr_that_finds_nothing_by_identifier(database, clock):
    """What a patient has is looked through instead, and after a lost answer it is there once."""
    clinic = _hospital(database, clock, None, STRICT)
    lost = ["/Consent", "/Goal", "/CarePlan"]

    def loses() -> str:
        method, path = clinic.wire.seen[-1]
        if method == "POST" and path in lost:
            lost.remove(path)
            return "drop"
        return ""

    clinic.wire.faults.extend([loses] * 1000)

    for _ in range(6):
        clinic.drain()
        clock.sleep(400)

    assert lost == []
    assert {one.state for one in clinic.deliveries()} == {"delivered"}
    counts = {}
    for kind, one in clinic.everything():
        name = (kind, orjson.dumps(one.get("identifier") or one["meta"].get("tag")))
        counts[name] = counts.get(name, 0) + 1
    assert {name for name, count in counts.items() if count > 1} == set()
    paths = [path for _, path in clinic.wire.seen]
    assert not any("identifier=" in path for path in paths)
    assert any("/Goal?patient=" in path for path in paths)
    assert clinic.settle() <= 1


def test_what_cannot_be_looked_for_is_not_written_twice(database, clock):
    """Without any search a lost answer is a person's to settle, not a reason to send again."""
    clinic = _hospital(database, clock, None, {"searches": set(), "conditional": False})
    clinic.wire.faults.extend(["", "drop"])

    clinic.drain()
    clock.sleep(400)
    clinic.drain()

    (held,) = [one for one in clinic.deliveries() if one.category == "unsupported"]
    assert "cannot be looked for at this EHR" in held.reason
    assert clinic.wire.seen[1][0] == "POST"


def test_an_id_of_ours_where_the_ehr_lets_us_choose(database, clock):
    """Update without create, but with updateCreate: the same PUT however often it is made."""
    takes = dict.fromkeys(clinic_sides.TYPES, READS | {"update"})
    clinic = clinic_sides.clinic(database, clock, takes=takes, ehr=STRICT)
    real = clinic.fhir.handle("GET", "/metadata", "", {}, b"").body
    for one in real["rest"][0]["resource"]:
        one["updateCreate"] = True
    clinic.fhir._capability = lambda: real
    clinic.fhir._update_creates = True
    clinic.accept(next(one for one in shipped_clinic.records() if one["type"] == "organization"))

    assert clinic.drain() == ["delivered"]
    assert clinic.wire.writes[0][0] == "PUT"
    assert clinic.wire.writes[0][1].startswith("/Organization/organization.")


def test_the_hospitals_own_patient_is_left_as_it_is(hospital):
    """What we only matched is not ours: an edit of it changes no record, and is not overwritten."""
    patient = _patient(hospital)
    hospital.drain()
    before = hospital.record("client", CLIENT)
    hospital.fhir._takes = {**hospital.fhir._takes, "Patient": WRITES}
    body = hospital.edit("Patient", CLIENT, lambda one: one.update(gender="unknown"))
    assert body == patient

    taken = hospital.look("Patient", patient)

    assert (taken.state, taken.version) == ("passed", None)
    assert hospital.record("client", CLIENT) == before
    assert hospital.drain() == []
    assert hospital.remote("Patient", CLIENT)["gender"] == "unknown"
