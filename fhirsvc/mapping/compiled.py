"""A plan made to functions, and functions made again for the shapes of records that recur."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.mapping.emit import emit
from fhirsvc.mapping.plan import Plan
from fhirsvc.mapping.prune import prune
from fhirsvc.mapping.runtime import NAMESPACE

_OFTEN = 100  # records of one shape before code is made for it
_MOST_SHAPES = 500


@dataclass(frozen=True)
class Compiled:
    """The functions of one mapping file."""

    plan: Plan
    fast: Any  # to dicts
    written: Any  # to dicts whose constants are JSON text already
    noted: Any  # with the origin of every element
    located: Any  # its faults say where they are


class Shapes:
    """The makers of JSON for one record type: for any record, and for the shapes that recur."""

    def __init__(self, compiled: list[Compiled]) -> None:
        self._compiled = compiled
        self._general = [c.written for c in compiled]
        self._counts: dict[tuple[str, ...], int] = {}
        self.hot: dict[tuple[str, ...], list[Any]] = {}

    def met(self, record: Mapping[str, Any]) -> list[Any]:
        """The makers for a record whose shape is not hot yet; counts it."""
        shape = tuple(record)
        count = self._counts.get(shape, 0) + 1
        if len(self._counts) >= _MOST_SHAPES and shape not in self._counts:
            return self._general
        self._counts[shape] = count
        if count == _OFTEN:
            names = frozenset(shape)
            plans = [p for c in self._compiled if (p := prune(c.plan, names)) is not None]
            made = [emit(plan) for plan in plans]
            pairs = zip(plans, made, strict=True)
            self.hot[shape] = [_make(plan, e.source, e.written()) for plan, e in pairs]
        return self._general


def compile_plan(plan: Plan) -> Compiled:
    """Make the functions of a plan."""
    fast, noted, located = emit(plan), emit(plan, notes=True), emit(plan, trace=True)
    return Compiled(
        plan,
        _make(plan, fast.source, fast.names),
        _make(plan, fast.source, fast.written()),
        _make(plan, noted.source, noted.names),
        _make(plan, located.source, located.names),
    )


def _make(plan: Plan, source: str, names: dict[str, Any]) -> Any:
    scope: dict[str, Any] = {**NAMESPACE, **names}
    code = compile(source, f"<{plan.file.file}>", "exec")
    exec(code, scope)  # noqa: S102 - written from a checked plan; names and texts are quoted
    return scope["make"]
