"""Judgements: the word for how a goal is going that its client's scores bear out, and since when.

A judgement belongs to one version of a goal; when the word changes while the version stays, a new
revision is written beside the old one. A delivery names the revision that it sends, so what each
turn mapped can be read again: ``record_version`` and ``judgement`` together, neither ever changed
in what it says (``scores_at`` alone moves, when later scores bear out the same word).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from fhirsvc.store import deliveries
from fhirsvc.store.deliveries import Change, Delivery
from fhirsvc.store.tables import delivery, judgement, record, record_version

GOAL, ASSESSMENT = BEARING = "goal", "assessment"  # the records that a judgement rests on
_LOCKS = 7033117  # the space of our locks on clients among PostgreSQL's advisory locks
_REOPENED = ("delivered", "held", "dead")


@dataclass(frozen=True)
class Word:
    """A house word of goals' ``progress``; None where neither scores nor the clinic say one."""

    text: str | None
    scores_at: float  # epoch s: the newest acceptance among the assessments it rests on; 0: none


@dataclass(frozen=True)
class Judged:
    """The current version of a goal and its judgement, if there is one; ``body`` is JSON text."""

    id: str
    version: int
    revision: int
    client_id: str
    body: str
    word: Word | None


def lock(tx: sa.Connection, clients: Iterable[str]) -> None:
    """Let nobody else judge these clients' goals, or bring them records, until the commit.

    A goal and an assessment that arrive at once must not miss each other. SQLite has one writer.
    """
    if tx.dialect.name != "postgresql":
        return
    numbers = {zlib.crc32(client.encode()) - 2**31 for client in clients}
    for number in sorted(numbers):  # one locking order: no deadlock
        tx.execute(
            sa.text("SELECT pg_advisory_xact_lock(:space, :number)"),
            {"space": _LOCKS, "number": number},
        )


def goals(tx: sa.Connection, clients: Iterable[str]) -> list[Judged]:
    """The goals of these clients."""
    rows = tx.execute(
        _current(GOAL, clients)
        .add_columns(
            record.c.revision,
            judgement.c.version.label("judged"),
            judgement.c.word,
            judgement.c.scores_at,
        )
        .outerjoin(judgement, _is_current)
    )
    return [
        Judged(
            row.id,
            row.version,
            row.revision,
            row.client_id,
            row.body,
            Word(row.word, row.scores_at) if row.judged else None,
        )
        for row in rows
    ]


def assessments(tx: sa.Connection, clients: Iterable[str]) -> list[tuple[str, str | None, float]]:
    """(client id, body, when it was accepted) of every assessment of these clients.

    Of a deleted one there is no body any more, but that it was deleted counts as well.
    """
    rows = tx.execute(_current(ASSESSMENT, clients).add_columns(record_version.c.is_deleted))
    return [(row.client_id, None if row.is_deleted else row.body, row.accepted_at) for row in rows]


_is_current = sa.and_(
    judgement.c.type == record.c.type,
    judgement.c.id == record.c.id,
    judgement.c.version == record.c.version,
    judgement.c.revision == record.c.revision,
)


def _current(
    record_type: str, clients: Iterable[str]
) -> sa.Select[tuple[str, int, str, str, float]]:
    return (
        sa.select(
            record.c.id,
            record.c.version,
            record.c.client_id,
            record_version.c.body,
            record_version.c.accepted_at,
        )
        .join(
            record_version,
            sa.and_(
                record_version.c.type == record.c.type,
                record_version.c.id == record.c.id,
                record_version.c.version == record.c.version,
            ),
        )
        .where(record.c.type == record_type, record.c.client_id.in_(sorted(set(clients))))
        .order_by(record.c.id)
    )


def keep(tx: sa.Connection, goal: Judged, word: Word, now: float) -> None:
    """Note the word of a goal, or that the one noted rests on later scores as well."""
    if goal.word is None:
        _write(tx, goal, goal.revision, word, now)
    elif goal.word.scores_at != word.scores_at:
        tx.execute(
            sa.update(judgement)
            .where(
                judgement.c.type == GOAL,
                judgement.c.id == goal.id,
                judgement.c.version == goal.version,
                judgement.c.revision == goal.revision,
            )
            .values(scores_at=word.scores_at)
        )


def replace(tx: sa.Connection, goal: Judged, word: Word, correlation_id: str, now: float) -> None:
    """Note another word and send the goal again wherever it goes.

    What is unsent takes the new word with it. What is being sent may have been mapped with the
    old one: its turn ends in another (:func:`fhirsvc.store.turns.finish`).
    """
    revision = goal.revision + 1
    _write(tx, goal, revision, word, now)
    its = sa.and_(
        delivery.c.record_type == GOAL,
        delivery.c.record_id == goal.id,
        delivery.c.version == goal.version,
        delivery.c.state != "superseded",
    )
    over = delivery.c.state.in_(_REOPENED)
    # Deliveries before the record: the order in which the end of a turn locks them.
    tx.execute(
        sa.update(delivery)
        .where(its)
        .values(
            revision=revision,
            correlation_id=correlation_id,
            attempts=sa.case((over, 0), else_=delivery.c.attempts),
        )
    )
    reason = f"its scores came to say something else (judgement {revision})"
    change = Change("pending", reason=reason, reopens=True)
    deliveries.move(tx, sa.and_(its, over), change, now)
    tx.execute(
        sa.update(record)
        .where(record.c.type == GOAL, record.c.id == goal.id)
        .values(revision=revision)
    )


def _write(tx: sa.Connection, goal: Judged, revision: int, word: Word, now: float) -> None:
    tx.execute(
        sa.insert(judgement).values(
            type=GOAL,
            id=goal.id,
            version=goal.version,
            revision=revision,
            word=word.text,
            scores_at=word.scores_at,
            judged_at=now,
        )
    )


def of(tx: sa.Connection, taken: Delivery) -> Word | None:
    """The judgement that a delivery sends; None when there is none."""
    row = tx.execute(
        sa.select(judgement.c.word, judgement.c.scores_at).where(
            judgement.c.type == taken.record_type,
            judgement.c.id == taken.record_id,
            judgement.c.version == taken.version,
            judgement.c.revision == taken.revision,
        )
    ).first()
    return Word(row.word, row.scores_at) if row else None


def now(tx: sa.Connection, key: tuple[str, str]) -> Word | None:
    """The newest judgement of a record; None when there is none."""
    row = tx.execute(
        sa.select(judgement.c.word, judgement.c.scores_at)
        .join(record, _is_current)
        .where(record.c.type == key[0], record.c.id == key[1])
    ).first()
    return Word(row.word, row.scores_at) if row else None


def unjudged(tx: sa.Connection, limit: int = 100) -> list[str]:
    """Clients with goals that were never judged, or not since their newest assessment."""
    scored = record.alias()
    later = sa.exists().where(
        scored.c.client_id == record.c.client_id,
        scored.c.type == ASSESSMENT,
        scored.c.updated_at > judgement.c.scores_at,
    )
    found = tx.execute(
        sa.select(record.c.client_id)
        .outerjoin(judgement, _is_current)
        .where(
            record.c.type == GOAL,
            record.c.client_id.is_not(None),
            sa.or_(judgement.c.version.is_(None), later),
        )
        .distinct()
        .order_by(record.c.client_id)
        .limit(limit)
    )
    return list(found.scalars())
