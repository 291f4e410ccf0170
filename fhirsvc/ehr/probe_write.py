"""Checks of writing, with one Basic resource of our own that is deleted again.

https://hl7.org/fhir/R4/basic.html: it means nothing, belongs to no patient and carries no PHI.
"""

from __future__ import annotations

from typing import Any

from fhirsvc.ehr.content import etag_of
from fhirsvc.ehr.probe_run import Asked, Run, matches
from fhirsvc.ehr.search import token

TYPE = "Basic"
NEEDED = ("create", "read", "update", "delete")
LONGEST_S = 30.0  # that an index is waited for
POLL_S = 0.25


def check_writing(run: Run) -> None:
    """Create, read, find, update stale, delete; nothing stays unless the EHR will not delete it."""
    declared = run.declared.types.get(TYPE)
    lacks = [one for one in NEEDED if declared is None or one not in declared.interactions]
    if lacks:
        without = f" with {', '.join(lacks)}" if declared else ""
        advice = f"{TYPE}{without} is not declared: nothing harmless to write and delete again"
        run.note("write", "Writing", "skip", advice)
        return
    system, value = run.identifier()
    body = {
        "resourceType": TYPE,
        "identifier": [{"system": system, "value": value}],
        "code": {"text": "connection test"},
    }
    made: set[str] = set()
    try:
        _check_cycle(run, body, token(system, value), made)
    finally:
        _clean(run, made, token(system, value))


def _check_cycle(run: Run, body: dict[str, Any], by: str, made: set[str]) -> None:
    asked = run.ask("POST", TYPE, body=body, headers={"Prefer": "return=representation"})
    remote_id = _id_of(asked)
    if not asked.is_fine or not remote_id:
        run.note("write.create", "Create", "fail", f"{asked.told}, and no id", asked)
        return
    made.add(remote_id)
    run.note("write.create", "Create", "pass", "", asked)
    read = run.ask("GET", f"{TYPE}/{remote_id}", shown=f"{TYPE}/[id]")
    same = read.is_fine and read.body.get("identifier") == body["identifier"]
    advice = "" if same else f"{read.told}; what was written is not what is there"
    run.note("write.read", "Read back", "pass" if same else "fail", advice, read)
    _check_lag(run, by)
    _check_conditional_update(run, body, by, made)
    _check_stale(run, body, remote_id, etag_of(read.answer.headers, read.body))


def _check_lag(run: Run, by: str) -> None:
    """How long a search misses what was just written."""
    began, allowed = run.clock(), run.subject.index_lag_s
    while True:
        asked = run.ask("GET", TYPE, params={"identifier": by})
        took = run.clock() - began
        if asked.is_fine and matches(asked.body):
            break
        if took >= LONGEST_S:
            advice = (
                f"not found by identifier within {LONGEST_S:.0f} s: deliveries would write twice"
            )
            run.note("write.search", "Found by identifier", "fail", advice, asked)
            return
        run.sleep(POLL_S)
    told = f"after {took:.1f} s"
    if took > allowed:
        advice = f"{told}, later than this connection allows for: set --index-lag {took + 1:.0f}"
        run.note("write.search", "Found by identifier", "warn", advice, asked)
    else:
        run.note("write.search", "Found by identifier", "pass", told, asked)


def _check_conditional_update(run: Run, body: dict[str, Any], by: str, made: set[str]) -> None:
    title = "Conditional update"
    if not run.declared.types[TYPE].conditional_update:
        run.note("write.conditional", title, "skip", f"not declared for {TYPE}")
        return
    changed = {**body, "code": {"text": "connection test, again"}}
    asked = run.ask("PUT", TYPE, params={"identifier": by}, body=changed)
    found = _id_of(asked)
    is_second = asked.answer.status == 201 or bool(found and found not in made)
    if found:
        made.add(found)
    if not asked.is_fine:
        run.note("write.conditional", title, "fail", asked.told, asked)
    elif is_second:
        advice = "it made a second resource instead of changing the first: use --write-mode create"
        run.note("write.conditional", title, "fail", advice, asked)
    else:
        run.note("write.conditional", title, "pass", "", asked)


def _check_stale(run: Run, body: dict[str, Any], remote_id: str, etag: str | None) -> None:
    """A write that knows an older version only must not undo the newer one."""
    title = "A stale write is refused"
    if etag is None:
        run.note("write.stale", title, "warn", "it keeps no versions: a write may undo another's")
        return
    for number in (1, 2):  # the second knows the version before the first
        asked = run.ask(
            "PUT",
            f"{TYPE}/{remote_id}",
            shown=f"{TYPE}/[id]",
            body={**body, "id": remote_id, "code": {"text": f"connection test, {number}"}},
            headers={"If-Match": etag} if number == 2 else None,
        )
        if number == 1 and not asked.is_fine:
            run.note("write.stale", title, "fail", f"update: {asked.told}", asked)
            return
    if asked.answer.status in (409, 412):
        run.note("write.stale", title, "pass", "", asked)
    elif asked.is_fine:
        advice = "If-Match is ignored: a write may undo what was changed meanwhile"
        run.note("write.stale", title, "warn", advice, asked)
    else:
        run.note("write.stale", title, "warn", f"{asked.told}, where 409 or 412 is expected", asked)


def _clean(run: Run, made: set[str], by: str) -> None:
    """Delete all that carries the identifier, whatever became of it."""
    found = run.ask("GET", TYPE, params={"identifier": by})
    made |= {str(one["id"]) for one in matches(found.body) or [] if "id" in one}
    for remote_id in sorted(made):
        shown = f"{TYPE}/[id]"
        asked = run.ask("DELETE", f"{TYPE}/{remote_id}", shown=shown)
        gone = run.ask("GET", f"{TYPE}/{remote_id}", shown=shown)
        if asked.is_fine and gone.answer.status in (404, 410):
            run.note("write.delete", "Delete", "pass", "", asked)
        else:
            advice = f"{asked.told}: {TYPE}/{remote_id} stays there; delete it by hand"
            run.note("write.delete", "Delete", "warn", advice, asked)


def _id_of(asked: Asked) -> str:
    """The id in the body, else in Location."""
    if asked.body.get("resourceType") == TYPE and isinstance(asked.body.get("id"), str):
        return str(asked.body["id"])
    parts = asked.answer.headers.get("Location", "").split("?")[0].split("/")
    at = len(parts) - 1 - parts[::-1].index(TYPE) if TYPE in parts else -1
    return parts[at + 1] if 0 <= at < len(parts) - 1 else ""
