"""Fields that a record does not have but that follow from it: the alerts that its answers raise.

Mapping files may read them as if the record had them (``each: alerts``); nothing writes them back.
An alert is raised by an answer (PHQ-9 item 9), by a band or risk, or because whoever read the form
flagged the item, and whatever the total is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import Alert, Instrument
from fhirsvc.fhir.scoring import alerts, answers_of, recount
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.records import Field, fields

ALERTS = "alerts"


def _field(name: str, kind: str, doc: str, **more: Any) -> Field:
    given = {"many": False, "required": True, "values": (), "refers_to": None, "sensitivity": None}
    return Field(path=name, kind=kind, doc=doc, **{**given, **more})


_ALERT_FIELDS = (
    _field("alerts", "object", "Alerts raised", many=True, required=False, key="alert_id"),
    _field("alerts[].alert_id", "id", "Key of the alert: the result's and the instrument file's"),
    _field("alerts[].result_id", "id", "The result that raises it"),
    _field("alerts[].code", "code", "Instrument and key, e.g. phq-9.item-9"),
    _field("alerts[].text", "text", "What it says"),
    _field("alerts[].at", "datetime", "When the instrument was answered"),
    _field("alerts[].staff_id", "id", "Who administered or read it", required=False,
           refers_to="staff"),
)  # fmt: skip

FIELDS: dict[str, dict[str, Field]] = {"assessment": {f.path: f for f in _ALERT_FIELDS}}


def known_fields(record_type: str) -> dict[str, Field]:
    """The fields that a mapping file of a record type may read, by path."""
    return {**fields(record_type), **FIELDS.get(record_type, {})}


def is_derived(record_type: str, path: str) -> bool:
    """Whether a field is computed: it goes out and never comes back."""
    return path in FIELDS.get(record_type, ())


def derive(record: Mapping[str, Any], instruments: Mapping[str, Instrument]) -> Mapping[str, Any]:
    """The record with its derived fields; the record itself where it has none.

    Never refuses: a record that cannot be read so is one that the mapping refuses, at its place.
    """
    if record.get("type") != "assessment":
        return record
    results = record.get("instruments")
    raised: list[dict[str, Any]] = []
    for index, result in enumerate(results if isinstance(results, list) else ()):
        instrument = _watched(result, instruments)
        if instrument is not None and not _quiet(instrument, result):
            raised += _raised(instrument, result, index)
    if raised:
        return {**record, ALERTS: raised}
    if ALERTS in record:  # nobody states them: they are computed
        return {name: value for name, value in record.items() if name != ALERTS}
    return record


def judged(record: Mapping[str, Any], instruments: Mapping[str, Instrument]) -> list[Finding]:
    """What is wrong with what a sound record says of instruments, each at its JSON path.

    An error where the mappings have no such instrument: nothing could be made of it. A warning
    where an assessment states a total, band or part score that its answers do not bear out: what
    was stated goes out as it was stated.
    """
    kind = record.get("type")
    part = {"assessment": "instruments", "goal": "objectives"}.get(str(kind), "")
    found: list[Finding] = []
    for index, one in enumerate(record.get(part, ())):
        where, name = f"$.{part}[{index}]", one.get("instrument")
        if name is not None and name not in instruments:
            message = "the mappings have no such instrument" + did_you_mean(name, instruments)
            found.append(Finding("unknown-instrument", message, f"{where}.instrument"))
        elif kind == "assessment":
            found += recount(instruments[name], one, where=where)
    return found


def _watched(result: object, instruments: Mapping[str, Instrument]) -> Instrument | None:
    """The instrument of a result, if it has anything that raises an alert."""
    name = result.get("instrument") if isinstance(result, dict) else None
    instrument = instruments.get(name) if isinstance(name, str) else None
    return instrument if instrument is not None and instrument.alerts else None


def _quiet(instrument: Instrument, result: Mapping[str, Any]) -> bool:
    """Whether it is plain that nothing is raised, as of most results: asked of every one."""
    watched, items = instrument.watched, result.get("items")
    if watched is None or "item_flags" in result or items.__class__ is not list:
        return False
    try:
        return not any(item["n"] in watched and item["value"] > 0 for item in items)
    except (TypeError, KeyError):
        return False


def _raised(instrument: Instrument, result: Mapping[str, Any], index: int) -> list[dict[str, Any]]:
    stated, flags = result.get("severity"), result.get("item_flags")
    answers = answers_of(instrument, result.get("items"))
    severity = stated if isinstance(stated, str) else None
    flagged = [f for f in flags if isinstance(f, str)] if isinstance(flags, list) else []
    found = []
    for alert in alerts(instrument, answers, severity, flagged):
        made = {
            "alert_id": f"{result.get('result_id')}.{alert.key}",
            "result_id": result.get("result_id"),
            "code": f"{instrument.name}.{alert.key}",
            "text": alert.text,
            "at": result.get("administered_at"),
            "origin": f"$.instruments[{index}]",
            "cause": _cause(alert, answers),
        }
        if "staff_id" in result:
            made["staff_id"] = result["staff_id"]
        found.append(made)
    return found


def _cause(alert: Alert, answers: Mapping[str, int]) -> str:
    """The field of the result that raised it."""
    if alert.item is not None:
        return "items" if answers.get(alert.item, -1) >= alert.low else "item_flags"
    return "items" if answers else "severity"


_ORIGINS = {"at": "administered_at", "staff_id": "staff_id", "result_id": "result_id"}


def origin(record: Mapping[str, Any], path: str) -> str | None:
    """Where a derived field comes from: ``$.alerts[0].at`` → ``$.instruments[2].administered_at``.

    None for a field that the record has itself.
    """
    head, _, rest = path.partition("].")
    if not head.startswith(f"$.{ALERTS}[") or ALERTS not in record:
        return None
    alert = record[ALERTS][int(head.removeprefix(f"$.{ALERTS}["))]
    return f"{alert['origin']}.{_ORIGINS.get(rest, alert['cause'])}"
