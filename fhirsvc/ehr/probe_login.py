"""Checks of who we are at an EHR: what it offers, the token, its scopes.

https://hl7.org/fhir/smart-app-launch/conformance.html
"""

from __future__ import annotations

from typing import Any

from fhirsvc.ehr.discovery import SMART_CONFIGURATION, token_endpoint
from fhirsvc.ehr.probe_run import Asked, Run, Verdict
from fhirsvc.ehr.scopes import LETTER, lacking
from fhirsvc.ehr.tokens import TokenError
from fhirsvc.ehr.transport import is_private
from fhirsvc.errors import Category, FhirsvcError

ASKS = ("oauth2", "smart")


def check_login(run: Run) -> bool:
    """Whether there is a credential to go on with."""
    if run.subject.auth == "none":
        run.note("login", "Login", "skip", "this connection has none")
        return True
    if run.subject.auth in ASKS:
        _check_configuration(run)
    try:
        began = run.clock()
        run.client.auth.header()
        ms = (run.clock() - began) * 1000
    except FhirsvcError as error:
        run.note("login", "Login", "fail", _advice(run, error))
        return False
    told = f"a token in {ms:.0f} ms" if run.subject.auth in ASKS else "a credential is there"
    run.note("login", "Login", "pass", told)
    if run.subject.auth in ASKS:
        _check_scopes(run)
    return True


def _advice(run: Run, error: FhirsvcError) -> str:
    """What was answered, and where to look."""
    if not isinstance(error, TokenError) or error.category != Category.UNAUTHENTICATED:
        return str(error)
    if run.subject.auth == "smart":
        look = "client_id, the keys it has of us (/.well-known/jwks.json), alg, scope and the clock"
    else:
        look = "client_id, the secret, client_auth and scope"
    return f"{error}: check {look}"


def _check_configuration(run: Run) -> None:
    title = "smart-configuration"
    asked = run.ask(
        "GET", SMART_CONFIGURATION, anonymous=True, headers={"Accept": "application/json"}
    )
    verdict, advice = _of_configuration(run, asked)
    run.note("smart", title, verdict, advice, asked)


def _of_configuration(run: Run, asked: Asked) -> tuple[Verdict, str]:
    given = str(run.subject.options.get("token_url", ""))
    is_smart = run.subject.auth == "smart"
    if not asked.is_fine or not asked.body:
        if given:
            return "warn", f"{asked.told}; the token URL is given, so it is not needed"
        return "warn", f"{asked.told}; the token URL is taken from the CapabilityStatement"
    found = token_endpoint(asked.body)
    if not found and not given:
        return "fail", "it names no token_endpoint: give --token-url"
    if found and not given and not is_private(found):
        return "fail", "its token_endpoint is neither https nor on this machine"
    if found and given and found.rstrip("/") != given.rstrip("/"):
        return "warn", "it names another token_endpoint than this connection's token_url"
    methods = _words(asked.body.get("token_endpoint_auth_methods_supported"))
    wanted = (
        "private_key_jwt"
        if is_smart
        else str(run.subject.options.get("client_auth", "client_secret_basic"))
    )
    if methods and wanted not in methods:
        return "fail" if is_smart else "warn", f"it does not offer {wanted}: {', '.join(methods)}"
    algs = _words(asked.body.get("token_endpoint_auth_signing_alg_values_supported"))
    alg = str(run.subject.options.get("alg", ""))
    if is_smart and alg and algs and alg not in algs:
        return "fail", f"it does not take {alg}: {', '.join(algs)}"
    return "pass", ", ".join(algs if is_smart else methods)


def _words(value: Any) -> list[str]:
    """Strings of a list that are names, as those of the standards are."""
    listed = value if isinstance(value, list) else []
    return [one for one in listed if isinstance(one, str) and one.replace("_", "").isalnum()][:8]


def _check_scopes(run: Run) -> None:
    """What was granted, against what was asked for and what deliveries need."""
    title = "Scopes"
    asked = tuple(str(run.subject.options.get("scope", "")).split())
    said = run.client.auth.scopes()
    granted = asked if said is None else said
    if not granted:
        run.note("scopes", title, "skip", "none were asked for, and none were told")
        return
    refused = [one for one in asked if one not in granted]
    missing = lacking(granted, _needed(run))
    if missing:
        advice = f"not granted, and needed for what is mapped: {_some(missing)}"
        run.note("scopes", title, "warn", advice)
    elif refused:
        run.note("scopes", title, "warn", f"asked for, and not granted: {_some(refused)}")
    else:
        told = "" if said is not None else " (not told, so as asked for)"
        run.note("scopes", title, "pass", f"{len(granted)} granted{told}")


def _needed(run: Run) -> dict[str, str]:
    """The letters of ``cruds`` for each mapped type that the EHR declares."""
    return {
        name: "".join(
            letter
            for one, letter in LETTER.items()
            if one in run.declared.types[name].interactions and one != "delete"
        )
        for name in sorted(run.subject.mapped)
        if name in run.declared.types
    }


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
