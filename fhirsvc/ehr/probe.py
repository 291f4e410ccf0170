"""``connect test``: a conformance run against one EHR, each check with a verdict and advice.

    reachable, over sound TLS        → what it declares        → who we are there
    → reading what we would write    → how it answers at its edges → writing, where allowed

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.client import Client
from fhirsvc.ehr.handshake import Handshake, shake
from fhirsvc.ehr.probe_login import check_login
from fhirsvc.ehr.probe_read import check_edges, check_reading
from fhirsvc.ehr.probe_run import Asked, Check, Run, Subject, Verdict
from fhirsvc.ehr.probe_write import check_writing
from fhirsvc.ehr.transport import is_private, origin

FHIR = "4.0."
SOON_DAYS, VERY_SOON_DAYS = 30.0, 7.0
SKEW_S, WORST_SKEW_S = 30.0, 60.0  # an assertion lives 240 s of the 300 allowed
_WORST: tuple[Verdict, ...] = ("fail", "warn")


@dataclass(frozen=True)
class Report:
    """What a run found. ``statement`` is the CapabilityStatement as JSON text, '' without one."""

    checks: tuple[Check, ...]
    capability: dict[str, Any]
    statement: str
    is_reached: bool

    @property
    def verdict(self) -> Verdict:
        """The worst of the checks."""
        found = {one.verdict for one in self.checks}
        return next((one for one in _WORST if one in found), "pass")

    def to_json(self) -> dict[str, Any]:
        """``checks``, ``capability``, ``verdict``."""
        return {
            "checks": [asdict(one) for one in self.checks],
            "capability": self.capability,
            "verdict": self.verdict,
        }


def probe(
    client: Client,
    subject: Subject,
    *,
    now: Callable[[], float],
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    new_id: Callable[[], str],
) -> Report:
    """Run all checks.

    ``now`` is epoch seconds, ``clock`` gives seconds that never go back, ``new_id`` UUIDs.
    """
    run = Run(client, subject, now, clock, sleep, new_id, correlation_id=f"test-{new_id()}")
    _check_address(run)
    statement, is_reached = _check_metadata(run)
    if is_reached:
        _check_the_rest(run, bool(statement))
    if is_reached:
        _check_redirects(run)
        _check_limits(run)
    capability = run.declared.in_short() if statement else {}
    return Report(tuple(run.checks), capability, statement, is_reached)


def _check_the_rest(run: Run, is_declared: bool) -> None:
    """What needs somebody who answers: a way in, then reading, then writing."""
    if not check_login(run):
        run.note("read", "Reading", "skip", "there is no way in")
    elif not is_declared:
        run.note("read", "Reading", "skip", "nothing is declared")
    else:
        check_reading(run)
        check_edges(run)
        if run.subject.writes:
            check_writing(run)


def _check_address(run: Run) -> None:
    url, title = run.client.base_url, "TLS"
    if origin(url)[0] == "https":
        transport = run.client.transport
        seen = shake(url, transport.tls, transport.limits.connect_s, run.now())
        run.note("tls", title, *_of_handshake(seen))
    elif is_private(url):
        run.note("tls", title, "skip", "plain http, on this machine")
    else:
        bare = run.subject.auth == "none"
        advice = "plain http: anybody on the way can read it" + (
            "" if bare else ", the credential too"
        )
        run.note("tls", title, "warn" if bare else "fail", advice)


def _of_handshake(seen: Handshake) -> tuple[Verdict, str]:
    if seen.days is None:
        return "fail", seen.problem
    told = f"{seen.version}, the certificate is good for {int(seen.days)} days"
    if seen.days < VERY_SOON_DAYS:
        return "fail", f"{told}: have it renewed now"
    return ("warn", f"{told}: have it renewed") if seen.days < SOON_DAYS else ("pass", told)


def _check_metadata(run: Run) -> tuple[str, bool]:
    """The statement as JSON text, '' without one, and whether anybody answered."""
    asked = run.ask("GET", "metadata", anonymous=True)
    if asked.answer.status is None and asked.answer.problem not in ("malformed", "oversize"):
        advice = f"{asked.told}: check the address, the network, and what listens there"
        run.note("reach", "Reachable", "fail", advice, asked)
        return "", False
    run.note("reach", "Reachable", "pass", "", asked)
    _check_clock(run, asked)
    was_refused = asked.answer.status in (401, 403)
    if was_refused:
        asked = run.ask("GET", "metadata")
    verdict, advice = _of_metadata(asked)
    if was_refused and verdict == "pass":
        verdict, advice = (
            "warn",
            "read only with a credential; clients look here before they log in",
        )
    run.note("metadata", "CapabilityStatement", verdict, advice, asked)
    if asked.body.get("resourceType") != "CapabilityStatement":
        return "", True
    run.declared = Capabilities.parse(asked.body)
    return orjson.dumps(asked.body).decode(), True


def _of_metadata(asked: Asked) -> tuple[Verdict, str]:
    if not asked.is_fine:
        return "fail", f"{asked.told}: is this the FHIR base URL?"
    if asked.body.get("resourceType") != "CapabilityStatement":
        return "fail", "the answer is no CapabilityStatement: is this the FHIR base URL?"
    found = Capabilities.parse(asked.body)
    if not found.fhir_version.startswith(FHIR):
        return "fail", f"FHIR {found.fhir_version or 'of no version'}; R4 (4.0.1) is what we speak"
    if found.formats and not any("json" in one for one in found.formats):
        return "fail", "it does not speak JSON"
    if "json" not in asked.answer.headers.get("Content-Type", "json"):
        return "warn", "JSON, but its Content-Type says something else"
    return "pass", f"FHIR {found.fhir_version}, {found.software or 'unnamed software'}"


def _check_clock(run: Run, asked: Asked) -> None:
    title = "Clocks agree"
    try:
        said = parsedate_to_datetime(asked.answer.headers.get("Date", "")).timestamp()
    except (ValueError, TypeError):
        run.note("clock", title, "skip", "its answers have no Date", asked)
        return
    skew = said - run.now()
    told = f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
    if abs(skew) <= SKEW_S:
        run.note("clock", title, "pass", told, asked)
    elif run.subject.auth == "smart" and not -WORST_SKEW_S < skew < 4 * WORST_SKEW_S:
        run.note("clock", title, "fail", f"{told}: assertions are refused; set the clock", asked)
    else:
        run.note("clock", title, "warn", f"{told}: set the clock", asked)


def _check_redirects(run: Run) -> None:
    found = [one for one in run.asked if one.answer.status and 300 <= one.answer.status < 400]
    if found:
        advice = "redirects are not followed, they would carry the credential elsewhere: give the"
        run.note("redirect", "No redirects", "fail", f"{advice} address they lead to", found[0])
    else:
        run.note("redirect", "No redirects", "pass", f"none in {len(run.asked)} answers")


def _check_limits(run: Run) -> None:
    title = "Rate limits"
    busy = [one for one in run.asked if one.answer.status == 429]
    if busy:
        advice = f"it is too fast at {run.subject.rate:g} requests a second: lower --rate"
        run.note("rate", title, "warn", advice, busy[0])
        return
    names = sorted(
        {
            name.lower()
            for one in run.asked
            for name in one.answer.headers
            if "ratelimit" in name.lower().replace("-", "")
        }
    )
    told = f"it tells limits in {', '.join(names[:4])}" if names else "it tells none"
    run.note("rate", title, "pass", told)
