"""Scores over time: their order, what a change means, and the picture of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from fhirsvc.handoff.chart import HEIGHT, WIDTH, chart, said
from fhirsvc.handoff.trends import Trend, trends


@pytest.fixture(name="phq9")
def _phq9(late):
    return late.mappings.library.instruments["phq-9"]


def score(code, at, value):
    """An Observation of a total."""
    coding = {"system": "http://loinc.org", "code": code}
    return {
        "resourceType": "Observation",
        "code": {"coding": [coding]},
        "effectiveDateTime": at,
        "valueQuantity": {"value": value},
    }


def aim(code, value):
    """A Goal that is after a total."""
    measure = {"coding": [{"system": "http://loinc.org", "code": code}]}
    return {"target": [{"measure": measure, "detailQuantity": {"value": value}}]}


def test_scores_are_in_order_with_what_the_goals_are_after(phq9):
    """Whatever order they come in; other instruments and answers are left alone."""
    code = phq9.total["code"]
    given = [score(code, "2026-03-01", 9), score("8867-4", "2026-03-01", 70)]
    given += [score(code, "2026-01-05T09:00:00-05:00", 18), {"code": {}}]
    goals = [aim(code, 4), aim(code, 4), {"target": [{"detailString": "sleep"}]}]
    (found,) = trends(given, goals, {"phq-9": phq9})
    assert [point.value for point in found.points] == [18, 9]
    assert found.aims == (4,)
    assert (found.change, found.band(9), found.band(0)) == (-9, "mild", "minimal")


@pytest.mark.parametrize(
    ("before", "after", "meaning"),
    [(18, 17, "no more than chance"), (18, 13, "meaningful improvement"), (9, 14, "worsening")],
)
def test_a_change_means_what_the_instrument_says(phq9, before, after, meaning):
    """By its own thresholds: PHQ-9's is 5 points, and lower is better."""
    code = phq9.total["code"]
    given = [score(code, "2026-01-05", before), score(code, "2026-02-05", after)]
    (found,) = trends(given, [], {"phq-9": phq9})
    assert found.meaning.endswith(meaning)


def test_one_score_has_no_change(phq9):
    """And no meaning."""
    (found,) = trends([score(phq9.total["code"], "2026-01-05", 3)], [], {"phq-9": phq9})
    assert (found.change, found.meaning) == (0, "")


def test_the_picture_is_well_formed_and_says_itself(phq9):
    """Every score is a point inside of it, in the words too; no script, nothing fetched."""
    code = phq9.total["code"]
    days = [("2026-01-05", 27), ("2026-02-05", 40), ("2026-02-05", 0), ("2026-04-01", 3)]
    (found,) = trends([score(code, *day) for day in days], [aim(code, 4)], {"phq-9": phq9})
    drawn = ET.fromstring(chart(found))
    space = "{http://www.w3.org/2000/svg}"
    assert drawn.get("role") == "img"
    assert drawn.findtext(f"{space}desc") == said(found)
    circles = drawn.findall(f"{space}circle")
    assert len(circles) == len(days)
    for one in circles:
        assert 0 <= float(one.get("cx")) <= WIDTH
        assert 0 <= float(one.get("cy")) <= HEIGHT
    lines = [one for one in drawn.findall(f"{space}line") if one.get("stroke-dasharray")]
    assert len(lines) == 1
    assert "27 on January 5, 2026" in said(found)
    assert "the aim is 4" in said(found)
    tags = {one.tag.removeprefix(space) for one in drawn.iter()}
    assert tags <= {"svg", "title", "desc", "rect", "text", "line", "polyline", "circle"}


def test_what_an_instrument_is_called_cannot_break_the_picture(phq9):
    """A title with signs of XML in it."""
    from dataclasses import replace

    odd = replace(phq9, title='</title><script>"&')
    (found,) = trends([score(phq9.total["code"], "2026-01-05", 3)], [], {"phq-9": odd})
    drawn = ET.fromstring(chart(Trend(odd, found.points)))
    assert drawn.findtext("{http://www.w3.org/2000/svg}title") == odd.title
