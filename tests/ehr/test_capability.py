"""Reading CapabilityStatements: what deliveries ask of one, and never an exception for any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped_clinic import ROOT, mappings
from statements import EHRS, WHOLE, everything, statement
from tiny import FakeClock

from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.ladder import Ladder
from fhirsvc.ehr.rung import RUNGS
from fhirsvc.ehr.simulated_fhir import SimulatedFhir
from fhirsvc.mapping.carried import carried

FIELDS = carried(mappings().library)
KEPT = ROOT.parent / "shared" / "ehr" / "capability"


def test_what_is_listed_can_be_done_and_nothing_else():
    """A statement is an upper bound; a type it does not name cannot be handled at all."""
    known = Capabilities.parse(statement("Goal | read search-type | _id patient"))

    assert known.can("Goal", "read")
    assert not known.can("Goal", "create")
    assert not known.can("CarePlan", "read")
    assert known.finds("Goal", "patient")
    assert not known.finds("Goal")


def test_of_an_ehr_not_known_everything_may_be_tried():
    """Nothing known forbids nothing."""
    nothing = Capabilities.none()

    assert not nothing.is_known
    assert nothing.can("CarePlan", "create")
    assert nothing.finds("Patient")


def test_a_parameter_without_search_finds_nothing():
    """A server may list parameters of a type that it does not let anybody search."""
    known = Capabilities.parse(statement("Patient | read | identifier"))
    assert not known.finds("Patient")


def test_conditional_writes_versions_and_profiles_are_read():
    """What HAPI states of a type."""
    stated = statement("Patient | create update | identifier")
    stated["rest"][0]["resource"][0] |= {
        "versioning": "versioned-update",
        "conditionalCreate": True,
        "conditionalUpdate": True,
        "conditionalDelete": "multiple",
        "updateCreate": True,
        "supportedProfile": [
            "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|7.0.0"
        ],
        "operation": [{"name": "match", "definition": "http://x"}],
    }
    stated["rest"][0] |= {"interaction": [{"code": "transaction"}, {"code": "batch"}]}
    known = Capabilities.parse(stated)
    patient = known.of("Patient")

    assert patient.conditional_create
    assert patient.conditional_update
    assert patient.update_create
    assert patient.conditional_delete == "multiple"
    assert patient.versioning == "versioned-update"
    assert patient.operations == ("match",)
    assert known.interactions == {"transaction", "batch"}
    assert known.us_core == "7.0.0"


def test_the_newest_us_core_is_told():
    """Of several versions the newest counts, by number and not by letter; other guides do not."""
    stated = statement(
        "Goal | read |",
        implementationGuide=[
            "http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core|10.0.0",
            "http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core|9.0.0",
            "http://hl7.org/fhir/uv/bulkdata/ImplementationGuide/hl7.fhir.uv.bulkdata|20.0.0",
        ],
    )
    assert Capabilities.parse(stated).us_core == "10.0.0"
    assert Capabilities.parse(EHRS["oracle"]).us_core == ""


def test_security_and_smart_uris_are_read():
    """Where a token is to be had."""
    security = {
        "service": [{"coding": [{"system": "x", "code": "SMART-on-FHIR"}]}],
        "extension": [
            {
                "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                "extension": [{"url": "token", "valueUri": "https://ehr.example/token"}],
            }
        ],
    }
    stated = statement("Goal | read |")
    stated["rest"][0]["security"] = security
    known = Capabilities.parse(stated)

    assert known.security == ("SMART-on-FHIR",)
    assert known.oauth == {"token": "https://ehr.example/token"}


def test_an_stu3_statement_is_read():
    """Profiles were References then, and searchParam and interaction were as they are."""
    old = {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "3.0.2",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {
                        "type": "CarePlan",
                        "profile": {"reference": "http://x/StructureDefinition/plan"},
                        "interaction": [{"code": "create"}, {"code": "update"}],
                    }
                ],
            }
        ],
    }
    known = Capabilities.parse(old)

    assert known.fhir_version == "3.0.2"
    assert known.can("CarePlan", "update")
    assert known.of("CarePlan").profiles == ("http://x/StructureDefinition/plan",)


def test_a_type_named_twice_can_do_what_either_says():
    """Vendors repeat themselves, and the client half of a statement is not the server's."""
    stated = statement("Goal | read |\nGoal | create | identifier")
    stated["rest"].append({"mode": "client", "resource": [{"type": "Task", "interaction": []}]})
    known = Capabilities.parse(stated)

    assert known.of("Goal").interactions == {"read", "create"}
    assert set(known.types) == {"Goal"}


@pytest.mark.parametrize("odd", [None, [], "x", 7, {}, {"rest": None}, {"rest": [{"resource": 1}]}])
def test_what_says_nothing_leaves_everything_open(odd):
    """A body that tells of no type at all is no knowledge."""
    assert Capabilities.parse(odd) == Capabilities.none()


@pytest.mark.parametrize("name", list(EHRS))
def test_stored_and_read_again_it_is_the_same(name):
    """As an object and as text."""
    known = Capabilities.parse(EHRS[name])
    stored = json.dumps(known.to_json())

    assert Capabilities.from_json(stored) == known
    assert Capabilities.from_json(json.loads(stored)) == known
    assert len(stored) < len(json.dumps(EHRS[name])) + 500


@pytest.mark.parametrize("odd", ["", "no", "[]", {"types": 1}, {"types": {"Goal": 3}}, None])
def test_what_was_not_stored_so_is_nothing(odd):
    """Whatever stands in a column, reading it does not fail."""
    assert not Capabilities.from_json(odd).is_known


def test_the_simulated_ehr_is_read():
    """The house's own test server."""
    answer = SimulatedFhir(FakeClock()).handle("GET", "metadata", "", {}, b"")
    assert Capabilities.parse(answer.body) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def mutated(draw):
    """A statement with something else in one to four of its places."""
    stated = json.loads(json.dumps(draw(st.sampled_from([*EHRS.values(), everything()]))))
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(stated))
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[key] = draw(JSON)
        elif isinstance(holder, dict):
            holder.pop(key)
    return stated


def _places(node):
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


@settings(max_examples=60, deadline=None)
@given(mutated())
def test_no_statement_is_too_odd_for_a_plan(stated):
    """Whatever a server answers: it is read, stored, read again, and every resource has a rung."""
    known = Capabilities.parse(stated)
    assert Capabilities.from_json(json.dumps(known.to_json())) == known
    rungs = Ladder.of(FIELDS, known).rungs
    assert len(rungs) == sum(len(made) for made in FIELDS.values())
    assert {rung.rung for rung in rungs} <= set(RUNGS)
    assert all(rung.via for rung in rungs)
    json.dumps([rung.to_json() for rung in rungs])


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_nothing_raises(odd):
    """Not for any JSON at all."""
    Capabilities.parse(odd)
    Capabilities.from_json(odd)


def _whole(name: str) -> Capabilities:
    path: Path = KEPT / WHOLE[name]
    if not path.is_file():
        pytest.skip("the vendors' whole statements are not at hand")
    return Capabilities.parse(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", list(WHOLE))
def test_the_whole_statement_gives_the_same_plan(name):
    """What was cut away from a vendor's statement changes no rung and no field."""
    cut = Ladder.of(FIELDS, Capabilities.parse(EHRS[name]))
    assert Ladder.of(FIELDS, _whole(name)).rungs == cut.rungs


@pytest.mark.parametrize("name", list(WHOLE))
def test_the_whole_statement_tells_where_tokens_are(name):
    """Each of the four states SMART's URIs."""
    known = _whole(name)
    assert known.oauth["token"].startswith("https://")
    assert "SMART-on-FHIR" in known.security
    assert known.fhir_version == "4.0.1"
