"""Beside the records of /api/v1: what they become, where they went, what is to decide."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from fhirsvc.store import conflicts, connections, deliveries, links
from fhirsvc.store.conflicts import Clash, Side
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.deliveries import Change

NAME = "Zyxwvutsrq"  # planted


def _fits(web, name: str, body: object) -> None:
    components = web.get("/openapi.json").json["components"]
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    jsonschema.Draft202012Validator(schema).validate(body)


@pytest.fixture(name="stored")
def _stored(web, wiring, demo) -> dict[str, Any]:
    """A connection with an address that ends in a password, and a goal on its way there."""
    wiring.operator.add_connection(
        NewConnection("north", "http://127.0.0.1:9/fhir", auth="basic", secret="env:SECRET_NAME")
    )
    goal = next(one for one in demo if one["type"] == "goal")
    assert web.put(f"/api/v1/records/goal/{goal['id']}", json=goal).status_code == 201
    return goal


def test_a_record_is_seen_as_what_it_becomes(web, stored, late):
    """The resources are those of the mappings, for the version of US Core that is asked for."""
    path = f"/api/v1/records/goal/{stored['id']}"
    found = web.get(f"{path}/mapped?us_core=6.1").json
    _fits(web, "Mapped", found)
    assert found["resources"] == late.mappings.forward(stored, 6)
    assert (found["us_core"], found["version"]) == ("6.1", 1)
    traced = web.get(f"{path}/trace").json
    _fits(web, "Explained", traced)
    statement = [
        step
        for one in traced["resources"]
        for step in one["trace"]
        if step["element"] == "Goal.description.text"
    ]
    assert [step["field"] for step in statement] == ["$.statement"]
    assert statement[0]["place"].startswith("goal/Goal.yaml:")


def test_an_older_version_is_seen_too(web, stored):
    """By its number; one that there is not is 404."""
    path = f"/api/v1/records/goal/{stored['id']}"
    web.put(path, json={**stored, "statement": "Sleep through four nights a week"})
    first = web.get(f"{path}/mapped?version=1").json["resources"][0]
    assert first["description"]["text"] == stored["statement"]
    second = web.get(f"{path}/mapped").json["resources"][0]
    assert second["description"]["text"] == "Sleep through four nights a week"
    assert web.get(f"{path}/mapped?version=3").status_code == 404
    web.delete(path)
    assert web.get(f"{path}/trace").status_code == 410


def test_connections_are_told_without_their_secrets(web, stored):
    """Neither the secret nor where it is kept."""
    answer = web.get("/api/v1/connections")
    for one in answer.json:
        _fits(web, "Connection", one)
    (north,) = answer.json
    assert (north["name"], north["deliveries"]["pending"]) == ("north", 1)
    assert b"SECRET_NAME" not in answer.data


def test_deliveries_are_paged_and_filtered(web, stored, demo):
    """By id; ``next`` leads on until there are no more."""
    clients = [one for one in demo if one["type"] == "client"][:4]
    for one in clients:
        web.put(f"/api/v1/records/client/{one['id']}", json=one)
    seen, after = [], 0
    while after is not None:
        page = web.get(f"/api/v1/deliveries?limit=2&after={after}").json
        _fits(web, "Deliveries", page)
        seen += page["deliveries"]
        after = page["next"]
    assert [one["id"] for one in seen] == sorted({one["id"] for one in seen})
    assert len(seen) == 5
    of_goal = web.get(f"/api/v1/deliveries?record=goal/{stored['id']}").json["deliveries"]
    assert [one["record"] for one in of_goal] == [{"type": "goal", "id": stored["id"]}]
    assert web.get("/api/v1/deliveries?state=dead").json["deliveries"] == []
    assert len(web.get("/api/v1/deliveries?connection=north").json["deliveries"]) == 5
    assert web.get("/api/v1/deliveries?connection=south").status_code == 404


def test_a_delivery_is_seen_whole_and_sent_again(web, wiring, stored):
    """Its history grows; what is on its way is not sent again."""
    (one,) = web.get("/api/v1/deliveries").json["deliveries"]
    path = f"/api/v1/deliveries/{one['id']}"
    again = web.post(f"{path}/retry", json={})
    assert (again.status_code, again.json["title"]) == (409, "conflict")
    with wiring.database.write() as tx:
        found = deliveries.get(tx, one["id"])
        assert found is not None
        deliveries.end(tx, found, Change("dead", "invalid", "refused"), wiring.clock())
    dead = web.get(path).json
    _fits(web, "DeliveryWhole", dead)
    assert (dead["state"], dead["reason"]) == ("dead", "refused")
    again = web.post(f"{path}/retry", json={})
    _fits(web, "Delivery", again.json)
    assert (again.status_code, again.json["state"]) == (200, "pending")
    history = web.get(path).json["history"]
    assert [event["to_state"] for event in history] == ["pending", "dead", "pending"]
    assert web.get("/api/v1/deliveries/99").status_code == 404


@pytest.fixture(name="clash")
def _clash(wiring, stored) -> int:
    """A conflict about the goal's words."""
    with wiring.database.write() as tx:
        (to,) = connections.everyone(tx)
        key = ("goal", stored["id"])
        link = links.add(tx, to.id, key, ("Goal", f"goal.{stored['id']}"), ("urn:x", "1"))
        sides = Side("Ours", "1", "staff-01", 5.0), Side("Theirs", "7", "somebody", 6.0)
        clash = Clash("Goal.description", "both", "Before", *sides)
        conflicts.keep(
            tx,
            link_id=link.id,
            connection_id=to.id,
            record=key,
            clashes=[clash],
            settled=(),
            now=7.0,
        )
        (made,) = conflicts.find(tx)
    return made.id


def test_a_conflict_is_seen_and_decided(web, clash):
    """With both values; a decision that there is not is refused at its place."""
    (one,) = web.get("/api/v1/conflicts").json
    _fits(web, "Conflict", one)
    assert (one["ours"]["value"], one["theirs"]["value"]) == ("Ours", "Theirs")
    path = f"/api/v1/conflicts/{clash}/resolve"
    for body, where in (
        ([], "$"),
        ({"take": "mine"}, "$.take"),
        ({"take": "ours", "by": 1}, "$.by"),
        ({"take": "ours", "because": "so"}, "$"),
    ):
        refused = web.post(path, json=body)
        assert (refused.status_code, refused.json["where"]) == (422, where)
    decided = web.post(path, json={"take": {"value": "Both"}, "by": "ann"})
    _fits(web, "Conflict", decided.json)
    assert decided.json["resolution"] == {"value": "Both"}
    assert web.get("/api/v1/conflicts").json == []
    assert len(web.get("/api/v1/conflicts?state=decided").json) == 1
    assert web.post("/api/v1/conflicts/99/resolve", json={"take": "ours"}).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/connections?name=north",
        "/api/v1/deliveries?state=lost",
        "/api/v1/deliveries?limit=0",
        "/api/v1/deliveries?limit=1001",
        "/api/v1/deliveries?after=-1",
        "/api/v1/deliveries?after=99999999999",
        "/api/v1/deliveries?after=1&after=2",
        "/api/v1/deliveries?record=goal",
        "/api/v1/deliveries?record=goal/%00",
        "/api/v1/conflicts?state=closed",
        f"/api/v1/deliveries?state={NAME}",
        "/api/v1/records/goal/goal-01/mapped?us_core=5",
        "/api/v1/records/goal/goal-01/trace?version=0",
        "/api/v1/records/goal/goal-01/trace?version=x",
    ],
)
def test_what_is_not_understood_is_refused(web, path):
    """With a 400 that names the parameter, and never what it held."""
    refused = web.get(path)
    assert (refused.status_code, refused.json["title"]) == (400, "unsupported")
    assert refused.json["where"]
    assert NAME.encode() not in refused.data


def test_a_form_of_another_site_changes_nothing(web, clash):
    """It can send texts and forms only."""
    for path in ("/api/v1/deliveries/1/retry", f"/api/v1/conflicts/{clash}/resolve"):
        answer = web.post(path, data=b'{"take": "ours"}', content_type="text/plain")
        assert (answer.status_code, answer.json["where"]) == (400, "Content-Type")
    assert len(web.get("/api/v1/conflicts").json) == 1
