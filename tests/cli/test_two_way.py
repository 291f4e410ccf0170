"""``sync pull``, ``show``, ``replay`` and ``stop``, ``conflicts``, ``review``, ``connect link``."""

from __future__ import annotations

import orjson
import pytest
import shipped_clinic
from clinic_sides import CLIENT, goal_id, is_needed

INBOUND = '{"poll_s": 3600, "types": ["Goal", "Patient"], "new": ["Goal"]}'


@pytest.fixture(name="hospital")
def _hospital(shell, ehr):
    """An EHR that has one client's goals, and is read."""
    lag = ("--index-lag", "0", "--rate", "1000", "--burst", "1000")
    shell("connect", "add", "ehr", "--url", ehr.url, *lag, "--inbound", INBOUND)
    wanted = [one for one in shipped_clinic.records() if is_needed(one)]
    assert shell("load", shell.file("clinic.ndjson", *wanted)).exit_code == 0
    shell("worker", "--until-idle")
    return ehr.fhir


def _remote(fhir):
    bundle = fhir.handle("GET", "/Goal", "", {}, b"").body
    named = [one["resource"] for one in bundle["entry"]]
    (found,) = [one for one in named if one["identifier"][0]["value"] == goal_id()]
    return found


def _edit(fhir, text):
    goal = _remote(fhir)
    body = orjson.dumps({**goal, "description": {"text": text}})
    assert fhir.handle("PUT", f"/Goal/{goal['id']}", "", {}, body).status == 200


def _delivery(shell):
    """The newest delivery of the goal."""
    from fhirsvc.settings import load
    from fhirsvc.store import Database, deliveries

    database = Database(load().database_url)
    with database.read() as tx:
        found = deliveries.newest(tx, 1, ("goal", goal_id()))
    database.dispose()
    return found


def test_pull_takes_in_what_changed(shell, hospital):
    """What came is counted by what became of it."""
    shell("sync", "pull", "ehr")
    _edit(hospital, "Their aim")

    result = shell.json("sync", "pull", "ehr", "--compare")

    by_type = {one["resource"]: one for one in result}
    assert by_type["Goal"]["merged"] == 1
    shown = shell("sync", "pull", "ehr").stdout
    assert shown.startswith("Goal: ")


def test_a_conflict_from_list_to_decided(shell, hospital):
    """Both values are shown; the decision is carried out by the next worker."""
    shell("sync", "pull", "ehr")
    _edit(hospital, "Their wording")
    goal = next(one for one in shipped_clinic.records() if one["id"] == goal_id())
    shell("load", shell.file("edit.ndjson", {**goal, "statement": "Our wording"}))
    shell("worker", "--until-idle")

    (found,) = shell.json("conflicts", "list")
    assert (found["ours"]["value"], found["theirs"]["value"]) == ("Our wording", "Their wording")
    assert "Our wording" in shell("conflicts", "list").stdout
    assert shell("conflicts", "resolve", found["id"], "--take", "theirs").exit_code == 0
    shell("worker", "--until-idle")
    assert shell.json("conflicts", "list") == []
    assert shell("conflicts", "resolve", found["id"], "--take", "ours").exit_code == 1
    assert shell("conflicts", "resolve", 99, "--take", "ours").exit_code == 2
    assert _remote(hospital)["description"]["text"] == "Their wording"


def test_what_a_delivery_sent_and_would_send(shell, hospital):
    """The history, the attempts, the report; a dry replay says what differs and sends nothing."""
    delivery = _delivery(shell)

    (shown,) = shell.json("sync", "show", delivery.id)
    assert [one["to_state"] for one in shown["history"]][-1] == "delivered"
    assert {one["outcome"] for one in shown["attempts"]} == {"done"}
    assert {one["resource"]: one["rung"] for one in shown["report"]}["Goal"] == "native"
    assert "Goal: native" in shell("sync", "show", delivery.id).stdout
    (dry,) = shell.json("sync", "replay", delivery.id, "--dry-run")
    assert (dry["state"], dry["differs"]) == ("delivered", [])
    assert shell("sync", "show", 4711).exit_code == 2


def test_a_replay_is_pinned_to_what_ran(shell, hospital, tmp_path, monkeypatch):
    """As it ran, it sends the old form again although the mappings changed; without, the new."""
    delivery = _delivery(shell)
    mappings = tmp_path / "mappings"
    for name, text in shipped_clinic.texts().items():
        (mappings / name).parent.mkdir(parents=True, exist_ok=True)
        changed = text
        if name == "goal/Goal.yaml":
            changed = text.replace(
                "description.text: {from: statement, owner: both}",
                "description.text: {value: Changed by a mapping, owner: us}",
            ).replace("skipped:\n", "skipped:\n  statement: not any more\n")
            assert changed != text
        (mappings / name).write_text(changed, encoding="utf-8")
    monkeypatch.setenv("FHIRSVC_MAPPINGS", str(mappings))

    (said,) = shell.json("sync", "replay", delivery.id, "--as-ran", "--values")
    shell("worker", "--until-idle")
    differing = {one["path"]: one["now"] for one in said["differs"]}
    assert differing == {"/description/text": "Changed by a mapping"}
    before = _remote(hospital)
    assert before["description"]["text"] != "Changed by a mapping"
    assert _delivery(shell).state == "delivered"

    shell("sync", "replay", delivery.id)
    shell("worker", "--until-idle")
    assert _remote(hospital)["description"]["text"] == "Changed by a mapping"
    shell("sync", "replay", delivery.id, "--dry-run")


def test_an_older_version_is_not_replayed_over_a_newer_one(shell, hospital):
    """It is refused, with the delivery of the newer version named."""
    old = _delivery(shell)
    goal = next(one for one in shipped_clinic.records() if one["id"] == goal_id())
    shell("load", shell.file("edit.ndjson", {**goal, "statement": "A newer aim"}))
    shell("worker", "--until-idle")

    result = shell("sync", "replay", old.id, "--as-ran")

    assert result.exit_code == 1
    assert f"delivery {_delivery(shell).id} is of a newer version" in result.stderr


def test_the_kill_switch(shell, hospital):
    """A stopped connection gets nothing and is not read; resumed, all goes on."""
    shell.json("sync", "stop", "ehr")
    goal = next(one for one in shipped_clinic.records() if one["id"] == goal_id())
    shell("load", shell.file("edit.ndjson", {**goal, "statement": "A newer aim"}))
    shell("worker", "--until-idle")
    assert _delivery(shell).state == "pending"
    assert shell.json("sync", "pull", "ehr") == []

    shell("sync", "resume", "ehr")
    shell("worker", "--until-idle")
    assert _delivery(shell).state == "delivered"


def test_what_waits_for_a_person(shell, hospital):
    """Something of an unknown patient waits; linked to its client, it can be taken in."""
    patient = _post(hospital, {"resourceType": "Patient"})
    goal = {k: v for k, v in _remote(hospital).items() if k not in ("id", "meta", "identifier")}
    goal["subject"] = {"reference": f"Patient/{patient}"}
    _post(hospital, goal)
    shell("sync", "pull", "ehr", "--compare")

    (waiting,) = shell.json("review", "list")
    assert waiting["reason"] == "whose it is cannot be told: its patient is not linked"
    assert "is not linked" in shell("review", "list").stdout
    (still,) = shell.json("review", "again", waiting["id"])
    assert still["state"] == "review"
    (left,) = shell.json("review", "dismiss", waiting["id"], "--reason", "not ours")
    assert left["state"] == "passed"
    assert shell.json("review", "list") == []
    assert shell("review", "dismiss", waiting["id"]).exit_code == 1


def test_a_client_is_linked_by_hand(shell, hospital):
    """Only one record can be one Patient; the second is refused."""
    taken = shell("connect", "link", "ehr", f"client/{CLIENT}", "Patient/nobody")
    assert taken.exit_code == 1
    other = _post(hospital, {"resourceType": "Patient"})
    refused = shell("connect", "link", "ehr", f"client/{CLIENT}", f"Patient/{other}")
    assert "the record is linked to Patient/" in refused.stderr


def _post(fhir, body):
    path = f"/{body['resourceType']}"
    return fhir.handle("POST", path, "", {}, orjson.dumps(body)).body["id"]


@pytest.mark.parametrize(
    ("inbound", "said"),
    [
        ("{", "--inbound: expected a JSON object"),
        ('{"poll": 1}', "connection.inbound.poll: expected: one of poll_s"),
        ('{"poll_s": -1}', "connection.inbound.poll_s: expected: a number of seconds"),
        ('{"subscribe": ["Goal?"]}', "connection.inbound.hook_secret: expected"),
        ('{"hook_secret": "hunter2"}', "never the secret itself"),
    ],
)
def test_inbound_is_checked(shell, inbound, said):
    """A wrong setting is told by its name, and nothing is added."""
    result = shell("connect", "add", "x", "--url", "http://127.0.0.1:9", "--inbound", inbound)

    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert shell.json("connect", "list") == []
