"""Judging goals by scores, in the transaction that accepts either.

Whenever a goal or an assessment of a client is accepted, the word for each of the client's goals is
found again, from the current versions of the client's assessments. A goal whose word changed goes
out again, once; the others are left alone. The stored record keeps the clinic's own word.

The word is not found again when a delivery is sent, retried or looked at later: a judgement is
written beside the goal's version, the delivery names it (``revision``), and every turn maps the
version with exactly that word. What a later score says is another judgement, and another turn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import orjson
import sqlalchemy as sa

from fhirsvc.mapping.achievement import Moved, Record, Result, judged, results_of, told
from fhirsvc.store import judgements
from fhirsvc.store.deliveries import Delivery
from fhirsvc.store.judgements import Word


def judge(
    tx: sa.Connection,
    clients: Iterable[str],
    fresh: Collection[str],
    moved: Moved,
    *,
    correlation_id: str,
    now: float,
) -> int:
    """Judge the goals of some clients, which are locked; how many are to be sent again.

    ``fresh`` are the ids of goals with a version that this transaction brings: nobody can have
    sent it yet, so its first judgement goes along with it.
    """
    goals = judgements.goals(tx, clients)
    if not goals:
        return 0
    scores, newest = _scores(tx, {goal.client_id for goal in goals})
    again = 0
    for goal in goals:
        record = orjson.loads(goal.body)
        found = judged(record, scores.get(goal.client_id, ()), moved).get("progress")
        word = Word(found, newest.get(goal.client_id, 0.0))
        before = goal.word.text if goal.word else record.get("progress")
        if found == before or goal.id in fresh:
            judgements.keep(tx, goal, word, now)
        else:
            judgements.replace(tx, goal, word, correlation_id, now)
            again += 1
    return again


def _scores(
    tx: sa.Connection, clients: Iterable[str]
) -> tuple[dict[str, list[Result]], dict[str, float]]:
    """Each client's dated totals in order of time, and when the newest assessment was accepted."""
    bodies: dict[str, list[Record]] = {}
    newest: dict[str, float] = {}
    for client, body, accepted_at in judgements.assessments(tx, clients):
        if body is not None:
            bodies.setdefault(client, []).append(orjson.loads(body))
        newest[client] = max(accepted_at, newest.get(client, 0.0))
    return {client: results_of(listed) for client, listed in bodies.items()}, newest


def catch_up(tx: sa.Connection, moved: Moved, correlation_id: str, now: float) -> int:
    """Judge goals that were accepted, or got scores, while nobody judged.

    Those that were to go with another word are sent again, caused by ``correlation_id``. Returns
    how many clients were looked at: some of those there are, none when all is done.
    """
    clients = judgements.unjudged(tx)
    judgements.lock(tx, clients)
    judge(tx, clients, (), moved, correlation_id=correlation_id, now=now)
    return len(clients)


def as_judged(tx: sa.Connection, taken: Delivery, record: Record) -> Record:
    """A goal with the word of the judgement that its delivery names; other records as they are."""
    if taken.record_type != judgements.GOAL:
        return record
    word = judgements.of(tx, taken)
    return record if word is None else told(record, word.text)


def as_it_is(tx: sa.Connection, key: tuple[str, str], record: Record) -> Record:
    """A goal with the word of its newest judgement; other records as they are."""
    word = judgements.now(tx, key) if key[0] == judgements.GOAL else None
    return record if word is None else told(record, word.text)


def unjudged(record: Record, shown: Record, changed: Record) -> Record:
    """``changed``, made of a goal ``shown`` with its judgement, with the clinic's own word again.

    What somebody else says of the goal stays; what only the scores say is not put on the record.
    """
    if shown == record or changed.get("progress") != shown.get("progress"):
        return changed
    words = ("progress", "progress_text")
    kept = {name: value for name, value in changed.items() if name not in words}
    return {**kept, **{name: record[name] for name in words if name in record}}
