"""Absence is a decision: every field of a record is read by a line or skipped with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fhirsvc.errors import Finding
from fhirsvc.mapping.lines import MappingFile, did_you_mean
from fhirsvc.records import TYPES, Field

# What every record carries about itself: the store's affair, not the resource's.
HOUSEKEEPING = frozenset({"type", "updated_at", "updated_by", "program_id", "sensitivity"})


def unmapped(
    files: Iterable[MappingFile],
    used: Mapping[str, set[str]],
    fields: Mapping[str, Mapping[str, Field]],
) -> list[Finding]:
    """Fields that no file of their record reads or skips, and skips that name no field.

    :param used: by record type, the fields that lines read.
    :param fields: by record type, all its fields by path.
    """
    findings = []
    by_record: dict[str, list[MappingFile]] = {}
    for file in files:
        if file.record in TYPES:
            by_record.setdefault(file.record, []).append(file)
    for record, group in by_record.items():
        findings += _twice(group)
        home = max(group, key=lambda file: len(file.skipped)).at("skipped")
        known = {name.replace("[]", ""): field for name, field in fields[record].items()}
        read = {name.replace("[]", "") for name in used[record]}
        skipped = {name: mark for f in group for name, (_, mark) in f.skipped.items()}
        for name, mark in skipped.items():
            if name not in known:
                message = f"{record} has no field '{name}' to skip{did_you_mean(name, known)}"
                findings.append(Finding("unknown-field", message, str(mark)))
            elif name in read and known[name].kind != "object":
                message = f"'{name}' is skipped and also mapped"
                findings.append(Finding("skipped-and-mapped", message, str(mark)))
        for name, field in known.items():
            if name in HOUSEKEEPING or name in read or field.kind == "object":
                continue
            if not any(name == s or name.startswith(f"{s}.") for s in skipped):
                message = f"'{name}' is neither mapped nor skipped with a reason"
                findings.append(Finding("not-mapped", message, str(home)))
    return findings


def _twice(files: Iterable[MappingFile]) -> list[Finding]:
    """Files whose resources would have one identity."""
    findings = []
    seen: dict[tuple[object, ...], MappingFile] = {}
    for file in files:
        first = seen.setdefault((file.resource, file.each, file.part), file)
        if first is not file:
            message = f"{first.file} makes the same resource; say 'part' to tell them apart"
            findings.append(Finding("duplicate-name", message, str(file.at("resource"))))
    return findings
