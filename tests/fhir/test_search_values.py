"""Spans of time, words that are kept, and searches read from parameters, without any database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc.fhir.definitions import definition
from fhirsvc.fhir.search import SearchError, parse
from fhirsvc.fhir.search_dates import ALWAYS, span, spans
from fhirsvc.fhir.search_parameters import TYPES, indexed, parameters
from fhirsvc.fhir.search_values import folded, values


def _at(*parts):
    return datetime(*parts, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", _at(2024, 1, 1), _at(2025, 1, 1)),
        ("2023-02", _at(2023, 2, 1), _at(2023, 3, 1)),
        ("2024-12", _at(2024, 12, 1), _at(2025, 1, 1)),
        ("2024-02-29", _at(2024, 2, 29), _at(2024, 3, 1)),
        ("2024-02-29T10:00Z", _at(2024, 2, 29, 10), _at(2024, 2, 29, 10, 1)),
        ("2024-02-29T10:00:30Z", _at(2024, 2, 29, 10, 0, 30), _at(2024, 2, 29, 10, 0, 31)),
        ("2024-02-29T10:00:30+02:00", _at(2024, 2, 29, 8, 0, 30), _at(2024, 2, 29, 8, 0, 31)),
        ("9999-12-31", _at(9999, 12, 31), _at(9999, 12, 31) + 86400),
    ],
)
def test_a_moment_is_as_long_as_it_is_precise(text, low, high):
    """A year is all of it, and a second is a second."""
    assert span(text) == (low, high)


@pytest.mark.parametrize("text", ["", "24", "2023-02-29", "2023-13", "now", "2024-1-1", None, 7])
def test_what_is_no_moment_has_no_span(text):
    """Nothing is guessed."""
    assert span(text) is None


@given(
    st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_moments_agree_with_the_calendar(moment, minutes):
    """Any moment with any offset, as the standard library reads it."""
    offset = timedelta(minutes=abs(minutes))
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    text = f"{moment.isoformat(timespec='milliseconds')}{sign}{hours:02}:{rest:02}"
    there = moment.replace(tzinfo=UTC) + (offset if minutes < 0 else -offset)
    low, high = span(text)
    assert low == pytest.approx(there.timestamp() - there.microsecond % 1000 / 1e6, abs=1e-4)
    assert high - low == pytest.approx(0.001, abs=1e-4)


def test_periods_may_be_open():
    """An end that is not said is for ever."""
    assert spans({"start": "2024-01-01"}) == [(_at(2024, 1, 1), ALWAYS)]
    assert spans({"end": "2024"}) == [(-ALWAYS, _at(2025, 1, 1))]
    assert spans({"event": ["2024", "nonsense"]}) == [(_at(2024, 1, 1), _at(2025, 1, 1))]
    assert spans({}) == spans(7) == []


def test_what_is_kept_of_a_resource():
    """Each kind of value under its name, once."""
    resource = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": "urn:a", "value": "1"}, {"value": "2"}],
        "name": [{"family": "Ångström", "given": ["Bo", "Bo"]}],
        "active": True,
        "gender": "other",
        "birthDate": "1980-05",
        "generalPractitioner": [{"reference": "Practitioner/x"}, {"display": "somebody"}],
    }
    words, dates = values(resource)
    assert words == {
        ("Patient.identifier", "1", "urn:a"),
        ("Patient.identifier", "2", ""),
        ("Patient.family", "angstrom", "Ångström"),
        ("Patient.given", "bo", "Bo"),
        ("Patient.active", "true", ""),
        ("Patient.gender", "other", ""),
        ("Patient.general-practitioner", "Practitioner/x", ""),
    }
    assert dates == {("Patient.birthdate", _at(1980, 5, 1), _at(1980, 6, 1))}


@pytest.mark.parametrize("kind", TYPES)
def test_every_path_is_an_element_of_r4(kind):
    """And the last one is of a type that the parameter's kind can be found in."""
    takes = {
        "token": {"code", "boolean", "string", "CodeableConcept", "Coding", "Identifier"},
        "reference": {"Reference"},
        "string": {"string"},
        "date": {"date", "dateTime", "instant", "Period", "Timing"},
        "uri": {"uri", "canonical", "url"},
    }
    for parameter in indexed(kind):
        for path in parameter.paths:
            shape = definition(kind)
            for name in path[:-1]:
                shape = definition(shape.elements[name].type)
            assert shape.elements[path[-1]].type in takes[parameter.kind], (kind, path)


@pytest.mark.parametrize("kind", TYPES)
def test_every_parameter_searches_in_what_is_kept(kind):
    """No parameter looks under a name that nothing is kept under."""
    kept = {one.index[0] for one in indexed(kind)}
    for parameter in parameters(kind).values():
        assert set(parameter.index) <= kept


@given(st.text())
def test_folding_twice_is_folding_once(text):
    """Both sides of a comparison are folded, however often."""
    assert folded(folded(text)) == folded(text)


def test_escapes_stand_for_themselves():
    """A comma or a bar after a backslash parts nothing."""
    (criterion,) = parse("Task", [("identifier", r"a\,b,c\|d,urn:x|e\\")]).criteria
    assert criterion.words == (("a,b", None), ("c|d", None), ("e\\", "urn:x"))


def test_there_is_an_end_to_what_one_may_ask():
    """Too many parameters, values or resources on a page."""
    assert parse("Task", [("_count", "5000")]).count == 1000
    with pytest.raises(SearchError, match="50"):
        parse("Task", [("status", "x")] * 51)
    with pytest.raises(SearchError, match="200"):
        parse("Task", [("status", ",".join("x" * 201))])


@given(st.text(max_size=30), st.text(min_size=12, max_size=30))
def test_any_parameter_is_read_or_refused(name, value):
    """Nothing else is raised, and the message has no word of the value."""
    said = ""
    try:
        parse("Task", [(name, value)])
    except SearchError as error:
        said = error.message
    assert value not in said
