"""US Core: every mandatory and must-support element has a line, or a reason under ``absent``.

The profile of a file goes by its resource, and for resources with several profiles by a constant
that the file writes (``ROUTES``). A resource that no profile fits is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.mapping.must_support_data import PROFILES
from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node, Plan

BASE = "http://hl7.org/fhir/us/core/StructureDefinition/"
# Resource, a code that the file states (None: any file), profile. The first that fits is taken.
ROUTES: tuple[tuple[str, str | None, str], ...] = (
    ("Observation", "survey", "us-core-observation-screening-assessment"),
    ("Observation", "76690-7", "us-core-observation-sexual-orientation"),
    ("Observation", "75773-2", "us-core-treatment-intervention-preference"),
    ("Observation", "95541-9", "us-core-care-experience-preference"),
    ("Condition", "encounter-diagnosis", "us-core-condition-encounter-diagnosis"),
    ("Condition", None, "us-core-condition-problems-health-concerns"),
)
_ROUTED = frozenset(resource for resource, _, _ in ROUTES)
_BY_SERVER = "meta"  # the server that keeps the resource writes it


@dataclass(frozen=True)
class Supported:
    """One element that a profile asks for."""

    path: str  # below the resource: "target.due[x]"
    mandatory: bool


@cache
def supported(profile: str, us_core: int) -> tuple[Supported, ...]:
    """The elements that a profile (``us-core-goal``) asks for in one US Core version."""
    version = str(min(us_core, 8))
    found = []
    for token in PROFILES[profile].partition(": ")[2].split():
        said, _, versions = token.partition("@")
        path = said.removesuffix("!")
        if path.partition(".")[0] != _BY_SERVER and version in (versions or version):
            found.append(Supported(path, said.endswith("!")))
    return tuple(found)


def profile_of(plan: Plan) -> str | None:
    """The US Core profile (``us-core-goal``) that a plan's resources are meant to follow."""
    resource = plan.file.resource
    if resource in _ROUTED:
        codes = set(_codes(plan.root))
        fitting = (p for r, code, p in ROUTES if r == resource and (code is None or code in codes))
        return next(fitting, None)
    named = (p for p, said in PROFILES.items() if said.startswith(f"{resource}: "))
    return next(named, None)


def unsupported(plan: Plan, us_core: int) -> Iterator[Finding]:
    """What a profile asks for and a file neither writes nor gives a reason for; wrong reasons."""
    profile = profile_of(plan)
    absent = plan.file.absent
    asked = supported(profile, us_core) if profile is not None else ()
    paths, whole = _written(plan.root)
    missing: set[str] = set()
    for element in asked:
        above = "" if "(" in element.path else element.path.rpartition(".")[0]
        if element.path in paths or above in whole or above in missing or above in absent:
            continue
        if above and above not in paths:
            missing.add(element.path)  # said of what is above, or that is optional and not asked
            continue
        missing.add(element.path)
        if element.path not in absent:
            what = "mandatory" if element.mandatory else "must-support"
            message = f"{element.path} is {what} in {profile}: write it or say why under 'absent'"
            yield Finding("must-support", message, str(plan.file.at("elements")), "warning")
    yield from _wrong(plan, profile, paths)


def _wrong(plan: Plan, profile: str | None, paths: set[str]) -> Iterator[Finding]:
    """Reasons for what is written after all, or for what no version of the profile asks."""
    known = {e.path for v in (6, 7, 8) for e in supported(profile, v)} if profile else set()
    for path, (_, mark) in plan.file.absent.items():
        if path in paths:
            message = f"'{path}' is given as absent and a line writes it"
            yield Finding("absent", message, str(mark))
        elif path not in known:
            what = f"{profile} does not ask for" if profile else "no US Core profile asks for"
            message = f"{what} '{path}'{did_you_mean(path, known)}"
            yield Finding("absent", message, str(mark))


def _codes(node: Node) -> Iterator[str]:
    """Every code that a constant of the plan states."""
    if isinstance(node, Const):
        yield from _codes_in(node.value)
    elif isinstance(node, Group):
        for slot in node.slots:
            for child in slot.nodes:
                yield from _codes(child)


def _codes_in(value: Any) -> Iterator[str]:
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _codes_in(inner)
    if isinstance(value, dict) and isinstance(value.get("code"), str):
        yield value["code"]


def _written(root: Group) -> tuple[set[str], set[str]]:
    """The paths that a plan writes, and those of them that a transform fills whole."""
    paths: set[str] = set()
    whole: set[str] = set()

    def walk(node: Node, path: str) -> None:
        if path:
            paths.add(path)
        if isinstance(node, Leaf) and not node.element.primitive:
            whole.add(path)
        elif isinstance(node, Const):
            paths.update(_inside(node.value, path))
        elif isinstance(node, Each):
            walk(node.node, path)
        elif isinstance(node, Group):
            for slot in node.slots:
                name = f"{slot.element.choice}[x]" if slot.element.choice else slot.element.name
                for child in slot.nodes:
                    walk(child, f"{path}.{name}" if path else name)
                    if name == "extension":
                        paths.update(f"{path}.{url}".lstrip(".") for url in _urls(child))

    walk(root, "")
    return paths, whole


def _urls(node: Node) -> Iterator[str]:
    """``extension(url)`` of an extension whose URL is stated."""
    if isinstance(node, Each):
        yield from _urls(node.node)
    elif isinstance(node, Group):
        for slot in node.slots:
            if slot.element.name == "url" and isinstance(slot.nodes[0], Const):
                yield f"extension({slot.nodes[0].value})"
    elif isinstance(node, Const):
        yield f"extension({node.value.get('url')})"


def _inside(value: Any, path: str) -> Iterator[str]:
    """The paths below a constant."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for name, inner in item.items():
                yield f"{path}.{name}"
                yield from _inside(inner, f"{path}.{name}")
