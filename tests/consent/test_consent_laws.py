"""Laws of the gate over made-up records and consents: nothing unconsented leaks, in any form."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from gate import CASES, WHEN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted import FACT, KNOWN, PART2, WHO, WHY, Fact, Planted, consents, may_be_told, planted
from shipped_clinic import mappings

from fhirsvc.consent import (
    FIELDS,
    Decision,
    Recipient,
    Request,
    What,
    decide,
    tells_kinds_apart,
    weigh,
)
from fhirsvc.consent.labels import CONFIDENTIALITY
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.sensitive import Sensitivity

CALM: Any = {"deadline": None, "suppress_health_check": list(HealthCheck)}
MANY = settings(max_examples=CASES, **CALM)
SOME = settings(max_examples=CASES // 4, **CALM)


@cache
def _sensitivity() -> Sensitivity:
    return Sensitivity(mappings(), KNOWN)


def _request(
    made: Planted, said: list[dict[str, Any]], who: Recipient, why: Any, **more: Any
) -> Request:
    record = made.record
    kinds = FIELDS.get(record["type"]) if tells_kinds_apart(said) else None
    resources = _sensitivity().marked(record, kinds=kinds)
    what = What(record["type"], record["id"], 1, "client-01", "org-cedar-hollow", resources)
    return Request(who, what, why, WHEN, said, **more)


def _told(decision: Decision) -> set[str]:
    """Every planted word anywhere in what goes out: values, narrative, displays, contained."""
    return set(FACT.findall(json.dumps(decision.resources)))


@MANY
@given(planted(), consents(), WHO, WHY)
def test_what_may_not_be_told_is_nowhere_and_what_goes_carries_its_labels(
    made: Planted, said: list[dict[str, Any]], who: Recipient, why: str
):
    """Nor in what is said of the decision; what goes is valid and refers to nothing withheld."""
    request = _request(made, said, who, why)
    decision = decide(request)
    told = _told(decision)
    for fact in made.facts:
        assert fact.word not in told or may_be_told(fact, said, who, why), fact
    assert not FACT.search(repr((decision.withheld, decision.reasons)))
    away = {one.resource for one in decision.withheld if "." not in one.path}
    for resource in decision.resources:
        assert [f for f in validate(resource) if f.severity == "error"] == []
        assert not any(f'"{ref}"' in json.dumps(resource) for ref in away)
    _carry_their_labels(decision, made.facts, who)


def _carry_their_labels(decision: Decision, facts: Iterable[Fact], who: Recipient) -> None:
    """A resource that tells a sensitive fact says so, once, and part 2 is noticed outside."""
    labels = {fact.word: fact.labels for fact in facts}
    for resource in decision.resources:
        found = FACT.findall(json.dumps(resource))
        needed: frozenset[str] = frozenset().union(*(labels[word] for word in found))
        tags = (resource.get("meta") or {}).get("security") or ()
        codes = {tag["code"] for tag in tags}
        assert needed - {"SUD", "ETH"} <= codes
        if needed:
            assert [t["code"] for t in tags if t["system"] == CONFIDENTIALITY] == ["R"]
        if needed & PART2:
            assert {"42CFRPart2", "NORDSCLCD"} <= codes
            assert codes & PART2
            assert decision.part2 or who.kind == "staff"


@MANY
@given(planted(), consents(), WHO, WHY, st.data())
def test_revoking_or_expiring_never_lets_more_out(
    made: Planted, said: list[dict[str, Any]], who: Recipient, why: str, data: st.DataObject
):
    """Whatever other consents there are."""
    before = _told(decide(_request(made, said, who, why)))
    for at, one in enumerate(said):
        if one["status"] != "active":
            continue
        change = data.draw(
            st.sampled_from(
                [
                    {"status": "revoked", "revoked_at": WHEN.isoformat()},
                    {"status": "expired"},
                    {"expires_on": "2026-03-31"},
                ]
            )
        )
        changed = [*said[:at], {**one, **change}, *said[at + 1 :]]
        assert _told(decide(_request(made, changed, who, why))) <= before


@SOME
@given(planted(), consents(), WHO, WHY, st.randoms(use_true_random=False))
def test_the_same_question_has_the_same_answer(
    made: Planted, said: list[dict[str, Any]], who: Recipient, why: str, chance: Any
):
    """In whatever order consents come, weighed before or not; and nothing given is changed."""
    request = _request(made, said, who, why)
    before = copy.deepcopy((request.consents, [one.resource for one in request.what.resources]))
    decision = decide(request)
    assert decide(request, weigh(request)) == decision
    mixed = list(said)
    chance.shuffle(mixed)
    other = decide(_request(made, mixed, who, why))
    assert (other.resources, other.consents) == (decision.resources, decision.consents)
    assert (request.consents, [one.resource for one in request.what.resources]) == before


@SOME
@given(planted(), consents(), WHO, WHY)
def test_a_site_that_asks_for_a_consent_always_sends_no_more(
    made: Planted, said: list[dict[str, Any]], who: Recipient, why: str
):
    """The stricter policy lets out a part of what the other does."""
    free = _told(decide(_request(made, said, who, why)))
    strict = _told(decide(_request(made, said, who, why, default="consent_for_all")))
    assert strict <= free


def test_the_cases_tell_and_withhold_facts_of_every_kind():
    """Laws over cases that never send, or never hold, would say nothing."""
    seen: set[tuple[bool, bool, str]] = set()

    @settings(max_examples=600, derandomize=True, database=None, **CALM)
    @given(planted(), consents(), WHO, WHY)
    def look(made: Planted, said: list[dict[str, Any]], who: Recipient, why: str) -> None:
        told = _told(decide(_request(made, said, who, why)))
        seen.update((f.word in told, bool(f.labels), made.record["type"]) for f in made.facts)

    look()
    kinds = ("goal", "care_plan", "episode", "assessment", "referral", "client")
    assert {(told, kind) for told, _, kind in seen} == {
        (t, k) for t in (True, False) for k in kinds
    }
    assert {(True, k) for k in kinds} <= {(labelled, k) for told, labelled, k in seen if told}
    assert {(told, labelled) for told, labelled, _ in seen} >= {(False, False), (False, True)}
