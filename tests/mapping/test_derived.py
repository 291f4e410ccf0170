"""Alerts: what follows from an assessment, and the Flag and the Task that it becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped_clinic import ROOT, mappings, records

from fhirsvc.fhir.scoring import alerts, answers_of
from fhirsvc.mapping.derived import FIELDS, derive, is_derived, judged
from fhirsvc.records import TYPES, fields

INSTRUMENTS = mappings().library.instruments


def case() -> dict[str, Any]:
    """The assessment whose PHQ-9 item 9 is answered 2; a fresh copy."""
    path = ROOT / "fixtures" / "assessment" / "phq-9-item-9" / "record.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def kinds(record: dict[str, Any]) -> list[str]:
    """The types of the resources made of alerts."""
    made = [r["resourceType"] for r in mappings().forward(record)]
    return [kind for kind in made if kind in ("Flag", "Task")]


def low(record: dict[str, Any]) -> dict[str, Any]:
    """All other answers 0, total and severity as low as can be, nothing flagged."""
    (result,) = record["instruments"]
    for item in result["items"]:
        item["value"] = int(item["n"] == "9")
    result |= {"total": 1, "severity": "minimal"}
    del result["item_flags"]
    return record


def test_item_9_raises_a_flag_and_a_task_whatever_the_total():
    """A total of one, and a single point on item 9."""
    assert ["Flag", "Task"] == kinds(low(case()))


def test_no_alert_makes_neither():
    """The same form with 0 on item 9 makes what it made before."""
    record = low(case())
    record["instruments"][0]["items"][8]["value"] = 0
    assert [] == kinds(record)
    assert derive(record, INSTRUMENTS) is record


def test_a_flagged_item_and_a_stated_risk_raise_one_as_well():
    """A clinic that sends scores only still alerts."""
    record = case()
    result = record["instruments"][0]
    del result["items"]
    assert ["Flag", "Task"] == kinds(record)
    record["instruments"] = [
        {**result, "result_id": "c1", "instrument": "c-ssrs", "severity": "high"}
    ]
    del record["instruments"][0]["total"], record["instruments"][0]["item_flags"]
    assert ["Flag", "Task"] == kinds(record)
    record["instruments"][0]["severity"] = "moderate"
    assert [] == kinds(record)


def test_each_alert_has_an_identity_of_its_own():
    """Two results of one assessment, twice the same answer."""
    record = case()
    again = {**record["instruments"][0], "result_id": "w03-phq-9-b"}
    record["instruments"].append(again)
    made = [r for r in mappings().forward(record) if r["resourceType"] in ("Flag", "Task")]
    assert 4 == len({(r["resourceType"], r["id"]) for r in made})
    assert 4 == len({r["identifier"][0]["value"] + r["resourceType"] for r in made})


def test_an_assessment_entered_in_error_takes_its_alert_back():
    """Flag and Task say so, and are not withheld."""
    record = case() | {"status": "error"}
    made = [r for r in mappings().forward(record) if r["resourceType"] in ("Flag", "Task")]
    assert ["entered-in-error"] * 2 == [r["status"] for r in made]


def test_the_trace_leads_to_what_raised_it():
    """To the answers, the flag or the stated severity; not to a field that no record has."""
    record = case()
    flag = next(t for t in mappings().explain(record) if t.resource["resourceType"] == "Flag")
    told = {step.element: step.field for step in flag.trace}
    assert "$.instruments[0].items" == told["Flag.code.text"]
    assert "$.instruments[0].administered_at" == told["Flag.period.start"]
    del record["instruments"][0]["items"]
    flag = next(t for t in mappings().explain(record) if t.resource["resourceType"] == "Flag")
    told = {step.element: step.field for step in flag.trace}
    assert "$.instruments[0].item_flags" == told["Flag.code.text"]


def test_alerts_that_a_record_states_are_not_believed():
    """They are computed; the field is none of the record's."""
    record = low(case())
    record["instruments"][0]["items"][8]["value"] = 0
    stated = {**record, "alerts": [{"alert_id": "x"}]}
    assert record == derive(stated, INSTRUMENTS)


def test_records_without_alerts_are_not_copied():
    """Derivation costs other records nothing."""
    kept = [record for record in records() if derive(record, INSTRUMENTS) is record]
    assert 4 == len(records()) - len(kept)


@given(st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from(["phq-9", "c-ssrs", "9"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["instrument", "items", "n", "value", "severity", "item_flags"]), inner),
))  # fmt: skip
def test_derivation_never_refuses(node):
    """What cannot be read so is refused by the mapping, at its place."""
    derive({"type": "assessment", "instruments": node}, INSTRUMENTS)
    derive({"type": "assessment", "instruments": [node, {"instrument": "phq-9"}]}, INSTRUMENTS)


@pytest.mark.parametrize("type", TYPES)
def test_derived_fields_are_no_fields_of_the_record(type):
    """And each has its list above it."""
    assert not FIELDS.get(type, {}).keys() & fields(type).keys()
    for path in FIELDS.get(type, ()):
        assert is_derived(type, path)
        assert not is_derived("client", path)


@pytest.mark.parametrize(
    ("stated", "element"),
    [
        ({"total": 3}, "valueQuantity"),
        ({"total": 3, "severity": "mild"}, "valueQuantity"),
        ({"severity": "mild"}, "valueCodeableConcept"),
        ({}, "dataAbsentReason"),
    ],
)
def test_a_result_goes_out_as_a_score_a_risk_or_why_there_is_none(stated, element):
    """us-core-2: one of them and never two; the band of a score is its interpretation."""
    record = case()
    result = record["instruments"][0]
    for name in ("total", "severity"):
        result.pop(name)
    result |= stated
    made = next(r for r in mappings().forward(record) if r["resourceType"] == "Observation")
    there = [n for n in made if n.startswith("value") or n == "dataAbsentReason"]
    assert [element] == there
    assert ("interpretation" in made) == (len(stated) == 2)


def test_what_an_assessment_states_is_counted_again():
    """A warning at its place; the demo clinic has nothing to count again."""
    record = case()
    record["instruments"][0] |= {"total": 18, "severity": "mild"}
    assert [("total-mismatch", "$.instruments[0].total", "warning"),
            ("severity-mismatch", "$.instruments[0].severity", "warning")] == [
        (f.rule, f.where, f.severity) for f in judged(record, INSTRUMENTS)
    ]  # fmt: skip
    assert [] == [f for r in records() for f in mappings().check(r)]


def test_an_instrument_that_the_mappings_do_not_have_is_an_error():
    """Of a result and of an objective: nothing could be made of it."""
    record = case()
    record["instruments"][0]["instrument"] = "phq9"
    (found,) = judged(record, INSTRUMENTS)
    assert ("unknown-instrument", "$.instruments[0].instrument", "error") == (
        found.rule, found.where, found.severity
    )  # fmt: skip
    assert "did you mean 'phq-9'?" in found.message
    goal = {"type": "goal", "objectives": [{"text": "x"}, {"instrument": "x"}]}
    assert ["$.objectives[1].instrument"] == [f.where for f in judged(goal, INSTRUMENTS)]


@given(st.lists(st.tuples(st.sampled_from("123456789"), st.integers(-1, 4) | st.none())))
def test_what_is_raised_is_what_the_answers_raise(answers):
    """The look that most results get first agrees with the whole rule."""
    items = [{"n": n, "value": v} if v is not None else {"n": n} for n, v in answers]
    result = {"result_id": "r", "instrument": "phq-9", "administered_at": "x", "items": items}
    raised = "alerts" in derive({"type": "assessment", "instruments": [result]}, INSTRUMENTS)
    expected = alerts(INSTRUMENTS["phq-9"], answers_of(INSTRUMENTS["phq-9"], items))
    assert raised == bool(expected)
