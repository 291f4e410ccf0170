"""Referrals in the store: one move at a time on the version that is there, and who owes what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.referral.acting import NOBODY, By, act, renewed
from fhirsvc.referral.clocks import HOUSE_POLICY, Clock, Policy, due
from fhirsvc.referral.dialects import HOUSE, Dialect
from fhirsvc.referral.states import Action, Actor
from fhirsvc.services import ports
from fhirsvc.services.publish import Publisher
from fhirsvc.store import records
from fhirsvc.store.database import Database

TYPE = "referral"
PAGE = 200


@dataclass(frozen=True)
class Referral:
    """A referral as it stands: its record, the number of its version, its clocks."""

    record: dict[str, Any]
    version: int
    clocks: tuple[Clock, ...] = ()

    @property
    def overdue_days(self) -> int:
        """How long the clock that ran out first is over; 0 when none is."""
        return max((one.overdue_days for one in self.clocks), default=0)


@dataclass(frozen=True)
class Referrals:
    """Makes moves and lists what is owed.

    ``clock`` gives epoch seconds, ``new_id`` 32 hex digits.
    """

    database: Database
    publisher: Publisher
    clock: ports.Clock
    new_id: Callable[[], str]
    policy: Policy = HOUSE_POLICY

    def all(self, today: date) -> Iterator[Referral]:
        """Every referral that is not deleted, by id, with its clocks as of a day."""
        after = ""
        while True:
            with self.database.read() as tx:
                page = records.page(tx, TYPE, after, PAGE)
            for one in page:
                record = orjson.loads(one.body)
                yield Referral(record, one.version, due(record, today, self.policy))
            if len(page) < PAGE:
                return
            after = page[-1].id

    def get(self, id: str, today: date) -> Referral:
        """Return one.

        :raises FhirsvcError: NOT_FOUND when there is none, GONE when it is deleted.
        """
        with self.database.read() as tx:
            found = records.version(tx, (TYPE, id))
        if found.is_deleted:
            raise FhirsvcError(Category.GONE, "this referral is deleted", f"{TYPE}/{id}")
        record = orjson.loads(found.body)
        return Referral(record, found.version, due(record, today, self.policy))

    def act(
        self,
        id: str,
        action: Action,
        actor: Actor,
        *,
        by: By = NOBODY,
        reason: str | None = None,
        appointment: Mapping[str, Any] | None = None,
        outcome: Mapping[str, Any] | None = None,
        dialect: Dialect = HOUSE,
        expected: int | None = None,
        correlation_id: str = "",
    ) -> Referral:
        """Make a move now and store it as a new version, whose deliveries are opened with it.

        :param appointment: as for ``acting.act``; one without an ``appointment_id`` is given one.
        :param expected: the version that the actor saw; without it the current one.
        :raises FhirsvcError: as ``get`` and ``acting.act``; CONFLICT when there is another version
            than is expected, or somebody made a move at the same time: of two, one is refused.
        """
        now = datetime.fromtimestamp(self.clock(), UTC)
        seen = self.get(id, now.date())
        if expected is not None and expected != seen.version:
            message = f"the current version is {seen.version}, not {expected}"
            raise FhirsvcError(Category.CONFLICT, message, f"{TYPE}/{id}")
        step = self.new_id()[:12]
        if appointment is not None:
            appointment = {"appointment_id": step, **appointment}
        record = act(
            seen.record,
            action,
            actor,
            now.isoformat(timespec="seconds"),
            step,
            by=by,
            reason=reason,
            appointment=appointment,
            outcome=outcome,
            dialect=dialect,
        )
        return self._store(record, seen.version, now.date(), correlation_id)

    def renew(self, id: str, new_id: str, *, correlation_id: str = "") -> Referral:
        """Ask anew for what a closed referral asked: a draft that replaces it, to be sent.

        :raises FhirsvcError: as ``get``; CONFLICT while it is open, or when there is a referral of
            the new id; INVALID when that is no id.
        """
        now = datetime.fromtimestamp(self.clock(), UTC)
        old = self.get(id, now.date())
        record = renewed(old.record, new_id, now.isoformat(timespec="seconds"))
        return self._store(record, 0, now.date(), correlation_id)

    def _store(
        self, record: dict[str, Any], expected: int, today: date, correlation_id: str
    ) -> Referral:
        receipt = self.publisher.accept_one(
            record, expected=expected, correlation_id=correlation_id
        )
        if receipt.outcome == "refused":  # a site's check knows more than the schema
            first = receipt.findings[0]
            raise FhirsvcError(Category.INVALID, first.message, first.where)
        return Referral(record, receipt.version, due(record, today, self.policy))
