"""What is withheld is out, what is left is valid FHIR, and nothing refers to what is not there."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from gate import XHTML, ask, consent, goal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhirsvc.consent.redact import redact
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.sensitive import Marked

GOAL: dict[str, Any] = dict(goal().resource)
PLAN: dict[str, Any] = {
    "resourceType": "CarePlan",
    "id": "p",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "status": "active",
    "intent": "plan",
    "subject": {"reference": "Patient/c"},
    "goal": [{"reference": "Goal/goal.g-1"}, {"reference": "Goal/other"}],
    "contained": [{"resourceType": "Medication", "id": "med", "status": "active"}],
    "activity": [
        {"detail": {"kind": "ServiceRequest", "status": "in-progress", "description": "a"}},
        {"reference": {"reference": "#med"}},
        {"detail": {"status": "not-started", "goal": [{"reference": "Goal/goal.g-1"}]}},
    ],
    "extension": [
        {"url": "urn:a", "valueString": "x"},
        {
            "url": "urn:b",
            "valueReference": {"reference": "http://ehr/fhir/Goal/goal.g-1/_history/2"},
        },
    ],
}
PROVENANCE: dict[str, Any] = {
    "resourceType": "Provenance",
    "id": "v",
    "target": [{"reference": "CarePlan/p"}],
    "recorded": "2026-01-05T09:00:00-05:00",
    "agent": [{"who": {"display": "N"}}],
}


def _one(resource: dict[str, Any], *paths: str) -> Any:
    """What is left of a resource without these paths; None where it goes as a whole."""
    return redact({"x": resource}, {"x": paths}).resources.get("x")


def test_an_optional_element_goes_alone_and_takes_the_narrative():
    """The words may say the same."""
    left = _one(GOAL, "Goal.note[0]")
    assert left == {k: v for k, v in GOAL.items() if k != "text"} | {
        "note": [{"text": "second note"}]
    }
    assert GOAL["note"][0] == {"text": "first note"}  # what was given is as it was


@pytest.mark.parametrize("path", ["Goal.lifecycleStatus", "Goal.subject", "Goal.description.text"])
def test_a_mandatory_element_takes_the_resource(path: str):
    """A goal has to say what it is: an empty description is none."""
    assert _one(GOAL, path) is None


def test_a_mandatory_element_inside_takes_what_is_around_it():
    """detail.status is mandatory in detail; without a detail nothing is left of the activity."""
    left = _one(PLAN, "CarePlan.activity[0].detail.status")
    assert left["activity"] == PLAN["activity"][1:]


def test_the_last_item_takes_the_list_and_an_extension_its_url():
    """No empty lists, no extension without a value."""
    left = _one(PLAN, "CarePlan.extension[0].valueString", "CarePlan.extension[1].valueReference")
    assert "extension" not in left
    assert "note" not in _one(GOAL, "Goal.note[0]", "Goal.note[1]")
    assert "note" not in _one(GOAL, "Goal.note")


def test_extensions_of_primitives_keep_their_places():
    """The second name's extension stays with the second name."""
    patient = {
        "resourceType": "Patient",
        "name": [{"given": ["A", "B", "C"], "_given": [None, {"id": "b"}, None]}],
    }
    assert _one(patient, "Patient.name[0].given[0]")["name"][0] == {
        "given": ["B", "C"],
        "_given": [{"id": "b"}, None],
    }


@pytest.mark.parametrize(
    "path", ["Goal.nte[0]", "Goal.note[9]", "Goal.note[0].text[0]", "Gaol", "Goal.", "Goal.note[x]"]
)
def test_a_path_that_leads_nowhere_withholds_the_resource(path: str):
    """What cannot be found cannot be taken out."""
    assert _one(GOAL, path) is None


def test_what_would_not_be_valid_is_withheld():
    """An invariant that the definitions do not show: a quantity's code needs its system (qty-3)."""
    score = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "t"},
        "valueQuantity": {"value": 3, "system": "http://unitsofmeasure.org", "code": "1"},
    }
    assert validate(score) == []
    assert _one(score, "Observation.valueQuantity.system") is None
    assert "valueQuantity" not in _one(score, "Observation.valueQuantity")


def test_references_to_what_is_withheld_go_until_nothing_refers_to_it():
    """Goal → plan's goal, its activity and extension; plan withheld → its Provenance."""
    given_ = {"Goal/goal.g-1": GOAL, "CarePlan/p": PLAN, "Provenance/v": PROVENANCE}
    done = redact(given_, {"Goal/goal.g-1": ["Goal"]})
    assert done.whole == {"Goal/goal.g-1"}
    plan = done.resources["CarePlan/p"]
    assert plan["goal"] == [{"reference": "Goal/other"}]
    assert [one.get("url") for one in plan["extension"]] == ["urn:a"]
    assert "goal.g-1" not in json.dumps(plan)
    done = redact(given_, {"CarePlan/p": ["CarePlan.status"]})
    assert done.whole == {"CarePlan/p", "Provenance/v"}
    assert ("Provenance/v", "Provenance", "mandatory") in done.beside


def test_references_to_what_is_withheld_elsewhere_go_too():
    """The caller knows what it has withheld before."""
    done = redact({"CarePlan/p": PLAN}, {}, frozenset({"Goal/other"}))
    assert done.resources["CarePlan/p"]["goal"] == [{"reference": "Goal/goal.g-1"}]
    assert "text" not in done.resources["CarePlan/p"]


def test_a_contained_resource_goes_with_what_refers_to_it():
    """``#med`` would lead nowhere."""
    left = _one(PLAN, "CarePlan.contained[0]")
    assert "#med" not in json.dumps(left)
    assert "contained" not in left


def test_nothing_withheld_is_the_same_object():
    """Most resources cost nothing."""
    done = redact({"x": PLAN}, {})
    assert done.resources["x"] is PLAN
    assert done.beside == []


def test_the_decision_says_what_went_beside():
    """With the rule where one was asked, else with why it had to go."""
    made = [goal(**{"note[0]": ["HIV"]})]
    decision = ask(consent(), made=made)
    assert decision.outcome == "redact"
    told = {(one.path, one.why.rule, tuple(one.labels)) for one in decision.withheld}
    assert told == {
        ("Goal.note[0]", "42_cfr_2_31_a_3_sensitivity_by_name", ("HIV",)),
        ("Goal.text", "narrative", ()),
    }


def test_what_is_withheld_is_told_once():
    """The whole, and not again each element of it."""
    decision = ask(made=[goal("SUD", **{"note[0]": ["HIV"], "note": ["MH"]})])
    assert [one.path for one in decision.withheld] == ["Goal"]
    decision = ask(consent(), made=[goal("SUD", **{"note[0]": ["HIV"], "note": ["MH"]})])
    assert [one.path for one in decision.withheld] == ["Goal.note", "Goal.text"]


def _paths(node: Any, path: str) -> list[str]:
    found = [path]
    if isinstance(node, dict):
        for name, value in node.items():
            if name != "resourceType":
                found += _paths(value, f"{path}.{name}")
    elif isinstance(node, list):
        for at, item in enumerate(node):
            found += _paths(item, f"{path}[{at}]")
    return found


GIVEN = {"Goal/goal.g-1": GOAL, "CarePlan/p": PLAN, "Provenance/v": PROVENANCE}
EVERY = [(ref, path) for ref, one in GIVEN.items() for path in _paths(one, one["resourceType"])]


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(EVERY), max_size=5))
def test_whatever_is_withheld_what_is_left_is_valid_and_whole(chosen: list[tuple[str, str]]):
    """R4, without the elements asked for, and no reference to what is away."""
    paths: dict[str, list[str]] = {}
    for ref, path in chosen:
        paths.setdefault(ref, []).append(path)
    done = redact(GIVEN, paths)
    for ref, left in done.resources.items():
        assert [f for f in validate(left) if f.severity == "error"] == []
        for away in done.whole:
            assert f'"{away}"' not in json.dumps(left)
        if ref in paths:
            assert "text" not in left
            assert len(json.dumps(left)) < len(json.dumps(GIVEN[ref]))
    assert done.resources.keys() | done.whole == GIVEN.keys()


def test_a_resource_is_known_by_its_place_where_it_has_no_id():
    """Two without an id are two."""
    bare = {k: v for k, v in GOAL.items() if k != "id"}
    made = [Marked(bare), Marked(bare, {"Goal": frozenset({"SUD"})})]
    decision = ask(made=made)
    assert len(decision.resources) == 1
    assert [one.resource for one in decision.withheld] == ["Goal/1"]


PLACES = {
    "Goal/goal.g-1": ("Goal.note[0].text", "Goal.note[1].text", "Goal.subject.display"),
    "CarePlan/p": (
        "CarePlan.activity[0].detail.description",
        "CarePlan.contained[0].code.text",
        "CarePlan.extension[0].valueString",
        "CarePlan.goal[0].display",
        "CarePlan.goal[1].display",
        "CarePlan.subject.display",
    ),
    "Provenance/v": ("Provenance.target[0].display", "Provenance.agent[0].who.display"),
}


def _plant() -> dict[str, dict[str, Any]]:
    """The resources with a word of its own at each place, and all of them in the narrative."""
    made: dict[str, dict[str, Any]] = copy.deepcopy(GIVEN)
    for ref, places in PLACES.items():
        for path in places:
            node: Any = made[ref]
            *around, last = [n or int(i) for n, i in re.findall(r"\.(\w+)|\[(\d+)\]", path)]
            for step in around:
                node = node.setdefault(step, {}) if isinstance(step, str) else node[step]
            node[last] = _word(path)
        if "text" in made[ref]:
            words = " ".join(map(_word, places))
            made[ref]["text"] = {"status": "generated", "div": f"<div {XHTML}>{words}</div>"}
    return made


def _word(path: str) -> str:
    return f"Planted{EVERY_PLACE.index(path)}x"


EVERY_PLACE = [path for places in PLACES.values() for path in places]
LOOSE = {  # a display that stands with a reference to the other
    "CarePlan.goal[0].display": "Goal/goal.g-1",
    "Provenance.target[0].display": "CarePlan/p",
}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(EVERY), max_size=4))
def test_a_word_of_what_is_withheld_is_nowhere_in_what_is_left(chosen: list[tuple[str, str]]):
    """Not in the narrative, a contained resource or the display of a reference to it."""
    made = _plant()
    assert [f for one in made.values() for f in validate(one)] == []
    paths: dict[str, list[str]] = {}
    for ref, path in chosen:
        paths.setdefault(ref, []).append(path)
    done = redact(made, paths)
    left = json.dumps(list(done.resources.values()))
    for ref, places in PLACES.items():
        for place in places:
            is_below = any(
                place == path or place.startswith((f"{path}.", f"{path}["))
                for path in paths.get(ref, ())
            )
            if is_below or ref in done.whole or LOOSE.get(place) in done.whole:
                assert f'"{_word(place)}"' not in left
                assert f"{_word(place)} " not in left
                assert f"{_word(place)}<" not in left
