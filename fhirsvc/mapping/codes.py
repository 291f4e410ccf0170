"""Every standard code a mappings folder names: its check digit fits and a source says it was read.

A wrong digit is caught by arithmetic; a valid number with another meaning only by its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fhirsvc.errors import Finding
from fhirsvc.mapping import overlay
from fhirsvc.mapping.source import Mark, Node, parse, walk
from fhirsvc.mapping.tables import Systems, read_sources, read_systems

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
SOURCES = "codes/sources.csv"
SYSTEMS = "codes/systems.yaml"
LEVELS = ("A", "B")
_LOINC = re.compile(r"((?:LA|LP|LL|LG)?[0-9]{1,8})-([0-9])")
_SNOMED = re.compile(r"[1-9][0-9]{5,17}")

# Verhoeff's tables: multiplication in the dihedral group of order ten, and the permutation.
# https://en.wikipedia.org/wiki/Verhoeff_algorithm, used by SNOMED CT (TIG, SCTID check digit).
_D = (
    "0123456789 1234067895 2340178956 3401289567 4012395678 "
    "5987604321 6598710432 7659821043 8765932104 9876543210"
).split()
_P = (
    "0123456789 1576283094 5803796142 8916043527 9453126870 4286573901 2793806415 7046913258"
).split()


@dataclass(frozen=True)
class Used:
    """One code where a mappings file names it; ``system`` is the URL."""

    system: str
    code: str
    mark: Mark


def loinc_ok(code: str) -> bool:
    """Whether a LOINC code or answer (``44249-1``, ``LA6568-5``) ends in its mod 10 check digit.

    The letters of an answer's prefix count by their place after ``0`` in ASCII.
    https://loinc.org/kb/users-guide/calculating-mod-10-check-digits/
    """
    match = _LOINC.fullmatch(code)
    if match is None:
        return False
    total = 0
    for at, sign in enumerate(reversed(match[1])):
        worth = ord(sign) - ord("0")
        total += worth if at % 2 else 2 * worth - 9 * (worth // 5)
    return (10 - total % 10) % 10 == int(match[2])


def snomed_ok(code: str) -> bool:
    """Whether a code is a SNOMED CT concept id: its partition says concept and Verhoeff fits.

    https://confluence.ihtsdotools.org/display/DOCRELFMT/6+SNOMED+CT+Identifiers
    """
    if not _SNOMED.fullmatch(code) or code[-3:-1] not in ("00", "10"):
        return False
    check = 0
    for at, digit in enumerate(reversed(code)):
        check = int(_D[check][int(_P[at % 8][int(digit)])])
    return check == 0


def lint(texts: Mapping[str, str]) -> list[Finding]:
    """What is wrong with the codes of a folder, given as texts by relative path.

    Findings are ``file:line:col``: ``check-digit``, ``no-source`` (no row in sources.csv),
    ``unverified`` (its level is neither A nor B), ``unknown-system``, and ``unused-source`` (a
    warning) at the row of a source that no mapping needs.
    """
    systems, findings = _systems(texts)
    sources = read_sources(texts.get(SOURCES, "system,code,level,source\n"))
    sources |= read_sources(texts.get(overlay.SOURCES, ""))
    seen: set[tuple[str, str]] = set()
    for used in codes(texts):
        seen.add((used.system, used.code))
        problem = _problem(used, systems, sources)
        if problem is not None:
            findings.append(Finding(problem[0], problem[1], str(used.mark)))
    return findings + _unused(texts.get(SOURCES, ""), seen)


def _systems(texts: Mapping[str, str]) -> tuple[Systems, list[Finding]]:
    """The code systems of a folder and of a site over it."""
    shipped, findings = read_systems(texts.get(SYSTEMS, "{}"), SYSTEMS)
    both, wrong = overlay.site_systems(texts, shipped)
    return both, findings + wrong


def codes(texts: Mapping[str, str]) -> Iterator[Used]:
    """Every code with its system that the YAML files of a folder name, file by file."""
    systems, _ = _systems(texts)
    roots = {
        name: parse(text, name)[0]
        for name, text in sorted(texts.items())
        if name.endswith(".yaml") and name not in (SYSTEMS, overlay.SYSTEMS)
    }
    plain = _plain_tables(roots)
    for name, root in roots.items():
        of = name.removeprefix(overlay.PREFIX)
        asked = LOINC if of.startswith("instruments/") else ""
        for node in walk(root) if root is not None else ():
            if isinstance(node.value, dict) and "code" in node.value:
                yield from _named(node.value, systems, plain, asked)


def _plain_tables(roots: Mapping[str, Node | None]) -> dict[str, list[Node]]:
    """The code tables whose rows are plain codes: table name → its rows."""
    found: dict[str, list[Node]] = {}
    for root in roots.values():
        raw = root.value if root is not None and isinstance(root.value, dict) else {}
        if "table" in raw and "rows" in raw and isinstance(raw["rows"].value, dict):
            rows = raw["rows"].value.values()
            found[str(raw["table"].value)] = [row for row in rows if isinstance(row.value, str)]
    return found


def _named(
    raw: dict[str, Node], systems: Systems, plain: Mapping[str, list[Node]], asked: str
) -> Iterator[Used]:
    """The codes of one node: ``{system, code}``, or system and code as elements of their own."""
    code, stated = raw["code"], raw.get("system")
    system = asked if stated is None else _constant(stated)
    if system is None or (not system and not _is_constant(code)):
        return
    url = systems.url(system) or system
    if isinstance(code.value, dict):
        table = code.value.get("codes")
        for row in plain.get(str(table.value), []) if table is not None else []:
            yield Used(url, str(row.value), row.mark)
    if (value := _constant(code)) is not None:
        yield Used(url, value, code.mark)


def _constant(node: Node) -> str | None:
    """The text of ``x`` or ``{value: x}``; None for what is not the same for every record."""
    if isinstance(node.value, dict):
        return _constant(node.value["value"]) if "value" in node.value else None
    return None if isinstance(node.value, list) or node.value is None else str(node.value)


def _is_constant(node: Node) -> bool:
    return _constant(node) is not None


def _problem(
    used: Used, systems: Systems, sources: Mapping[tuple[str, str], str]
) -> tuple[str, str] | None:
    if used.system in systems.local:
        return None
    if used.system not in systems.urls.values() and ":" not in used.system:
        return "unknown-system", f"code '{used.code}' names no code system of {SYSTEMS}"
    if used.system == LOINC and not loinc_ok(used.code):
        return "check-digit", f"'{used.code}' is no LOINC code: its check digit does not fit"
    if used.system == SNOMED and not snomed_ok(used.code):
        return "check-digit", f"'{used.code}' is no SNOMED CT concept: its check digit does not fit"
    level = sources.get((used.system, used.code))
    if level is None:
        return "no-source", f"'{used.code}' of {used.system} has no row in {SOURCES}"
    if level not in LEVELS:
        return "unverified", f"'{used.code}' of {used.system} is at level {level}; only A or B ship"
    return None


def _unused(text: str, seen: set[tuple[str, str]]) -> list[Finding]:
    rows = list(read_sources(text)) if text else []
    return [
        Finding(
            "unused-source",
            f"'{code}' of {system} is used by no mapping",
            f"{SOURCES}:{at}:1",
            "warning",
        )
        for at, (system, code) in enumerate(rows, start=2)
        if (system, code) not in seen
    ]
