"""A filter means what a search means: the same criteria find the same resources in both."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from shipped_clinic import mappings

from fhirsvc.fhir.search import parse
from fhirsvc.fhir.search_match import meets
from fhirsvc.fhir.search_parameters import parameters
from fhirsvc.fhir.search_values import values
from fhirsvc.fhir.subscription import KINDS, TOPICS


@pytest.mark.parametrize("kind", sorted(set(TOPICS.values())))
def test_a_filter_is_a_search(clinic, demo, kind):
    """Every parameter that filters, with values that are there and one that is not."""
    made = {
        one["id"]: values(one)[0]
        for record in demo
        for one in mappings().forward(record, 8)
        if one["resourceType"] == kind
    }
    compared = found_some = 0
    for name, parameter in parameters(kind).items():
        if parameter.kind not in KINDS:
            continue
        known = {
            (value, system)
            for words in made.values()
            for index, value, system in words
            if index in parameter.index
        }
        for value, system in [*sorted(known)[:3], ("nobody", "")]:
            text = f"{system}|{value}" if parameter.kind == "token" and system else value
            for modifier in ("", ":not") if parameter.kind == "token" else ("",):
                given = [(name + modifier, text)]
                criteria = parse(kind, given).criteria
                answer = clinic.get(f"/fhir/{kind}?{urlencode([*given, ('_count', '1000')])}")
                searched = {one["resource"]["id"] for one in answer.json.get("entry", [])}
                assert {id_ for id_, words in made.items() if meets(criteria, words)} == searched
                compared += 1
                found_some += bool(searched)
    assert compared > 15
    assert found_some > 5
