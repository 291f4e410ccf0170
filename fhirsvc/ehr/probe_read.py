"""Checks of reading: every mapped type the EHR declares, and how it answers at its edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirsvc.ehr.content import etag_of
from fhirsvc.ehr.probe_run import Asked, Run, Verdict, matches
from fhirsvc.ehr.search import identity, token
from fhirsvc.ehr.transport import origin

FAR = "gt2999-01-01"
STRICT = {"Prefer": "handling=strict"}  # https://hl7.org/fhir/R4/search.html#errors


def check_reading(run: Run) -> None:
    """Search and read of each mapped type that is declared."""
    declared = run.declared.types
    absent = [one for one in sorted(run.subject.mapped) if one not in declared]
    read_only = [
        one
        for one in sorted(run.subject.mapped)
        if one in declared and not declared[one].is_written
    ]
    said = f"not declared: {', '.join(absent)}" if absent else ""
    said += f"{'; ' if said and read_only else ''}"
    said += f"not written by clients: {', '.join(read_only)}" if read_only else ""
    title = "What is mapped is declared"
    if said:
        run.note("declared", title, "warn", f"{said}; these need another way")
    else:
        run.note("declared", title, "pass", f"{len(run.subject.mapped)} resource types")
    _check_conditional(run)
    _check_batch(run)
    for name in sorted(run.subject.mapped):
        if name in declared:
            _check_type(run, name)


def _check_conditional(run: Run) -> None:
    title = "Conditional writes"
    written = {
        name: it
        for name, it in run.declared.types.items()
        if name in run.subject.mapped and it.is_written
    }
    without = sorted(name for name, it in written.items() if not it.conditional_update)
    if not written:
        run.note("conditional", title, "skip", "nothing that is mapped is written there")
    elif run.subject.write_mode == "create":
        helped = sum(it.conditional_create for it in written.values())
        told = f"write mode create: searched first; If-None-Exist with {helped} of {len(written)}"
        run.note("conditional", title, "pass", told)
    elif without:
        advice = f"no conditional update of {', '.join(without)}: use --write-mode create"
        run.note("conditional", title, "fail", advice)
    else:
        run.note("conditional", title, "pass", "conditional update of all that is written")


def _check_batch(run: Run) -> None:
    found = [one for one in ("batch", "transaction") if one in run.declared.interactions]
    told = f"{' and '.join(found)} declared" if found else "not declared, and not needed"
    run.note("batch", "Batch and transaction", "pass" if found else "skip", told)


def _check_type(run: Run, name: str) -> None:
    interactions = run.declared.types[name].interactions
    if "search-type" not in interactions:
        run.note(f"{name}.search", f"{name}: search", "skip", "not declared")
        return
    asked = run.ask("GET", name, params={"_count": "1"})
    found = matches(asked.body) if asked.is_fine else None
    verdict, advice = _of_search(asked, found)
    run.note(f"{name}.search", f"{name}: search", verdict, advice, asked)
    if asked.answer.status in (401, 403):
        return
    _check_identifier(run, name, bool(found))
    if found and "read" in interactions:
        _check_read(run, name, found[0])


def _of_search(asked: Asked, found: list[Mapping[str, Any]] | None) -> tuple[Verdict, str]:
    status = asked.answer.status
    if found is not None:
        return "pass", "" if found else "there is none yet"
    if asked.is_fine:
        return "fail", "the answer is no Bundle"
    if status == 401:
        return "fail", "our credential is refused"
    if status == 403:
        return "fail", "not allowed: the scopes or the client's rights do not cover it"
    if status in (400, 422):
        return (
            "warn",
            "it wants to know what to search by (a patient, often); the next check counts",
        )
    return "fail", f"{asked.told}, though it is declared"


def _check_identifier(run: Run, name: str, is_any: bool) -> None:
    """Deliveries look for what they wrote by identifier; one that is ignored finds strangers."""
    parameter = identity(name)
    id_, title = f"{name}.identifier", f"{name}: search by {parameter}"
    asked = run.ask("GET", name, params={parameter: token(*run.identifier())})
    found = matches(asked.body) if asked.is_fine else None
    if found:
        advice = "it is ignored: a delivery would take another's resource for its own"
        run.note(id_, title, "fail", advice, asked)
    elif found is None:
        worst: Verdict = "fail" if run.declared.types[name].is_written else "warn"
        advice = f"{asked.told}: what was written cannot be found again"
        run.note(id_, title, worst, advice, asked)
    elif is_any:
        run.note(id_, title, "pass", "", asked)
    else:
        run.note(id_, title, "skip", "there is nothing yet to tell whether it is honoured", asked)


def _check_read(run: Run, name: str, resource: Mapping[str, Any]) -> None:
    id_, title, shown = f"{name}.read", f"{name}: read", f"{name}/[id]"
    asked = run.ask("GET", f"{name}/{resource.get('id')}", shown=shown)
    if not asked.is_fine or asked.body.get("resourceType") != name:
        run.note(id_, title, "fail", f"{asked.told} to what its own search found", asked)
    elif etag_of(asked.answer.headers, asked.body) is None:
        advice = "neither ETag nor meta.versionId: changes of others cannot be told from ours"
        run.note(id_, title, "warn", advice, asked)
    else:
        run.note(id_, title, "pass", "", asked)


def check_edges(run: Run) -> None:
    """Parameters that filter, paging, and what is answered to what is not there."""
    sample = _sample(run)
    for name, value, advice in (
        ("_id", run.new_id(), "use reads instead"),
        ("_lastUpdated", FAR, "what changed there cannot be asked for, so all is compared"),
    ):
        _check_parameter(run, sample, name, value, advice)
    _check_unknown(run, sample)
    _check_paging(run, sample)
    _check_outcome(run, sample)


def _sample(run: Run) -> str:
    """A type of which there is something; '' when there is not."""
    found = {
        one.request.removeprefix("GET ").partition("?")[0]
        for one in run.asked
        if one.request.endswith("?_count") and one.is_fine and matches(one.body)
    }
    return "Patient" if "Patient" in found else min(found, default="")


def _check_parameter(run: Run, sample: str, name: str, value: str, otherwise: str) -> None:
    id_, title = f"parameter.{name}", f"{name} is honoured"
    if not sample:
        run.note(id_, title, "skip", "there is nothing yet to tell by")
        return
    asked = run.ask("GET", sample, params={name: value})
    found = matches(asked.body) if asked.is_fine else None
    if found:
        run.note(id_, title, "warn", f"it is ignored: {otherwise}", asked)
    elif found is None:
        run.note(id_, title, "warn", f"{asked.told}: {otherwise}", asked)
    else:
        run.note(id_, title, "pass", "", asked)


def _check_unknown(run: Run, sample: str) -> None:
    id_, title = "parameter.unknown", "Unknown parameters are refused"
    if not sample:
        run.note(id_, title, "skip", "there is nothing yet to tell by")
        return
    asked = run.ask("GET", sample, params={"fhirsvc-unknown": "x"}, headers=STRICT)
    if asked.is_fine:
        advice = (
            "it ignores what it does not know, even with handling=strict: a search may find more"
        )
        run.note(id_, title, "warn", advice, asked)
    else:
        run.note(id_, title, "pass", "", asked)


def _check_paging(run: Run, sample: str) -> None:
    id_, title = "paging", "Paging links"
    first = next((one for one in run.asked if one.request == f"GET {sample}?_count"), None)
    listed = first.body.get("link") if first else None
    links = [one for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict)]
    url = next((one.get("url") for one in links if one.get("relation") == "next"), None)
    if not isinstance(url, str):
        run.note(id_, title, "skip", "no search had a second page")
    elif "://" in url and origin(url) != origin(run.client.base_url):
        advice = "they lead to another address, where no credential of ours goes: have the server's"
        run.note(id_, title, "fail", f"{advice} own base URL set right", first)
    else:
        asked = run.ask("GET", url, shown=f"{sample}?[next]")
        fine = asked.is_fine and matches(asked.body) is not None
        run.note(id_, title, "pass" if fine else "fail", "" if fine else asked.told, asked)


def _check_outcome(run: Run, sample: str) -> None:
    id_, title = "outcome", "Errors say what they are"
    name = sample or next(
        (one for one in run.subject.mapped if one in run.declared.types), "Patient"
    )
    asked = run.ask("GET", f"{name}/{run.new_id()}", shown=f"{name}/[none]")
    has_outcome = asked.body.get("resourceType") == "OperationOutcome"
    if asked.is_fine:
        run.note(
            id_, title, "fail", "a resource that is not there was answered as if it were", asked
        )
    elif asked.answer.status == 401:
        run.note(id_, title, "fail", "our credential is refused", asked)
    elif asked.answer.status not in (403, 404, 410):
        run.note(id_, title, "warn", f"{asked.told} to a resource that is not there", asked)
    elif has_outcome:
        run.note(id_, title, "pass", "an OperationOutcome", asked)
    else:
        advice = "without an OperationOutcome: reasons of refusals will not be seen"
        run.note(id_, title, "warn", advice, asked)
