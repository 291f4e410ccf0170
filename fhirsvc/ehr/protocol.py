"""How one resource is written so that it exists once, whatever happens on the way.

    an attempt of unknown outcome? ── read back: adopt what is there, or it is absent
    no remote id yet    conditional: PUT Type?identifier=…     create: search, POST, remember
    remote id known     PUT Type/id, If-Match; without a version to match, read before
    409, 412, 428       read again: unchanged since we last wrote → once more; changed → reconcile
    several there       ours, made twice: all but one are taken away again
    now and then        a success is read back, because some say 200 and keep nothing

Before every write an attempt is noted (:class:`Journal`), and what is learned is noted together
with the attempt's end, so that a crash at any point leaves either nothing or something to look for.
https://hl7.org/fhir/R4/http.html#cond-update

It is over 300 lines because the steps are one protocol: each leaves what the next looks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from fhirsvc.ehr import content
from fhirsvc.ehr.client import Answer
from fhirsvc.ehr.decide import Decision, decide, issues
from fhirsvc.ehr.search import Duplicates, Reader, Remote, identity, token
from fhirsvc.errors import Category

# Seconds within which an EHR may still commit a write whose answer was given up waiting for.
LATE_S = 120.0
ROUNDS = 4  # writes of one resource in one turn, when others keep changing it


@dataclass(frozen=True)
class Wanted:
    """The resource to write: without id, references resolved, under its business identifier.

    ``hash`` is the fingerprint of the local form, ``version`` the record's. ``said`` is what our
    mapping makes, where ``body`` has something of the EHR's own beside it.
    """

    resource_type: str
    system: str
    value: str
    body: Mapping[str, Any]
    hash: str
    version: int
    said: Mapping[str, Any] = field(default_factory=dict)
    local_id: str = ""  # what we call it: the id it is made under, where the EHR lets us choose


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

    def check(self) -> None:
        """Raise when nothing may be written any more: somebody else does, or stopped it."""

    def begin(self, method: str, wanted: Wanted) -> int:
        """Note a write that is about to be made."""

    def end(self, attempt: int, outcome: str, answer: Answer | None = None) -> None:
        """Note that the write had no effect: ``refused``, ``not_sent`` or ``absent``."""

    def unknown(self, attempt: int, settle_at: float, status: int | None) -> None:
        """Note that its effect has to be looked for, from ``settle_at`` on."""

    def gone(self, attempt: int | None, status: int | None = None) -> None:
        """Note that the EHR has it no longer."""

    def ack(
        self,
        attempt: int | None,
        outcome: str,
        remote: Remote,
        acked: Wanted | None,
        status: int | None = None,
    ) -> None:
        """Note what the EHR holds, and what we sent when that is what it holds."""


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


@dataclass(frozen=True)
class Onward:
    """Not yet: another round is needed, with what is wanted and known by now."""

    wanted: Wanted
    known: Known


@dataclass(frozen=True)
class Request:
    """One write that has been noted and is to be made; ``headers`` condition it."""

    wanted: Wanted
    known: Known
    attempt: int
    method: str
    path: str
    params: dict[str, str] | None
    body: Mapping[str, Any]
    headers: dict[str, str]


# What is to be there, now that the EHR holds something we had not seen; that nothing more is, or
# what to do instead.
Reconcile = Callable[[Remote], Wanted | Written | Decision]


class Writer:
    """Writes one resource to one EHR.

    ``mode`` says how it is made: ``conditional`` (update by identifier), ``create`` (search, POST)
    or ``own`` (PUT under an id of ours, which is the same however often it is made).
    ``verify`` is the share of successes that are read back.
    """

    def __init__(
        self,
        reader: Reader,
        journal: Journal,
        mode: str,
        index_lag_s: float,
        dice: Dice,
        *,
        reconcile: Reconcile | None = None,
        verify: float = 0.0,
    ) -> None:
        self._reader = reader
        self._journal = journal
        self._mode = mode
        self._lag = index_lag_s
        self._dice = dice
        self._reconcile = reconcile
        self._verify = verify

    def write(self, wanted: Wanted, known: Known) -> Written | Stopped:
        """Bring the EHR to hold ``wanted``."""
        for _ in range(ROUNDS):
            begun = self.begin(wanted, known)
            if not isinstance(begun, Request):
                return begun
            step = self.conclude(begun, self.send(begun))
            if not isinstance(step, Onward):
                return step
            wanted, known = step.wanted, step.known
        return Stopped(self._again("it kept changing"))

    def begin(self, wanted: Wanted, known: Known) -> Request | Written | Stopped:
        """Look at what is there, as far as need be, and note the write that is to be made."""
        try:
            step = self._look(wanted, known)
        except _HaltError as halt:
            return Stopped(halt.decision)
        return step if isinstance(step, Written) else self._request(step.wanted, step.known)

    def send(self, request: Request) -> Answer:
        """Make the write."""
        return self._reader.send(
            request.method,
            request.path,
            params=request.params,
            body=request.body,
            headers={"Prefer": "return=representation", **request.headers},
        )

    def conclude(self, request: Request, answer: Answer) -> Written | Stopped | Onward:
        """Note what an answer says of a write; :class:`Onward` asks for another round."""
        try:
            return self._made(request, answer)
        except _HaltError as halt:
            return Stopped(halt.decision)

    def _look(self, wanted: Wanted, known: Known) -> Onward | Written:
        """Find out what is there before writing: after a lost answer, or before a create."""
        if known.open is not None:
            return self._look_back(wanted, known, known.open)
        looks = self._mode == "create" or self._reconcile is not None
        if known.remote_id is None and looks and self._can_look(wanted):
            # Something may carry our identifier already, with what others have put there.
            found = self._find(wanted, None)
            return Onward(wanted, known) if found is None else self._adopt(wanted, found)
        if known.remote_id is not None and known.etag is None:
            # Nothing would stop us from writing over what somebody changed there meanwhile.
            found = self._find(wanted, known.remote_id)
            if found is not None and not _is_unchanged(found, known):
                return self._reconciled(wanted, found)
        return Onward(wanted, known)

    def _can_look(self, wanted: Wanted) -> bool:
        return bool(self._reader.searches(wanted.resource_type, whose(wanted.body)))

    def _look_back(self, wanted: Wanted, known: Known, attempt: OpenAttempt) -> Onward | Written:
        """Find out what became of an attempt whose answer never came."""
        early = attempt.settle_at - self._dice.now
        if early > 0:
            raise _HaltError(Decision("retry", Category.UNAVAILABLE, early, detail="not known yet"))
        sent = replace(
            wanted,
            body=attempt.body,
            hash=attempt.hash,
            version=attempt.version,
            said=wanted.said if attempt.hash == wanted.hash else attempt.body,
        )
        found = self._find(wanted, known.remote_id, sent)
        if found is None or _is_unchanged(found, known):
            self._journal.end(attempt.id, "absent")
            return Onward(wanted, replace(known, open=None, etag=found.etag if found else None))
        if known.remote_id is not None and not content.holds(found.body, attempt.body):
            self._journal.end(attempt.id, "absent")
            return self._reconciled(wanted, found)
        # It carries our identifier and appeared with our write, so our write it is.
        self._journal.ack(attempt.id, "adopted", found, sent)
        if attempt.hash == wanted.hash:
            return Written(found)
        return Onward(wanted, _known(found))

    def _adopt(self, wanted: Wanted, found: Remote) -> Onward | Written:
        """Take over a resource that carries our identifier and that no attempt of ours explains."""
        same = content.holds(found.body, wanted.body)
        self._journal.ack(None, "adopted", found, wanted if same else None)
        if same:
            return Written(found)
        return self._reconciled(wanted, found) if self._reconcile else Onward(wanted, _known(found))

    def _reconciled(self, wanted: Wanted, found: Remote) -> Onward | Written:
        """What is to be there, now that somebody else changed it."""
        merged = self._reconcile(found) if self._reconcile else _conflict("changed at the EHR")
        if isinstance(merged, Decision):
            raise _HaltError(merged)
        if isinstance(merged, Written):
            self._journal.ack(None, "adopted", found, wanted)
            return merged
        return Onward(merged, _known(found))

    def _request(self, wanted: Wanted, known: Known) -> Request:
        method, path, params, body, headers = self._form(wanted, known)
        attempt = self._journal.begin(method, wanted)
        return Request(wanted, known, attempt, method, path, params, body, headers)

    def _made(self, request: Request, answer: Answer) -> Written | Onward:
        wanted, known, attempt = request.wanted, request.known, request.attempt
        decision = self._decided(request.method, answer)
        if decision.action == "done":
            remote = self._confirm(wanted, known, attempt, answer)
            self._journal.ack(attempt, "done", remote, wanted, answer.status)
            return Written(remote)
        if decision.unknown:
            # Of an update that is late the version tells; of a create nothing would.
            late = LATE_S if decision.is_late and known.remote_id is None else 0.0
            raise self._unseen(attempt, answer, decision, late)
        self._journal.end(attempt, "refused" if answer.status else "not_sent", answer)
        if decision.action == "reread":
            return self._reread(wanted, known, answer.status)
        if decision.action == "new_token":  # there was no other token to be had
            decision = replace(decision, action="retry", rests=True)
        if answer.status == 404 and known.remote_id is not None:
            decision = Decision("hold", Category.GONE)
        detail = issues(answer.body) or answer.said or decision.detail
        raise _HaltError(replace(decision, detail=detail, status=answer.status))

    def _decided(self, method: str, answer: Answer) -> Decision:
        return decide(
            method,
            answer.status,
            answer.headers,
            answer.problem,
            attempts=self._dice.attempts,
            luck=self._dice.luck,
            now=self._dice.now,
            renewed=answer.renewed,
        )

    def _form(
        self, wanted: Wanted, known: Known
    ) -> tuple[str, str, dict[str, str] | None, Mapping[str, Any], dict[str, str]]:
        param, value = identity(wanted.resource_type), token(wanted.system, wanted.value)
        if known.remote_id is not None:
            headers = {} if known.etag is None else {"If-Match": known.etag}
            path = f"{wanted.resource_type}/{known.remote_id}"
            return "PUT", path, None, {**wanted.body, "id": known.remote_id}, headers
        if self._mode == "conditional":
            return "PUT", wanted.resource_type, {param: value}, wanted.body, {}
        if self._mode == "own":
            path = f"{wanted.resource_type}/{wanted.local_id}"
            return "PUT", path, None, {**wanted.body, "id": wanted.local_id}, {}
        # Not trusted, because servers race, but where it works it is one race fewer.
        headers = {"If-None-Exist": f"{param}={value}"}
        return "POST", wanted.resource_type, None, wanted.body, headers

    def _confirm(self, wanted: Wanted, known: Known, attempt: int, answer: Answer) -> Remote:
        """Learn id, version and content from a success, by reading it back if it left them out."""
        remote = self._reader.from_answer(wanted.resource_type, answer, known.remote_id)
        if remote is not None and self._dice.luck >= self._verify:
            return remote
        remote_id = self._reader.id_in(wanted.resource_type, answer) or known.remote_id
        if remote is not None:
            remote_id = remote.id
        try:
            found = self._find(wanted, remote_id)
        except _HaltError as halt:
            if halt.decision.category == Category.GONE:  # it said yes and kept nothing
                halt.decision = self._again("not kept")
            raise self._unseen(attempt, answer, halt.decision) from None
        if found is None:  # it said yes, but it cannot be seen: perhaps not yet, perhaps never
            raise self._unseen(attempt, answer, self._again("not seen yet"))
        if remote is not None and known.remote_id is not None and _is_unchanged(found, known):
            raise self._unseen(attempt, answer, self._again("not kept"))
        return found

    def _unseen(
        self, attempt: int, answer: Answer, decision: Decision, late: float = 0.0
    ) -> _HaltError:
        """Leave the attempt open, to be looked for once a search would show it."""
        settle = self._lag + late
        self._journal.unknown(attempt, self._reader.now() + settle, answer.status)
        return _HaltError(replace(decision, delay=max(decision.delay, settle)))

    def _reread(self, wanted: Wanted, known: Known, status: int | None) -> Onward | Written:
        """After 409, 412 or 428: is it changed, already there, twice there, or only busy?"""
        if status == 412 and known.remote_id is not None:
            self._look_for_doubles(wanted, known.remote_id)
        found = self._find(wanted, known.remote_id)
        if found is None or (known.remote_id is not None and found.etag == known.etag):
            raise _HaltError(self._again("refused as busy"))
        if known.remote_id is None:
            return self._adopt(wanted, found)
        if _is_unchanged(found, known):
            return Onward(wanted, replace(known, etag=found.etag))
        if not content.holds(found.body, wanted.body):
            return self._reconciled(wanted, found)
        self._journal.ack(None, "adopted", found, wanted)
        return Written(found)

    def _look_for_doubles(self, wanted: Wanted, remote_id: str) -> None:
        """Several may match: those beside ours that hold nothing but ours are taken away."""
        named = (wanted.resource_type, wanted.system, wanted.value)
        found = self._reader.by_identifier(*named, whose(wanted.body))
        if isinstance(found, Duplicates):
            mine = next((one for one in found.remotes if one.id == remote_id), None)
            said = [
                wanted,
                *([replace(wanted, body=mine.body)] if mine is not None else []),
            ]
            kept = take_away_doubles(
                self._reader, found.remotes, said, self._journal.check, remote_id
            )
            if isinstance(kept, Decision):
                raise _HaltError(kept)

    def _find(
        self, wanted: Wanted, remote_id: str | None, sent: Wanted | None = None
    ) -> Remote | None:
        """By id where it is known, else by business identifier; of several all but one go."""
        found: Remote | Decision | Duplicates | None
        if remote_id is not None:
            found = self._reader.by_id(wanted.resource_type, remote_id)
        else:
            named = (wanted.resource_type, wanted.system, wanted.value)
            found = self._reader.by_identifier(*named, whose(wanted.body))
        if isinstance(found, Duplicates):
            wrote = [one for one in (sent, wanted) if one]
            found = take_away_doubles(self._reader, found.remotes, wrote, self._journal.check)
        if isinstance(found, Decision):
            raise _HaltError(found)
        return found

    def remove(self, wanted: Wanted, known: Known) -> Stopped | None:
        """Delete what the EHR holds; None when it has it no longer. ``wanted`` names it."""
        try:
            found = self._last(wanted, known)
            if found is not None:
                self._delete(wanted, found)
        except _HaltError as halt:
            return Stopped(halt.decision)
        return None

    def _last(self, wanted: Wanted, known: Known) -> Remote | None:
        """What is there to be deleted, after a write whose answer never came as well."""
        early = known.open.settle_at - self._dice.now if known.open else 0.0
        if early > 0:
            raise _HaltError(Decision("retry", Category.UNAVAILABLE, early, detail="not known yet"))
        try:
            found = self._find(wanted, known.remote_id)
        except _HaltError as halt:
            if halt.decision.category != Category.GONE:
                raise
            found = None
        if found is None:
            self._journal.gone(known.open.id if known.open else None)
        elif known.open is not None:
            self._journal.end(known.open.id, "absent")
        return found

    def _delete(self, wanted: Wanted, found: Remote) -> None:
        attempt = self._journal.begin("DELETE", wanted)
        headers = {} if found.etag is None else {"If-Match": found.etag}
        path = f"{wanted.resource_type}/{found.id}"
        answer = self._reader.send("DELETE", path, headers=headers)
        if answer.status in (200, 204, 404, 410):
            self._journal.gone(attempt, answer.status)
            return
        decision = self._decided("DELETE", answer)
        if decision.unknown or answer.status == 202:
            raise self._unseen(attempt, answer, decision)
        self._journal.end(attempt, "refused" if answer.status else "not_sent", answer)
        if decision.action in ("reread", "new_token"):
            decision = self._again("refused as busy")
        raise _HaltError(replace(decision, detail=issues(answer.body) or decision.detail))

    def _again(self, detail: str) -> Decision:
        return Decision("retry", Category.CONFLICT, max(1.0, self._lag), detail=detail)


def take_away_doubles(
    reader: Reader,
    remotes: Sequence[Remote],
    sent: Sequence[Wanted],
    check: Callable[[], object],
    kept: str | None = None,
) -> Remote | Decision:
    """Take away all but one of the resources that carry one identifier of ours.

    The one that stays is ``kept`` (its id), or else the first that was made. Only what holds
    nothing but what we ``sent`` is taken away: something else in it is somebody's work. That, and
    an EHR that does not let us, is a conflict to hold. ``check`` raises when it may not be done.
    """
    first = min(remotes, key=lambda one: (one.id != kept, one.last_updated, one.id))
    for extra in remotes:
        if extra is first:
            continue
        if not any(content.is_same(extra.body, one.body) for one in sent):
            return _conflict(f"{len(remotes)} match the identifier and differ")
        check()
        path = f"{sent[0].resource_type}/{extra.id}"
        headers = {} if extra.etag is None else {"If-Match": extra.etag}
        answer = reader.send("DELETE", path, headers=headers)
        if answer.status not in (200, 202, 204, 404, 410):
            detail = f"a second one cannot be deleted ({answer.status or answer.problem})"
            return _conflict(detail)
    return first


_WHOSE = ("subject", "patient", "for", "beneficiary", "individual")


def whose(resource: Mapping[str, Any], base: str = "") -> str:
    """The id of the Patient that a resource is about, as its reference says; '' for none.

    References are relative, or to the EHR's ``base``; a version in one does not matter.
    https://hl7.org/fhir/R4/compartmentdefinition-patient.html
    """
    for name in _WHOSE:
        value = resource.get(name)
        reference = value.get("reference") if isinstance(value, Mapping) else None
        if isinstance(reference, str):
            relative = reference.removeprefix(f"{base}/").split("/_history/")[0]
            if relative.startswith("Patient/"):
                return relative.removeprefix("Patient/")
    return ""


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
