"""Mapping many records in bounded memory: in this process, or chunk by chunk in several."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from multiprocessing import get_context
from typing import Any

import orjson

from fhirsvc.cli.inputs import Given
from fhirsvc.errors import FhirsvcError, Finding
from fhirsvc.mapping.achievement import Result, judged, moved_by, results_of
from fhirsvc.mapping.forward import Mappings

CHUNK = 200  # records
_LINE = orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True)
class Job:
    """What is done to every record: the mappings' texts, the US Core version, traced or not.

    ``scores`` are each client's, where goals' achievement is to follow them.
    """

    texts: Mapping[str, str]
    us_core: int
    trace: bool
    scores: Mapping[str, Sequence[Result]] | None = None


@dataclass(frozen=True)
class Located:
    """A finding about the record at ``line`` of ``file``; ``located`` says so in its place."""

    file: str
    line: int
    finding: Finding
    located: Finding


@dataclass
class Chunk:
    """What became of some records: NDJSON lines, what was wrong, types that have no mapping."""

    records: int
    lines: bytes = b""
    findings: list[Located] = field(default_factory=list)
    unmapped: Counter[str] = field(default_factory=Counter)
    forms: dict[str, bytes] = field(default_factory=dict)  # Questionnaires that were answered


def scores_of(rows: Iterable[Given]) -> dict[str, list[Result]]:
    """Each client's dated totals among some records; bad records are told when they are mapped."""
    found: dict[str, list[Result]] = {}
    for one in rows:
        record = one.row.record
        if not one.row.findings and record is not None and record["type"] == "assessment":
            found.setdefault(record["client_id"], []).extend(results_of([record]))
    return {client: sorted(results, key=lambda r: r.at) for client, results in found.items()}


def mapped(rows: Iterator[Given], job: Job, jobs: int) -> Iterator[Chunk]:
    """Map records in order; at most four chunks a process are in memory.

    Each form that a record answers comes once, before the first answers to it.

    :raises MappingsError: the mappings have mistakes.
    """
    seen: set[str] = set()
    for chunk in _chunks(rows, job, jobs):
        new = [line for name, line in chunk.forms.items() if name not in seen]
        seen.update(chunk.forms)
        chunk.lines = b"".join([*new, chunk.lines])
        yield chunk


def _chunks(rows: Iterator[Given], job: Job, jobs: int) -> Iterator[Chunk]:
    runner = _Runner(job)
    chunks = iter(lambda: list(islice(rows, CHUNK)), [])
    if jobs == 1:
        yield from map(runner, chunks)
        return
    # A fork would copy the threads' locks of whoever called.
    context = get_context("forkserver")
    with ProcessPoolExecutor(jobs, context, initializer=_open, initargs=(job,)) as pool:
        waiting: deque[Future[Chunk]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(_run, chunk))
            if len(waiting) >= 4 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Runner:
    """Maps chunks with compiled mappings."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._mappings = Mappings.load(job.texts)
        self._mapped = frozenset(self._mappings.records())
        self._moved = moved_by(self._mappings.library.instruments)

    def __call__(self, chunk: Sequence[Given]) -> Chunk:
        done = Chunk(len(chunk))
        made: list[bytes] = []
        for one in chunk:
            findings = [*one.row.findings] or self._mappings.check(one.row.record)
            good = all(finding.severity != "error" for finding in findings)
            if good and one.row.record is not None:
                findings += self._map(one.row.record, made, done)
            done.findings += [
                Located(one.file, one.line, finding, one.locate(finding)) for finding in findings
            ]
        done.lines = b"".join(made)
        return done

    def _map(self, record: dict[str, Any], made: list[bytes], done: Chunk) -> list[Finding]:
        if record["type"] not in self._mapped:
            done.unmapped[record["type"]] += 1
            return []
        if self._job.scores is not None and record["type"] == "goal":
            results = self._job.scores.get(record["client_id"], ())
            record = dict(judged(record, results, self._moved))
        try:
            made.append(self._lines(record))
            for form in self._mappings.companions(record):
                if form["id"] not in done.forms:
                    done.forms[form["id"]] = self._form(form)
        except FhirsvcError as error:
            return [Finding(str(error.category), error.message, error.where)]
        return []

    def _lines(self, record: dict[str, Any]) -> bytes:
        us_core = self._job.us_core
        if not self._job.trace:
            return self._mappings.ndjson(record, us_core)
        return b"".join(
            orjson.dumps(
                {"resource": one.resource, "trace": [asdict(step) for step in one.trace]},
                option=_LINE,
            )
            for one in self._mappings.explain(record, us_core)
        )

    def _form(self, form: dict[str, Any]) -> bytes:
        (made,) = self._mappings.forward(form)
        shown = {"resource": made, "trace": []} if self._job.trace else made
        return orjson.dumps(shown, option=_LINE)


_RUNNERS: list[_Runner] = []  # of this process, when it is one of several


def _open(job: Job) -> None:
    _RUNNERS.append(_Runner(job))


def _run(chunk: list[Given]) -> Chunk:
    return _RUNNERS[-1](chunk)
