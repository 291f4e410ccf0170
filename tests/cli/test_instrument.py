"""``fhirsvc instrument``: a Questionnaire becomes an instrument of the clinic's own folder."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc import shipped
from fhirsvc.mapping.from_questionnaire import written

LOINC = "http://loinc.org"
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
WEIGHT = "http://hl7.org/fhir/StructureDefinition/itemWeight"
NEVER, OFTEN, ALWAYS = ("LA6270-8", "Never"), ("LA10044-8", "Often"), ("LA9933-8", "Always")


def first(type: str) -> dict[str, Any]:
    """The demo's first record of a type."""
    found: dict[str, Any] = orjson.loads(shipped.demo()[f"{type}.ndjson"].splitlines()[0])
    return found


def option(answer: tuple[str, str], worth: int | None, url: str = ORDINAL) -> dict[str, Any]:
    """An answer as US Core writes it."""
    found: dict[str, Any] = {
        "valueCoding": {"system": LOINC, "code": answer[0], "display": answer[1]}
    }
    if worth is not None:
        found["extension"] = [{"url": url, "valueDecimal": worth}]
    return found


def question(code: str, text: str, **more: Any) -> dict[str, Any]:
    """A question with three answers that count 0, 1 and 2."""
    return {
        "linkId": f"/{code}",
        "code": [{"system": LOINC, "code": code}],
        "text": text,
        "type": "choice",
        "answerOption": [option(NEVER, 0), option(OFTEN, 1), option(ALWAYS, 2)],
        **more,
    }


def form(**more: Any) -> dict[str, Any]:
    """A form with two questions in a group, a remark and a total."""
    return {
        "resourceType": "Questionnaire",
        "id": "two-things",
        "url": "http://example.org/Questionnaire/two-things",
        "version": "2.1",
        "title": "Two things",
        "status": "active",
        "code": [{"system": LOINC, "code": "44249-1", "display": "A panel"}],
        "item": [
            {"linkId": "g", "type": "group", "item": [
                {"linkId": "d", "type": "display", "text": "In the last week"},
                question("44250-9", "One thing"),
                question("44255-8", "Another thing"),
            ]},
            {"linkId": "/44261-6", "code": [{"system": LOINC, "code": "44261-6"}],
             "type": "decimal", "text": "Total score"},
        ],
        **more,
    }  # fmt: skip


def content(resource: dict[str, Any]) -> dict[str, Any]:
    """What is written of a Questionnaire that can be taken over."""
    made = written(resource)
    assert not made.failed, made.findings
    return made.content


@pytest.fixture
def add(shell):
    """Runs ``instrument add`` on a Questionnaire, into ``site``."""

    def run(resource: object, *options: object):
        return shell("instrument", "add", shell.file("q.json", resource), "--to", "site", *options)

    return run


# ---- the command ---------------------------------------------------------------------------


def test_a_questionnaire_becomes_an_instrument_that_is_proven(shell, add, monkeypatch):
    """In a folder of the site's, made if need be; check and lint find nothing."""
    result = add(form())
    assert 0 == result.exit_code, result.output
    assert "site/instruments/two-things.yaml: two-things, 2 items, total 0 to 4" in result.stdout
    assert 0 == shell("map", "check", "--site", "site").exit_code
    monkeypatch.setenv("FHIRSVC_SITE", "site")
    lint = shell("codes", "lint")
    assert (0, "every code has a source; digits fit\n") == (lint.exit_code, lint.stdout)
    listed = {one["instrument"]: one for one in shell.json("instrument", "list")}
    assert {"phq-9", "c-ssrs", "two-things"} <= listed.keys()
    assert ["2.1.0", [0, 4], 2] == [
        listed["two-things"][key] for key in ("version", "range", "items")
    ]


def test_a_record_may_then_name_it(shell, add, monkeypatch):
    """It is mapped with its answers, its code and its Questionnaire; another name is not."""
    add(form())
    monkeypatch.setenv("FHIRSVC_SITE", "site")
    record = first("assessment")
    record["instruments"] = [
        {"result_id": "r1", "instrument": "two-things", "administered_at": record["started_at"],
         "items": [{"n": "1", "value": 2}, {"n": "2", "value": 1}], "total": 3}
    ]  # fmt: skip
    result = shell("map", "run", shell.file("a.ndjson", record))
    assert 0 == result.exit_code, result.output
    made = [orjson.loads(line) for line in result.stdout.splitlines()]
    answers = next(r for r in made if r["id"].endswith(".r1") and "item" in r)
    assert "urn:fhirsvc:Questionnaire:two-things|2.1.0" == answers["questionnaire"]
    assert ["/44250-9", "/44255-8"] == [item["linkId"] for item in answers["item"]]
    assert any(r["id"] == "instrument.two-things" for r in made)

    record["instruments"][0]["instrument"] = "two-thongs"
    result = shell("map", "run", shell.file("b.ndjson", record))
    assert 1 == result.exit_code
    assert "$.instruments[0].instrument" in result.stderr


def test_an_instrument_is_not_written_over_by_accident(shell, add):
    """Another name, or --replace."""
    add(form())
    path = shell.folder / "site/instruments/two-things.yaml"
    before = path.read_text()
    again = form(title="Other things")
    result = add(again)
    assert 1 == result.exit_code
    assert "is there already" in result.stderr
    assert before == path.read_text()
    assert 0 == add(again, "--name", "other").exit_code
    assert 0 == add(again, "--replace").exit_code
    assert "Other things" in path.read_text()


def test_nothing_else_of_the_folder_changes(shell, add):
    """But codes/sources.csv, which gets the codes it lacks, once."""
    add(form())
    site = shell.folder / "site"
    before = {p: p.read_bytes() for p in site.rglob("*") if p.is_file()}
    add(form(), "--name", "again")
    after = {p: p.read_bytes() for p in site.rglob("*") if p.is_file()}
    assert {site / "instruments/again.yaml"} == after.keys() - before.keys()
    assert before == {p: after[p] for p in before}
    sources = (site / "codes/sources.csv").read_text()
    assert 1 == sources.count("LA10044-8,B,http://example.org/Questionnaire/two-things|2.1\n")


@pytest.mark.parametrize("to", [(), ("--to", "q.json"), ("--to", "SHIPPED")])
def test_a_folder_that_cannot_be_written_to_is_usage(shell, to):
    """None named, a file, the folder that ships."""
    folder = str(shipped.__path__[0]) + "/mappings"
    file = shell.file("q.json", form())
    result = shell("instrument", "add", file, *[folder if o == "SHIPPED" else o for o in to])
    assert 2 == result.exit_code


def test_an_instrument_that_ships_is_not_shadowed(add):
    """Two of one name would be one too many; --replace is for the site's own."""
    for options in ((), ("--replace",)):
        result = add(form(id="phq-9"), *options)
        assert 1 == result.exit_code
        assert "site/instruments/phq-9.yaml:3:1: error: instrument 'phq-9' is also in" in (
            result.stderr
        )


def test_a_clinic_words_what_ships_without_words(shell, monkeypatch):
    """instruments/wording of the site's folder; a slip in it is told at its place."""
    path = shell.folder / "site/instruments/wording/dast-10.yaml"
    path.parent.mkdir(parents=True)
    path.write_text('wording: dast-10\nitems: {"1": First of the clinic}\n')
    monkeypatch.setenv("FHIRSVC_SITE", "site")
    record = first("assessment")
    record["instruments"] = [
        {"result_id": "r1", "instrument": "dast-10", "administered_at": record["started_at"],
         "items": [{"n": "1", "value": 0}, {"n": "2", "value": 0}]}
    ]  # fmt: skip
    result = shell("map", "run", shell.file("a.ndjson", record))
    assert "First of the clinic" in result.stdout
    assert "Item 2" in result.stdout
    path.write_text('wording: dast-10\nitems: {"11": None}\n')
    found = shell("map", "check")
    assert "site/instruments/wording/dast-10.yaml:2:9: error: dast-10 has no such item" in (
        found.stdout
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [("{", "q.json:2:1"), ('{"a": 1, "a": 2}', "1:10"), ("", "1:1"), ("[1]", "resourceType"),
     ('{"resourceType": "Patient"}', "resourceType")],
)  # fmt: skip
def test_what_is_no_questionnaire_is_refused_at_its_place(add, text, where):
    """Located, exit 1, nothing written."""
    result = add(text)
    assert 1 == result.exit_code
    assert where in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_is_not_there_is_usage(shell):
    """Said in one line."""
    result = shell("instrument", "add", "nowhere.json", "--to", "site")
    assert 2 == result.exit_code
    assert not (shell.folder / "site").exists()


@pytest.mark.parametrize("name", ["../../x", "Two", "9things", "a" * 41, "a b"])
def test_a_name_is_one_of_this_house(shell, add, name):
    """Nothing is written outside the folder, or under a name no record can have."""
    result = add(form(), "--name", name)
    assert 1 == result.exit_code
    assert "a name is small letters" in result.stderr
    assert not list(shell.folder.rglob("*.yaml"))


def test_findings_are_json_when_asked_for(add):
    """Where, rule and severity; the instrument on standard output."""
    extra = {"linkId": "t", "type": "string", "text": "Anything else?"}
    result = add(form(item=[*form()["item"], extra]), "--json")
    (told,) = [orjson.loads(line) for line in result.stderr.splitlines()]
    assert ("left-out", "warning") == (told["rule"], told["severity"])
    assert told["where"].endswith("Questionnaire.item[2]")
    assert "two-things" == orjson.loads(result.stdout)["instrument"]


# ---- what is taken over --------------------------------------------------------------------


def test_a_form_is_taken_over_as_it_stands():
    """Panel, total, range, canonical, questions in order, answers once where all have the same."""
    made = content(form(copyright="All\n  rights"))
    assert {"code": "44249-1", "display": "A panel"} == made["panel"]
    assert {"code": "44261-6"} == made["total"]
    assert [0, 4] == made["range"]
    assert "http://example.org/Questionnaire/two-things|2.1" == made["derivedFrom"]
    assert "All rights" == made["copyright"]
    assert [("1", "One thing"), ("2", "Another thing")] == [
        (item["n"], item["text"]) for item in made["items"]
    ]
    assert [0, 1, 2] == [answer["value"] for answer in made["answers"]]


def test_the_codes_of_lforms_are_read():
    """In the linkId, without a system; itemWeight on the coding."""
    asked = question("44250-9", "One thing")
    del asked["code"]
    for one, worth in zip(asked["answerOption"], (0, 1, 2), strict=True):
        del one["extension"], one["valueCoding"]["system"]
        one["valueCoding"]["extension"] = [{"url": WEIGHT, "valueDecimal": worth}]
    made = content(form(item=[asked]))
    assert "44250-9" == made["items"][0]["code"]
    assert [0, 2] == made["range"]


def test_answers_of_a_contained_value_set_are_read():
    """LForms exports them so."""
    asked = question("44250-9", "One thing", answerValueSet="#v")
    del asked["answerOption"]
    concepts = [
        {"code": code, "display": text, "extension": [{"url": ORDINAL, "valueDecimal": n}]}
        for n, (code, text) in enumerate((NEVER, OFTEN))
    ]
    values = {"resourceType": "ValueSet", "id": "v",
              "compose": {"include": [{"system": LOINC, "concept": concepts}]}}  # fmt: skip
    made = content(form(item=[asked], contained=[values]))
    assert ["LA6270-8", "LA10044-8"] == [a["code"] for a in made["answers"]]


def test_a_question_whose_answers_do_not_count_is_asked_and_not_scored():
    """Numbered by order, left out of the range."""
    plain = question("69722-7", "How hard", answerOption=[option(NEVER, None), option(OFTEN, None)])
    made = content(form(item=[question("44250-9", "One"), plain]))
    assert [None, False] == [item.get("scored") for item in made["items"]]
    assert [0, 1] == [answer["value"] for answer in made["items"][1]["answers"]]
    assert [0, 2] == made["range"]


def test_answers_that_count_the_same_are_read_as_one():
    """Records number answers by what they count."""
    both = question("44250-9", "One", answerOption=[
        option(NEVER, 0), option(OFTEN, 1), option(ALWAYS, 1)])  # fmt: skip
    resource = form(item=[both])
    (_, second) = content(resource)["answers"]
    assert [{"code": "LA9933-8"}] == second["also"]
    assert "answerOption[2]" in written(resource).findings[0].where


def test_a_number_that_is_no_score_is_no_total():
    """Total income is not a total score."""
    income = {"linkId": "/63586-2", "type": "integer", "text": "What is your total income?"}
    made = content(form(item=[question("44250-9", "One"), income]))
    assert "total" not in made


def broken(change) -> dict[str, Any]:
    """The form after a change."""
    found = copy.deepcopy(form())
    change(found)
    return found


Q = "Questionnaire.item[0].item[1]"
WRONG = [
    (broken(lambda q: q.pop("code")), "Questionnaire.code", "no LOINC code"),
    (broken(lambda q: q["code"][0].update(code="44249-2")), "Questionnaire.code", "check digit"),
    (broken(lambda q: q["item"][0]["item"][1]["code"][0].update(code="44250-1")), f"{Q}.code",
     "check digit"),
    (broken(lambda q: q["item"][0]["item"][1].pop("answerOption")), Q, "no answers"),
    (broken(lambda q: q["item"][0]["item"][1].update(answerValueSet="http://x")),
     f"{Q}.answerValueSet", "not contained"),
    (broken(lambda q: q["item"][0]["item"][1]["answerOption"][0]["valueCoding"].pop("code")),
     f"{Q}.answerOption[0]", "has a code"),
    (broken(lambda q: q["item"][0]["item"][1]["answerOption"][0]["valueCoding"].update(
        system="urn")), f"{Q}.answerOption[0]", "has a system"),
    (broken(lambda q: q["item"][0]["item"][1]["answerOption"].append({"valueInteger": 1})),
     f"{Q}.answerOption[3]", "is no coding"),
    (broken(lambda q: q["item"][0]["item"][1]["answerOption"][1]["extension"][0].update(
        valueDecimal=0.5)), f"{Q}.answerOption[1]", "whole number"),
    (broken(lambda q: q.update(item=[])), "Questionnaire.item", "nothing to count"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "where", "says"), WRONG)
def test_what_cannot_be_taken_over_is_told_where_it_stands(resource, where, says):
    """The FHIR path and what is wrong; no value of the file; nothing is written."""
    made = written(resource)
    assert made.failed
    assert {} == made.content
    assert any(f.where == where and says in f.message for f in made.findings), made.findings


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["item", "type", "code", "linkId", "answerOption", "valueCoding", "url",
                         "extension", "answerValueSet", "valueDecimal", "system", "text"]),
        inner | st.sampled_from(["choice", "decimal", LOINC, ORDINAL, "LA6270-8", "44250-9"]),
        max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@given(JSON, JSON, JSON)
def test_no_file_ends_in_an_error_of_ours(one, two, three):
    """Anything in any place: findings, or an instrument."""
    resource = {"resourceType": "Questionnaire", "code": one, "item": two, "contained": three}
    written(resource)
    changed = form(version=one, title=two)
    changed["item"][0]["item"][1]["answerOption"] = three
    written(changed)


def test_a_score_that_the_answers_do_not_bear_out_is_a_warning(shell):
    """map run says so where it stands, and sends what was stated: DAST-10 added up as given."""
    record = first("assessment")
    items = [{"n": str(n), "value": 1} for n in range(1, 11)]
    record["instruments"] = [
        {"result_id": "r1", "instrument": "dast-10", "administered_at": record["started_at"],
         "items": items, "total": 10, "severity": "severe"}
    ]  # fmt: skip
    result = shell("map", "run", shell.file("a.ndjson", record))
    assert 0 == result.exit_code
    assert "$.instruments[0].total: warning: is not what the answers count" in result.stderr
    assert "0 passed over" in result.stderr
    made = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert [10] == [r["valueQuantity"]["value"] for r in made if r["resourceType"] == "Observation"]


def test_what_is_loaded_is_counted_again_and_kept(shell):
    """load warns and accepts; an instrument that nobody knows is refused before it is stored."""
    record = first("assessment")
    items = [{"n": str(n), "value": 1} for n in range(1, 11)]
    result = {"result_id": "r1", "instrument": "dast-10", "administered_at": record["started_at"]}
    record["instruments"] = [{**result, "items": items, "total": 10}]
    done = shell("load", shell.file("a.ndjson", record))
    assert 0 == done.exit_code
    assert "$.instruments[0].total: warning" in done.stdout
    assert "1 created" in done.stdout
    record["instruments"] = [{**result, "instrument": "dast10", "total": 10}]
    done = shell("load", shell.file("b.ndjson", record))
    assert 1 == done.exit_code
    assert "$.instruments[0].instrument: error: the mappings have no such" in done.stdout
    assert "1 refused" in done.stdout
