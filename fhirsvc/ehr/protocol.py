"""How one resource is written so that it exists once, whatever happens on the way.

    an attempt of unknown outcome? ── read back: adopt what is there, or it is absent
    no remote id yet    conditional: PUT Type?identifier=…     create: search, POST, remember
    remote id known     PUT Type/id, If-Match
    409, 412, 428       read again: unchanged since we last wrote → once more; changed → hold

Before every write an attempt is noted (:class:`Journal`), and what is learned is noted together
with the attempt's end, so that a crash at any point leaves either nothing or something to look for.
https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from fhirsvc.ehr import content
from fhirsvc.ehr.client import Answer
from fhirsvc.ehr.decide import Decision, decide, issues
from fhirsvc.ehr.search import Reader, Remote, identity, token
from fhirsvc.errors import Category

# Seconds within which an EHR may still commit a write whose answer was given up waiting for.
LATE_S = 120.0
ROUNDS = 4  # writes of one resource in one turn, when others keep changing it


@dataclass(frozen=True)
class Wanted:
    """The resource to write: without id, references resolved, under its business identifier.

    ``hash`` is the fingerprint of the local form, ``version`` the record's.
    """

    resource_type: str
    system: str
    value: str
    body: Mapping[str, Any]
    hash: str
    version: int


@dataclass(frozen=True)
class OpenAttempt:
    """An earlier write of unknown outcome; ``settle_at`` epoch s is when to look for it."""

    id: int
    hash: str
    version: int
    body: Mapping[str, Any]
    settle_at: float


@dataclass(frozen=True)
class Known:
    """What is remembered of the remote resource; all None before the first write."""

    remote_id: str | None = None
    etag: str | None = None
    remote_hash: str | None = None
    open: OpenAttempt | None = None


class Journal(Protocol):
    """The durable memory of one link's writes. Each call is committed when it returns."""

    def begin(self, method: str, wanted: Wanted) -> int:
        """Note a write that is about to be made."""

    def end(self, attempt: int, outcome: str, answer: Answer | None = None) -> None:
        """Note that the write had no effect: ``refused``, ``not_sent`` or ``absent``."""

    def unknown(self, attempt: int, settle_at: float, status: int | None) -> None:
        """Note that its effect has to be looked for, from ``settle_at`` on."""

    def ack(
        self,
        attempt: int | None,
        outcome: str,
        remote: Remote,
        acked: tuple[str, int] | None,
        status: int | None = None,
    ) -> None:
        """Note what the EHR holds, with our (hash, version) when it is what we sent."""


@dataclass(frozen=True)
class Written:
    """The EHR holds what was wanted."""

    remote: Remote


@dataclass(frozen=True)
class Stopped:
    """The EHR does not hold it (or it is not known), and what to do about that."""

    decision: Decision


@dataclass(frozen=True)
class Dice:
    """What chance and time say, fixed for one turn: ``luck`` in [0, 1), ``now`` epoch seconds."""

    now: float
    luck: float
    attempts: int


class Writer:
    """Writes one resource to one EHR. ``mode`` is the connection's: conditional or create."""

    def __init__(
        self, reader: Reader, journal: Journal, mode: str, index_lag_s: float, dice: Dice
    ) -> None:
        self._reader = reader
        self._journal = journal
        self._mode = mode
        self._lag = index_lag_s
        self._dice = dice

    def write(self, wanted: Wanted, known: Known) -> Written | Stopped:
        """Bring the EHR to hold ``wanted``."""
        try:
            for _ in range(ROUNDS):
                step = self._look(wanted, known)
                if isinstance(step, Known):
                    step = self._make(wanted, step)
                if isinstance(step, Written):
                    return step
                known = step
        except _HaltError as halt:
            return Stopped(halt.decision)
        return Stopped(self._again("it kept changing"))

    def _look(self, wanted: Wanted, known: Known) -> Known | Written:
        """Find out what is there before writing: after a lost answer, or before a create."""
        if known.open is not None:
            return self._look_back(wanted, known, known.open)
        if known.remote_id is None and self._mode == "create":
            found = self._find(wanted, None)
            return known if found is None else self._adopt(wanted, found)
        return known

    def _look_back(self, wanted: Wanted, known: Known, attempt: OpenAttempt) -> Known | Written:
        """Find out what became of an attempt whose answer never came."""
        early = attempt.settle_at - self._dice.now
        if early > 0:
            raise _HaltError(Decision("retry", Category.UNAVAILABLE, early, detail="not known yet"))
        found = self._find(wanted, known.remote_id)
        if found is None or _is_unchanged(found, known):
            self._journal.end(attempt.id, "absent")
            return replace(known, open=None, etag=found.etag if found else None)
        if known.remote_id is not None and not content.holds(found.body, attempt.body):
            raise _HaltError(_conflict("changed at the EHR"))
        # It carries our identifier and appeared with our write, so our write it is.
        self._journal.ack(attempt.id, "adopted", found, (attempt.hash, attempt.version))
        return Written(found) if attempt.hash == wanted.hash else _known(found)

    def _adopt(self, wanted: Wanted, found: Remote) -> Known | Written:
        """Take over a resource that carries our identifier and that no attempt of ours explains."""
        same = content.holds(found.body, wanted.body)
        self._journal.ack(None, "adopted", found, (wanted.hash, wanted.version) if same else None)
        return Written(found) if same else _known(found)

    def _make(self, wanted: Wanted, known: Known) -> Known | Written:
        """One write; a :class:`Known` asks for another round."""
        method, path, params, body, headers = self._form(wanted, known)
        attempt = self._journal.begin(method, wanted)
        answer = self._reader.send(method, path, params=params, body=body, headers=headers)
        decision = decide(
            method,
            answer.status,
            answer.headers,
            answer.problem,
            attempts=self._dice.attempts,
            luck=self._dice.luck,
            now=self._dice.now,
            renewed=answer.renewed,
        )
        if decision.action == "done":
            remote = self._confirm(wanted, known, attempt, answer)
            self._journal.ack(attempt, "done", remote, (wanted.hash, wanted.version), answer.status)
            return Written(remote)
        if decision.unknown:
            # Of an update that is late the version tells; of a create nothing would.
            late = LATE_S if decision.is_late and known.remote_id is None else 0.0
            raise self._unseen(attempt, answer, decision, late)
        self._journal.end(attempt, "refused" if answer.status else "not_sent", answer)
        if decision.action == "reread":
            return self._reread(wanted, known)
        if decision.action == "new_token":  # there was no other token to be had
            decision = replace(decision, action="retry", rests=True)
        if answer.status == 404 and known.remote_id is not None:
            decision = Decision("hold", Category.GONE)
        detail = issues(answer.body) or answer.said or decision.detail
        raise _HaltError(replace(decision, detail=detail))

    def _form(
        self, wanted: Wanted, known: Known
    ) -> tuple[str, str, dict[str, str] | None, Mapping[str, Any], dict[str, str]]:
        headers = {"Prefer": "return=representation"}
        param, value = identity(wanted.resource_type), token(wanted.system, wanted.value)
        if known.remote_id is not None:
            if known.etag is not None:
                headers["If-Match"] = known.etag
            path = f"{wanted.resource_type}/{known.remote_id}"
            return "PUT", path, None, {**wanted.body, "id": known.remote_id}, headers
        if self._mode == "conditional":
            return "PUT", wanted.resource_type, {param: value}, wanted.body, headers
        # Not trusted, because servers race, but where it works it is one race fewer.
        headers["If-None-Exist"] = f"{param}={value}"
        return "POST", wanted.resource_type, None, wanted.body, headers

    def _confirm(self, wanted: Wanted, known: Known, attempt: int, answer: Answer) -> Remote:
        """Learn id, version and content from a success, by reading it back if it left them out."""
        remote = self._reader.from_answer(wanted.resource_type, answer, known.remote_id)
        if remote is not None:
            return remote
        remote_id = self._reader.id_in(wanted.resource_type, answer) or known.remote_id
        try:
            found = self._find(wanted, remote_id)
        except _HaltError as halt:
            raise self._unseen(attempt, answer, halt.decision) from None
        if found is None:  # it said yes, but it cannot be seen: perhaps not yet, perhaps never
            raise self._unseen(attempt, answer, self._again("not seen yet"))
        return found

    def _unseen(
        self, attempt: int, answer: Answer, decision: Decision, late: float = 0.0
    ) -> _HaltError:
        """Leave the attempt open, to be looked for once a search would show it."""
        settle = self._lag + late
        self._journal.unknown(attempt, self._reader.now() + settle, answer.status)
        return _HaltError(replace(decision, delay=max(decision.delay, settle)))

    def _reread(self, wanted: Wanted, known: Known) -> Known | Written:
        """After 409, 412 or 428: is it changed, already there, twice there, or only busy?"""
        found = self._find(wanted, known.remote_id)
        if found is None or (known.remote_id is not None and found.etag == known.etag):
            raise _HaltError(self._again("refused as busy"))
        if known.remote_id is None:
            return self._adopt(wanted, found)
        if _is_unchanged(found, known):
            return replace(known, etag=found.etag)
        if not content.holds(found.body, wanted.body):
            raise _HaltError(_conflict("changed at the EHR"))
        self._journal.ack(None, "adopted", found, (wanted.hash, wanted.version))
        return Written(found)

    def _find(self, wanted: Wanted, remote_id: str | None) -> Remote | None:
        """By id where it is known, else by business identifier."""
        found: Remote | Decision | None
        if remote_id is not None:
            found = self._reader.by_id(wanted.resource_type, remote_id)
        else:
            found = self._reader.by_identifier(wanted.resource_type, wanted.system, wanted.value)
        if isinstance(found, Decision):
            raise _HaltError(found)
        return found

    def _again(self, detail: str) -> Decision:
        return Decision("retry", Category.CONFLICT, max(1.0, self._lag), detail=detail)


class _HaltError(Exception):
    """Ends the writing of one resource with a decision."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.action)
        self.decision = decision


def _known(found: Remote) -> Known:
    return Known(found.id, found.etag, content.remote_fingerprint(found.body))


def _is_unchanged(found: Remote, known: Known) -> bool:
    """Whether nobody, we included, has changed the remote resource since it was last seen."""
    if known.remote_id is None:
        return False
    same_version = known.etag is not None and found.etag == known.etag
    return same_version or content.remote_fingerprint(found.body) == known.remote_hash


def _conflict(detail: str) -> Decision:
    return Decision("hold", Category.CONFLICT, detail=detail)


def sent_body(wanted: Wanted) -> str:
    """The JSON text to keep while the outcome of a write is not known."""
    return orjson.dumps(dict(wanted.body)).decode()
