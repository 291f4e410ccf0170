"""The search parameters we serve: R4's own, for the types that records map to, with their paths.

Each row is ``name type index: path, path``. ``index`` is what values are kept under, where it is
not the name itself: two parameters over the same element share one. A path is one of element names;
a choice of types is written out.

Source: https://hl7.org/fhir/R4/searchparameter-registry.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from fhirsvc.fhir.definitions import definition
from fhirsvc.fhir.search_table import TABLE

Kind = Literal["token", "reference", "string", "date", "uri"]


@dataclass(frozen=True)
class Parameter:
    """One search parameter of a type.

    ``index`` are the names its values are kept under (``CarePlan.status``), ``paths`` where they
    are found, ``targets`` the types a reference has to lead to, where the parameter says so.
    """

    name: str
    kind: Kind
    index: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    targets: tuple[str, ...] = ()


# Kept under no name of the type's own list of parameters: parts that other names are made of.
_HELD = {("Patient", "text"), ("Practitioner", "text")}


def _read(resource_type: str, row: str) -> Parameter:
    head, _, tail = row.partition(": ")
    name, kind, *more = head.split()
    targets = tuple(one for one in more if one[0].isupper())
    index = tuple(one for one in more if one[0].islower()) or (name,)
    paths = tuple(tuple(path.split(".")) for path in tail.split(", "))
    named = tuple(f"{resource_type}.{one}" for one in index)
    return Parameter(name, kind, named, paths, targets)  # type: ignore[arg-type]  # of the table


@cache
def _every() -> Mapping[str, Mapping[str, Parameter]]:
    return {
        resource_type: {
            one.name: one for row in text.split("\n") if row for one in [_read(resource_type, row)]
        }
        for resource_type, text in TABLE.items()
    }


TYPES = tuple(sorted(TABLE))


def indexed(resource_type: str) -> tuple[Parameter, ...]:
    """What is kept of a resource of a type: the parameters that have an index of their own."""
    own = _every().get(resource_type, {}).values()
    return tuple(one for one in own if one.index == (f"{resource_type}.{one.name}",))


def parameters(resource_type: str) -> Mapping[str, Parameter]:
    """The parameters of a type by name, without those that all types have; none: not served."""
    own = _every().get(resource_type, {})
    return {name: one for name, one in own.items() if (resource_type, name) not in _HELD}


@cache
def targets(resource_type: str, parameter: Parameter) -> tuple[str, ...]:
    """The types that a reference parameter may lead to; empty where any may."""
    if parameter.targets:
        return parameter.targets
    shape, path = definition(resource_type), parameter.paths[0]
    for name in path[:-1]:
        shape = definition(shape.elements[name].type)
    return shape.elements[path[-1]].targets


def edition() -> str:
    """The table as a text: where it has changed, what is kept has to be found again."""
    return repr(TABLE)
