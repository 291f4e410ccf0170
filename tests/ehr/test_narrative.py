"""Pages: values in words, HTML that is safe, PDFs that never fail."""

from __future__ import annotations

import re

import pytest
from arranging import names
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped_clinic import mappings, records

from fhirsvc.ehr import phrases
from fhirsvc.ehr.local import leads_to
from fhirsvc.ehr.narrative import Page, Part, Table, page
from fhirsvc.ehr.narrative_html import html
from fhirsvc.ehr.narrative_pdf import pdf
from fhirsvc.ehr.narrative_words import as_text

DATE = "2026-06-25T15:10:00-04:00"
ODD = {
    "accents": "Zoë Nuñez-Łukasiewicz, Đặng Thị Ánh",
    "cyrillic": "Ольга Шевченко",
    "greek": "Ελένη Παπαδοπούλου",
    "chinese": "王小明の",
    "hebrew": "מחכה לתור",
    "arabic": "في انتظار الموعد",
    "emoji": "Cooking 🍲 👩🏽‍⚕️ ❤️",
    "control": "a\x00b\x1bc\u200bd\ufeff",
    "long word": "x" * 5000,
    "long text": "word " * 3000,
    "empty": "",
    "lines": "one\ntwo\r\nthree",
}


def name_of(reference):
    """What the demo calls it."""
    target = leads_to(reference)
    return str(reference.get("display") or names().get(target or ("", ""), "somebody"))


def plain(text: str) -> Page:
    """A page that has a text in each of its places."""
    table = Table(text, ("What", text), ((text, "y"), ("x", text)))
    return Page(text or "Title", (("Patient", text),), (Part(text, (("Note", text),), (table,)),))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-06-25", "June 25, 2026"),
        ("2026-06", "June 2026"),
        ("2026", "2026"),
        ("2026-06-25T00:05:00-04:00", "June 25, 2026, 12:05 AM (UTC-04:00)"),
        ("2026-06-25T12:00:00Z", "June 25, 2026, 12:00 PM (UTC)"),
        ("2026-13-01", "2026-13-01"),
        ("soon", "soon"),
    ],
)
def test_dates_are_words(value, expected):
    """What is no date is shown as it is."""
    assert phrases.moment(value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("boolean", False, "no"),
        ("code", "in-progress", "In progress"),
        ("CodeableConcept", {"coding": [{"code": "a", "display": "Yoga"}]}, "Yoga"),
        (
            "CodeableConcept",
            {"coding": [{"code": "a", "display": "Exercise"}], "text": "Walks"},
            "Walks (Exercise)",
        ),
        ("CodeableConcept", {"coding": [{"code": "a"}]}, "a"),
        (
            "CodeableConcept",
            {
                "coding": [
                    {
                        "system": "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS",
                        "code": "5.1.2",
                    }
                ]
            },
            "event unattended",
        ),
        ("Quantity", {"value": 12, "unit": "{score}"}, "12"),
        ("Quantity", {"value": 9, "unit": "h", "comparator": ">="}, ">= 9 h"),
        ("Period", {"start": "2026-01-02"}, "from January 2, 2026"),
        ("Period", {"end": "2026-01-02"}, "until January 2, 2026"),
        (
            "Timing",
            {
                "repeat": {
                    "frequency": 3,
                    "period": 1,
                    "periodUnit": "wk",
                    "duration": 90,
                    "durationUnit": "min",
                    "dayOfWeek": ["mon", "fri"],
                    "timeOfDay": ["09:00:00"],
                }
            },
            "3 times a week, 90 minutes each, Monday, Friday at 09:00",
        ),
        ("HumanName", {"use": "usual", "given": ["Delia"]}, "Delia (name in use)"),
        ("HumanName", {"prefix": ["Dr."], "given": ["A"], "family": "B", "suffix": ["MD"]},
         "Dr. A B, MD"),
        ("Annotation", {"text": "Said", "authorString": "family", "time": "2026-01-02"},
         "Said — family, January 2, 2026"),
        ("Reference", {"display": "Willow"}, "Willow"),
        ("Address", {"line": ["1 Elm"], "city": "Akron", "state": "OH", "postalCode": "44301"},
         "1 Elm, Akron, OH 44301"),
        ("ContactPoint", {"system": "phone", "value": "330-555-0101"}, "phone 330-555-0101"),
    ],
)  # fmt: skip
def test_values_are_words(kind, value, expected):
    """Displays and texts, not codes."""
    assert phrases.typed(kind, value, name_of) == expected


def test_an_extension_has_a_label():
    """The end of its URL in words, or what the page calls it."""
    given = {
        "extension": [
            {"url": "urn:fhirsvc:StructureDefinition:review-due", "valueDate": "2026-03-25"},
            {"url": "http://x/outer", "extension": [{"url": "part", "valueString": "drives"}]},
        ]
    }
    assert phrases.extensions(given, name_of) == [
        ("Review due", "March 25, 2026"),
        ("Outer", "part: drives"),
    ]


def test_parts_stand_in_the_order_of_a_reader():
    """The plan first, what was signed last, whatever the order of the resources."""
    one = next(r for r in records() if r["id"] == "plan-02")
    made = list(reversed(mappings().forward(one)))
    titles = [part.title for part in page("Plan", (), made, name_of).parts]
    assert titles[0].startswith("Plan of care")
    assert titles[-1] == "Signed and decided"


def test_scores_are_a_table():
    """Several findings are read beside each other."""
    one = next(r for r in records() if r["id"] == "assessment-08-w03")
    made = [r for r in mappings().forward(one) if r["resourceType"] == "Observation"]
    (part,) = page("Scores", (), made, name_of).parts
    (table,) = part.tables
    assert table.head[:3] == ("What", "Result", "Meaning")
    assert any("19" in row and "Moderately severe" in row for row in table.rows)


def test_a_form_is_questions_and_answers():
    """Under the form's own title."""
    one = next(r for r in records() if r["id"] == "assessment-08-w03")
    (response,) = (
        r for r in mappings().forward(one) if str(r.get("questionnaire", "")).count("phq-9")
    )
    instrument = mappings().library.instruments["phq-9"]
    titles = {instrument.url: instrument.title}
    (part,) = page("x", (), [response], name_of, titles=titles).parts
    assert part.title == f"Answers: {instrument.title}"
    assert part.tables[0].rows[-1][1] == "More than half the days"


def test_narrative_that_the_page_says_already_is_not_repeated():
    """The words of the mapped narrative stand once."""
    one = next(r for r in records() if r["id"] == "plan-01")
    (plan,) = (r for r in mappings().forward(one) if r["resourceType"] == "CarePlan")
    (part,) = page("x", (), [plan], name_of).parts
    labels = [label for label, _ in part.rows]
    assert "Summary" not in labels  # it is the description
    assert "Coping that worked" in labels


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_html_is_escaped(text):
    """Whatever people write, the page has the tags of its own and no others."""
    made = html(plain(text))
    tags = set(re.findall(r"<(/?[a-zA-Z!]+)", made))
    own = set(re.findall(r"<(/?[a-zA-Z!]+)", html(plain("x"))))
    assert tags <= own


def test_html_stands_alone():
    """No script, nothing fetched, for paper too."""
    made = html(plain("x"))
    assert "<script" not in made
    assert "src=" not in made
    assert "url(" not in made
    assert "default-src 'none'" in made
    assert "size:letter" in made


@pytest.mark.parametrize("name", list(ODD))
def test_a_pdf_of_whatever_people_write(name):
    """Never a failure, and the same bytes again."""
    first = pdf(plain(ODD[name]), DATE)
    assert first.startswith(b"%PDF-")
    assert pdf(plain(ODD[name]), DATE) == first


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=80))
def test_a_pdf_of_any_text(text):
    """Any Unicode that JSON can carry."""
    assert pdf(plain(text), DATE).startswith(b"%PDF-")


def test_the_date_of_a_pdf_is_the_one_given():
    """Not that of the clock; one that cannot be read is no failure."""
    made = pdf(plain("x"), DATE)
    assert b"20260625191000" in made
    assert pdf(plain("x"), "whenever").startswith(b"%PDF-")


def test_every_demo_page_can_be_printed():
    """Each record of the demo as one page, in words and in HTML; a few as PDF."""
    for number, one in enumerate(records()):
        made = page(one["id"], (), mappings().forward(one), name_of)
        assert html(made)
        assert as_text(made).startswith(one["id"])
        if number % 25 == 0:
            assert pdf(made, DATE)
