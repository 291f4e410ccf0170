"""Two sides that both edit, over generated records of every type: all comes to rest, nothing goes.

Both edit for some rounds, then rest. **Converges**: what the EHR holds says, read back, what the
record says. **Loses nothing**: what either side added or took away is so at the EHR and in the
record, or it is told. **Quiet**: after two rounds of rest nothing moves. The EHR keeps everything,
or no Element.id, or never keeps certain elements. ``make laws`` runs 10,000 histories of each law.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from typing import Any

import pytest
import shipped_clinic as clinic
from edits import EDITS, NOISE, Ehr, places, says_twice, without, without_ids
from facts import Readable, count, spoken_of
from generated import records
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_back_laws import EXAMPLES, LAW, TYPES, mapped, two_way
from test_back_laws import _differ as differ
from two_sides import Body, History, Name, Told, forward, owners_of, read_onto

from fhirsvc.merge import Resolution

# The default suite draws the same histories each time.
SEEDED = settings(LAW, derandomize=EXAMPLES <= 300)

Plan = tuple[list[int], list[tuple[str, int]]]
PLANS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 99), max_size=3),
        st.lists(st.tuples(st.sampled_from(EDITS + NOISE), st.integers(0, 9999)), max_size=4),
    ),
    min_size=1,
    max_size=3,
)
EHRS = st.tuples(st.sampled_from(["all", "all", "no ids", "some"]), st.integers(0, 9999))


def _sound(record: Body) -> bool:
    """Whether a record maps, under ids that a local id tells apart (as for put-get).

    No list of it says one thing twice: what then went or came is not told by either side.
    """
    keys = [record.get("episode_id", ""), *record.get("diagnosis_ids", ())]
    keys += [one["diagnosis_id"] for one in record.get("diagnoses", ())]
    longest = max(map(len, record.get("diagnosis_ids", ())), default=0)
    fits = len(record.get("episode_id", "")) + longest < 48
    plain = not any("." in key for key in keys) and not says_twice(record)
    return fits and plain and mapped(record)


def _edited(record: Body, other: Body, seeds: list[int]) -> Body:
    """A record with some fields as another one has them."""
    made = copy.deepcopy(record)
    names = sorted({*record, *other} - {"type", "id"})
    for seed in seeds:
        name = names[seed % len(names)]
        if name in other:
            made[name] = copy.deepcopy(other[name])
        else:
            made.pop(name, None)
    return made


def _edits(history: History, other: Body, plan: Plan) -> None:
    """What is planned for a round: fields of the record, and elements at the EHR."""
    fields, theirs = plan
    made = _edited(history.record, other, fields)
    if _sound(made) and not clinic.mappings().check(made):
        history.record = made
    lent: dict[str, list[Body]] = {}
    for (kind, _), body in forward(other).items():
        lent.setdefault(kind, []).append(body)
    names = sorted(history.ehr)
    for what, seed in theirs if names else ():
        rng = random.Random(seed)
        name = rng.choice(names)
        body = copy.deepcopy(history.ehr[name])
        getattr(Ehr(rng, body, rng.choice(lent.get(name[0], [body]))), what)()
        history.ehr[name] = history.stores(body)


def _stores(kind: str, seed: int, record: Body) -> Any:
    """One of the EHRs that are met."""
    if kind == "all":
        return copy.deepcopy
    if kind == "no ids":
        return without_ids
    paths = [p for r in forward(record).values() for p, _, _ in places(r, r["resourceType"])]
    return without(tuple(random.Random(seed).choices(sorted(set(paths)), k=2)))


def _nothing_is_lost(told: Told) -> None:
    """Each value that came or went is so at the EHR, or is told."""
    merged = told.merged
    theirs_new = count(told.theirs) - count(told.held)
    lost = theirs_new - count(told.after)
    spoken = spoken_of((*merged.kept, *merged.sent), "before")
    spoken |= spoken_of(merged.conflicts, "theirs", "base")
    gone = {one.path.rpartition(".")[2] for one in (*merged.kept, *merged.sent)}
    lost = Counter(f for f in lost if not any(f"._{name}." in f[0] for name in gone))
    assert [] == [fact for fact in lost if fact[1] not in spoken], "an edit of the EHR"
    ours_new = count(told.ours) - count(told.said)
    lost = ours_new - count(merged.send)
    spoken = spoken_of(merged.set_aside, "before") | spoken_of(merged.conflicts, "ours")
    spoken |= spoken_of(merged.sent, "after")  # said in another form that the EHR has
    assert [] == [fact for fact in lost if fact[1] not in spoken], "an edit of the house"


@pytest.mark.parametrize("type_name", TYPES)
def test_two_sides_come_to_rest_and_nothing_is_lost(type_name: str):
    """Whatever both edit: two rounds later all is quiet, and both say the same."""

    @SEEDED
    @given(
        records(type_name, changes=4),
        records(type_name, changes=4),
        PLANS,
        EHRS,
        st.sampled_from(["ours", "theirs"]),
    )
    def law(
        record: Body, other: Body, plans: list[Plan], ehr: tuple[str, int], side: Resolution
    ) -> None:
        other["id"] = record["id"]
        assume(_sound(record) and _sound(other))
        history = History(record, _stores(*ehr, record))
        history.start()
        for plan in plans:
            _edits(history, other, plan)
            for told in history.round().values():
                _nothing_is_lost(told)
        _comes_to_rest(history, side)

    law()


@pytest.mark.parametrize("type_name", TYPES)
def test_a_first_meeting_comes_to_rest(type_name: str):
    """The EHR has the resources already, as another record would make them."""

    @SEEDED
    @given(
        records(type_name, changes=4),
        records(type_name, changes=4),
        st.sampled_from(["ours", "theirs"]),
    )
    def law(record: Body, other: Body, side: Resolution) -> None:
        other["id"] = record["id"]
        assume(_sound(record) and _sound(other))
        history = History(record, copy.deepcopy)
        history.start()
        there = forward(other)
        for name in history.ehr.keys() & there.keys():
            history.ehr[name], history.said[name] = there[name], None
        for told in history.round().values():
            if told.said is None:
                lost = count(told.theirs) - count(told.after)
                spoken = spoken_of(told.merged.sent, "before")
                assert [] == [fact for fact in lost if fact[1] not in spoken]
        _comes_to_rest(history, side)

    law()


def _comes_to_rest(history: History, side: Resolution) -> None:
    """Two rounds after the last edit nothing moves; nor after conflicts are decided: both agree."""
    history.round()
    history.round()
    _is_quiet(history.round())
    history.round(side)
    history.round("ours")  # what the record cannot take, if theirs was chosen
    history.round()
    told = history.round()
    _is_quiet(told)
    assert [] == [name for name, one in told.items() if one.merged.conflicts]
    _agree(history)


def _is_quiet(told: dict[Name, Told]) -> None:
    """Nothing was sent, set back, taken or given up; what is in dispute may still be told."""
    for name, one in told.items():
        merged = one.merged
        assert merged.is_quiet, (name, merged.sent, merged.kept)
        assert () == merged.taken, name
        assert () == merged.set_aside, name


def _agree(history: History) -> None:
    """What the EHR holds says what the record says."""
    ours = forward(history.record)
    readable = Readable({path for paths in history.removed.values() for path in paths})
    bodies = [
        readable.body(body, ours[name], owners_of(ours[name]).root, name[0])
        for name, body in history.ehr.items()
    ]
    read = read_onto(bodies, history.record)
    if history.stores in (copy.deepcopy, without_ids) and read is not None:
        mine, theirs = two_way(history.record), two_way(read)
        names = sorted({*mine, *theirs})
        apart = [one for n in names for one in differ(mine.get(n), theirs.get(n), str(n))]
        assert [] == apart
