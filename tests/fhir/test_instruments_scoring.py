"""Totals, bands, part scores, change and alerts of the shipped instruments, by their own files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped_clinic import mappings

from fhirsvc.fhir.scoring import Context, alerts, answers_of, band, change, recount, score

SHIPPED = mappings().library.instruments
SUMMED = sorted(n for n, i in SHIPPED.items() if i.items and i.scoring != "rules")
MALE, FEMALE = Context(sex="male"), Context(sex="female")


def full(name: str, value: int = 0, **others: int) -> dict[str, int]:
    """Every scored item answered ``value`` (or the nearest there is), but for ``others`` (q9=1)."""
    found = {}
    for item in SHIPPED[name].scored():
        values = [option.value for option in item.options]
        found[item.n] = value if value in values else max(v for v in values if v < value)
    return found | {n.removeprefix("q"): v for n, v in others.items()}


@st.composite
def answered(draw: st.DrawFn, names: list[str] = SUMMED) -> tuple[str, dict[str, int]]:
    """An instrument and some of its scored items, answered."""
    name = draw(st.sampled_from(names))
    found = {}
    for item in SHIPPED[name].scored():
        value = draw(st.none() | st.sampled_from([o.value for o in item.options]))
        if value is not None:
            found[item.n] = value
    return name, found


# ---- totals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "answers", "total", "severity"),
    [
        ("phq-9", full("phq-9"), 0, "minimal"),
        ("phq-9", full("phq-9", 1), 9, "mild"),
        ("phq-9", full("phq-9", 2, q1=3, q2=3), 20, "severe"),
        ("gad-7", full("gad-7", 1, q1=3, q2=2), 10, "moderate"),
        ("pcl-5", full("pcl-5", 1, q1=4, q2=4, q3=4, q4=4), 32, "below_cutoff"),
        ("pcl-5", full("pcl-5", 1, q1=4, q2=4, q3=4, q4=4, q5=2), 33, "above_cutoff"),
        ("audit", full("audit", 4), 40, "possible_dependence"),
        ("dast-10", full("dast-10", 0), 1, "low"),
        ("dast-10", full("dast-10", 0, q3=1), 0, "none"),
        ("dast-10", full("dast-10", 1, q3=0), 10, "severe"),
        ("dast-10", full("dast-10", 1), 9, "severe"),
        ("pc-ptsd-5", full("pc-ptsd-5", 1, q5=0, q4=0), 3, "positive"),
    ],
)
def test_a_total_is_what_the_scale_says(name, answers, total, severity):
    """Sums, counts, a reversed question, and the band each total falls in."""
    found = score(SHIPPED[name], answers)
    assert (total, severity) == (found.total, found.severity)
    assert found.complete
    assert not found.prorated


@given(answered())
def test_a_total_is_within_the_range_and_no_higher_answer_lowers_it(case):
    """For every set of answers; a reversed question turns it round."""
    name, answers = case
    instrument = SHIPPED[name]
    total = score(instrument, answers).total
    assert total is None or instrument.low <= total <= instrument.high
    for item in instrument.scored():
        values = sorted(o.value for o in item.options)
        if item.n not in answers or answers[item.n] == values[-1] or instrument.skips:
            continue
        higher = score(instrument, {**answers, item.n: values[-1]}).total
        if total is None or higher is None:
            assert (total is None) == (higher is None)
        else:
            assert higher <= total if item.reversed else higher >= total


@given(answered())
def test_a_complete_form_has_a_total_and_an_incomplete_one_only_by_rule(case):
    """PHQ-9 may miss two; of the others none may miss any."""
    name, answers = case
    found = score(SHIPPED[name], answers)
    assert found.complete == (not found.missing)
    allowed = len(found.missing) <= SHIPPED[name].may_miss
    assert (found.total is not None) == allowed


@given(st.dictionaries(st.text(max_size=3), st.integers(-5, 200)), st.sampled_from(sorted(SHIPPED)))
def test_answers_that_are_none_of_the_instruments_count_as_missing(answers, name):
    """Unknown items and impossible values change nothing."""
    instrument = SHIPPED[name]
    known = {i.n: [o.value for o in i.options] for i in instrument.items}
    real = {n: v for n, v in answers.items() if v in known.get(n, [])}
    assert score(instrument, answers) == score(instrument, real)


def test_the_mean_stands_in_for_one_or_two_missing_answers_of_the_phq_9():
    """To the nearest whole number; with three missing there is no total."""
    answers = full("phq-9", 1, q8=2)
    del answers["9"]
    found = score(SHIPPED["phq-9"], answers)
    assert (10, ("9",), True, False) == (
        found.total, found.missing, found.prorated, found.complete
    )  # fmt: skip
    del answers["1"], answers["2"]
    assert score(SHIPPED["phq-9"], answers).total is None
    assert score(SHIPPED["phq-9"], answers).severity is None


@pytest.mark.parametrize("name", sorted(set(SUMMED) - {"phq-9"}))
def test_without_a_published_rule_one_missing_answer_leaves_no_total(name):
    """Nothing is made up."""
    answers = full(name, 1)
    del answers["5" if "5" in answers else "3"]
    assert score(SHIPPED[name], answers).total is None


def test_an_instrument_without_items_has_no_score_of_its_own():
    """MoCA is carried by the total that is stated."""
    found = score(SHIPPED["moca"], {})
    assert found.total is None
    assert not found.complete


# ---- skips ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "answers", "total"),
    [
        ("audit", {"1": 0, "9": 0, "10": 2}, 2),
        ("audit", {"1": 3, "2": 0, "3": 0, "9": 4, "10": 4}, 11),
        ("audit", {"1": 3, "2": 0, "3": 1, "9": 4, "10": 4}, None),
        ("audit-c", {"1": 0}, 0),
        ("audit-c", {"1": 1}, None),
        ("pc-ptsd-5", {"exposure": 0}, 0),
        ("pc-ptsd-5", {"exposure": 1}, None),
    ],
)
def test_what_need_not_be_asked_is_not_missing(name, answers, total):
    """As each form says after which answer it may end; an answer that was given counts."""
    assert total == score(SHIPPED[name], answers).total


def test_an_answer_that_was_given_stands_though_it_could_be_skipped():
    """Nobody is contradicted."""
    assert 2 == score(SHIPPED["audit-c"], {"1": 0, "2": 2}).total


# ---- bands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "context", "severity"),
    [
        (3, MALE, "negative"),
        (4, MALE, "positive"),
        (2, FEMALE, "negative"),
        (3, FEMALE, "positive"),
        (3, Context(), None),
        (3, Context(sex="other"), None),
        (4, Context(), "positive"),
        (2, Context(sex="unknown"), "negative"),
    ],
)
def test_the_band_of_the_audit_c_depends_on_the_sex(total, context, severity):
    """Where it is not known and decides, there is no band."""
    assert severity == band(SHIPPED["audit-c"], total, context)


def test_the_band_of_the_pc_ptsd_5_depends_on_the_setting():
    """Three flags; four where the clinic wants errors balanced."""
    screen = SHIPPED["pc-ptsd-5"]
    assert "positive" == band(screen, 3)
    assert "negative" == band(screen, 3, Context(setting="balanced"))
    assert "positive" == band(screen, 4, Context(setting="balanced"))


# ---- subscales, criteria, risk -------------------------------------------------------------


def test_the_clusters_of_the_pcl_5_are_scored():
    """B of items 1 to 5, C of 6 and 7, D of 8 to 14, E of 15 to 20; none where one is missing."""
    answers = full("pcl-5", 1)
    found = score(SHIPPED["pcl-5"], answers).subscales
    assert {"B": 5, "C": 2, "D": 7, "E": 6} == found
    del answers["7"]
    assert {"B": 5, "C": None, "D": 7, "E": 6} == score(SHIPPED["pcl-5"], answers).subscales


@pytest.mark.parametrize(
    ("answers", "met"),
    [
        (full("pcl-5", 0, q1=2, q6=2, q8=2, q9=2, q15=2, q16=2), True),
        (full("pcl-5", 0, q1=2, q6=2, q8=2, q9=1, q15=2, q16=2), False),
        (full("pcl-5", 1), False),
        ({"1": 2, "6": 4, "8": 2, "14": 2, "15": 2, "20": 3}, True),
        ({"1": 2, "6": 4, "8": 2, "15": 2, "20": 3}, None),
    ],
)
def test_the_provisional_diagnosis_of_the_pcl_5(answers, met):
    """One of B and C and two of D and E at 2 or more; open where a missing answer decides."""
    assert met is score(SHIPPED["pcl-5"], answers).criteria["provisional-ptsd"]


RISKS = [
    ({}, "none"), ({"1": 1}, "low"), ({"2": 1}, "low"), ({"3": 1}, "moderate"),
    ({"6": 1, "7": 0}, "moderate"), ({"4": 1}, "high"), ({"5": 1}, "high"),
    ({"6": 1, "7": 1}, "high"), ({"1": 1, "3": 1, "5": 1}, "high"),
]  # fmt: skip


@pytest.mark.parametrize(("yes", "risk"), RISKS)
def test_the_risk_of_the_c_ssrs(yes, risk):
    """By Columbia's triage: there is no total, the risk is the result."""
    found = score(SHIPPED["c-ssrs"], full("c-ssrs", 0) | yes)
    assert (None, risk, True) == (found.total, found.severity, found.complete)


def test_a_risk_is_not_told_while_a_higher_one_is_open():
    """High is certain as soon as it is answered; less only when nothing higher can come."""
    screen = SHIPPED["c-ssrs"]
    assert "high" == score(screen, {"4": 1}).severity
    assert score(screen, {"1": 1, "2": 0}).severity is None
    assert "low" == score(screen, {"1": 1, "2": 0, "6": 0}).severity


ITEMS = st.sampled_from("1234567")


@given(st.dictionaries(ITEMS, st.sampled_from([0, 1])), ITEMS)
def test_no_yes_lowers_a_risk(answers, n):
    """Over all answers."""
    order = ["none", "low", "moderate", "high"]
    screen = SHIPPED["c-ssrs"]
    before = score(screen, answers | {n: 0}).severity
    after = score(screen, answers | {n: 1}).severity
    if before is not None and after is not None:
        assert order.index(after) >= order.index(before)


# ---- change --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "before", "after", "direction", "threshold"),
    [
        ("phq-9", 19, 14, "better", 5),
        ("phq-9", 19, 15, "same", 5),
        ("phq-9", 10, 15, "worse", 5),
        ("gad-7", 12, 8, "better", 4),
        ("pcl-5", 40, 36, "same", 5),
        ("pcl-5", 40, 33, "better", 5),
        ("pcl-5", 40, 30, "better", 10),
        ("audit", 16, 14, "better", None),
        ("audit", 16, 19, "same", None),
        ("audit", 14, 16, "worse", None),
        ("moca", 22, 22, "same", None),
        ("moca", 22, 26, None, None),
    ],
)
def test_a_change_is_told_with_the_threshold_used(name, before, after, direction, threshold):
    """By published thresholds, else by bands, else not at all."""
    found = change(SHIPPED[name], before, after)
    assert (direction, threshold) == (found.direction, found.threshold)
    assert after - before == found.points
    assert (found.source != "") == (threshold is not None)


@given(st.sampled_from(SUMMED), st.integers(0, 80), st.integers(0, 80))
def test_a_change_and_its_reverse_are_opposites(name, before, after):
    """Better one way is worse the other way."""
    there = change(SHIPPED[name], before, after, FEMALE).direction
    back = change(SHIPPED[name], after, before, FEMALE).direction
    assert {"better": "worse", "worse": "better"}.get(there, there) == back


# ---- alerts --------------------------------------------------------------------------------


@given(answered(["phq-9"]))
def test_item_9_of_the_phq_9_alerts_whatever_the_total(case):
    """Exactly when it is answered one or more; missing answers elsewhere change nothing."""
    _, answers = case
    raised = [alert.key for alert in alerts(SHIPPED["phq-9"], answers)]
    assert (["item-9"] if answers.get("9", 0) >= 1 else []) == raised


def test_a_high_risk_of_the_c_ssrs_alerts():
    """Told by the answers, or stated where there are none; a lower statement hides nothing."""
    screen = SHIPPED["c-ssrs"]
    assert ["high"] == [a.key for a in alerts(screen, {"5": 1})]
    assert ["high"] == [a.key for a in alerts(screen, {}, "high")]
    assert ["high"] == [a.key for a in alerts(screen, {"5": 1}, "low")]
    assert [] == alerts(screen, full("c-ssrs", 0), "moderate")


def test_an_item_flagged_by_the_reader_alerts_without_its_answer():
    """A clinic may send the flag and not the answers."""
    assert ["item-9"] == [a.key for a in alerts(SHIPPED["phq-9"], {}, None, ["9"])]
    assert [] == alerts(SHIPPED["phq-9"], {}, None, ["3"])


# ---- recount -------------------------------------------------------------------------------


def result(name: str, answers: dict[str, int], **stated: object) -> dict[str, object]:
    """An instrument result of a record."""
    items = [{"n": n, "value": value} for n, value in answers.items()]
    return {"instrument": name, "items": items, **stated}


@pytest.mark.parametrize(
    ("stated", "rule", "where"),
    [
        ({"total": 9, "severity": "mild"}, None, None),
        ({"total": 10}, "total-mismatch", "$.instruments[2].total"),
        ({"total": 9, "severity": "severe"}, "severity-mismatch", "$.instruments[2].severity"),
        ({"severity": "mild"}, None, None),
    ],
)
def test_what_is_stated_is_counted_again(stated, rule, where):
    """A difference is a warning at the field that states it."""
    found = recount(
        SHIPPED["phq-9"], result("phq-9", full("phq-9", 1), **stated), where="$.instruments[2]"
    )
    assert ([rule] if rule else []) == [f.rule for f in found]
    assert all((f.where, f.severity) == (where, "warning") for f in found)


def test_a_dast_10_added_up_as_given_is_recognised():
    """The commonest slip: question 3 not turned round."""
    answers = full("dast-10", 1)
    (found,) = recount(SHIPPED["dast-10"], result("dast-10", answers, total=10))
    assert "counts reversed" in found.message


def test_a_stated_band_is_held_against_the_stated_total_where_there_are_no_answers():
    """And no band that the sex could make right is called wrong."""
    audit_c = SHIPPED["audit-c"]
    assert [] == recount(audit_c, {"total": 3, "severity": "positive"})
    (found,) = recount(audit_c, {"total": 3, "severity": "positive"}, MALE)
    assert "severity-mismatch" == found.rule


def test_a_stated_risk_is_held_against_the_answers():
    """C-SSRS has no total to compare."""
    screen = SHIPPED["c-ssrs"]
    (found,) = recount(screen, result("c-ssrs", {"4": 1}, severity="low"))
    assert ("severity-mismatch", "$.severity") == (found.rule, found.where)
    assert [] == recount(screen, result("c-ssrs", {"4": 1}, severity="high"))


def test_a_stated_part_score_is_held_against_the_answers():
    """By the subscale's key; one the file does not know is nobody's to judge."""
    stated = [{"subscale_id": "B", "score": 5}, {"subscale_id": "C", "score": 3},
              {"subscale_id": "Z", "score": 99}]  # fmt: skip
    found = recount(SHIPPED["pcl-5"], result("pcl-5", full("pcl-5", 1), subscales=stated))
    assert ["$.subscales[1].score"] == [f.where for f in found]


@given(answered())
def test_what_was_counted_is_never_a_mismatch(case):
    """The score of some answers, stated beside them, raises no finding."""
    name, answers = case
    found = score(SHIPPED[name], answers, FEMALE)
    stated = {"total": found.total, "severity": found.severity}
    kept = {k: v for k, v in stated.items() if v is not None}
    assert [] == recount(SHIPPED[name], result(name, answers, **kept), FEMALE)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_whatever_stands_where_answers_should_be_is_read_past(items):
    """Records that nobody checked do not raise."""
    assert {} == answers_of(SHIPPED["phq-9"], items)
    assert {} == answers_of(SHIPPED["phq-9"], [items, {"n": items, "value": 1}, {"n": "1"}])
