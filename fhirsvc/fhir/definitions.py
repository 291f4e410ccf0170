"""What R4 says of each type: elements, cardinality, choices, required codes, reference targets.

Read from the model metadata of ``fhir.resources`` (its R4B models: the package ships no R4 ones;
for the resources used here the two agree). This module is the one door to that package's models
for everything that compiles: the mapping checker and the validator both ask here, so they cannot
disagree. Models are imported one by one as they are asked for, which keeps start-up short.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

from fhir_core.fhirabstractmodel import FHIRAbstractModel

from fhirsvc.fhir.bindings import REQUIRED

PRIMITIVES = frozenset(
    "base64Binary boolean canonical code date dateTime decimal id instant integer markdown oid "
    "positiveInt string time unsignedInt uri url uuid xhtml".split()
)
_PACKAGE = "fhir.resources.R4B"
# Only what a model says of itself is read here: its own validator is made when one is asked for.
FHIRAbstractModel.model_config["defer_build"] = True
_ABSTRACT = frozenset({"Resource", "DomainResource"})


@dataclass(frozen=True)
class Element:
    """One element of a type, under its JSON name (``valueQuantity``, not ``value[x]``)."""

    name: str
    type: str  # FHIR type name; backbone elements carry the model's name ("CarePlanActivity")
    many: bool
    required: bool
    choice: str | None  # "value" for valueQuantity
    choice_required: bool
    codes: tuple[str, ...]  # the required binding, where there is one
    targets: tuple[str, ...]  # allowed reference targets; empty means any

    @property
    def primitive(self) -> bool:
        """Whether the value is a JSON scalar."""
        return self.type in PRIMITIVES


@dataclass(frozen=True)
class Definition:
    """A FHIR type: its elements by JSON name, in the order of the specification."""

    name: str
    kind: Literal["resource", "complex"]
    elements: dict[str, Element]

    def choices(self) -> dict[str, tuple[Element, ...]]:
        """Choice groups: ``{"value": (valueQuantity, valueString, …)}``."""
        groups: dict[str, list[Element]] = {}
        for element in self.elements.values():
            if element.choice:
                groups.setdefault(element.choice, []).append(element)
        return {name: tuple(members) for name, members in groups.items()}


@cache
def model(name: str) -> Any:
    """The ``fhir.resources`` model class of a resource or data type.

    :raises LookupError: R4 has no such type.
    """
    path = _model_path(name)
    try:
        module, _, cls = path.rpartition(".")
        return getattr(import_module(module), cls)
    except (ImportError, AttributeError):
        raise LookupError(name) from None


def is_resource(name: object) -> bool:
    """Whether ``name`` is an R4 resource type (abstract bases are not)."""
    if not isinstance(name, str) or not name.isalpha() or name in _ABSTRACT:
        return False
    try:
        return definition(name).kind == "resource"
    except LookupError:
        return False


@cache
def definition(name: str) -> Definition:
    """The definition of a type by FHIR name.

    :raises LookupError: R4 has no such type.
    """
    cls = model(name)
    found = {}
    for field in cls.model_fields.values():
        extra = field.json_schema_extra
        if not extra or not extra.get("element_property") or field.alias.startswith("_"):
            continue
        found[field.alias] = _element(name, field, extra)
    order = {n: i for i, n in enumerate(cls.elements_sequence())}
    elements = dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))
    return Definition(name, "resource" if cls.has_resource_base() else "complex", elements)


def _element(owner: str, field: Any, extra: dict[str, Any]) -> Element:
    type_name, many = _type_of(field.annotation)
    return Element(
        name=field.alias,
        type=type_name,
        many=many,
        required=bool(field.is_required() or extra.get("element_required")),
        choice=extra.get("one_of_many"),
        choice_required=bool(extra.get("one_of_many_required")),
        codes=_codes(owner, field.alias, extra),
        targets=tuple(t for t in extra.get("enum_reference_types", ()) if t != "Resource"),
    )


def _codes(owner: str, name: str, extra: dict[str, Any]) -> tuple[str, ...]:
    if (owner, name) in REQUIRED:
        return REQUIRED[owner, name]
    stated = tuple(extra.get("enum_values", ()))
    return () if "+" in stated else stated  # a list cut short proves nothing about a value


def _type_of(annotation: Any) -> tuple[str, bool]:
    """``(FHIR type name, repeats)`` of a pydantic annotation such as ``List[XType] | None``."""
    if typing.get_origin(annotation) is list:
        return _type_of(typing.get_args(annotation)[0])[0], True
    if hasattr(annotation, "_model_klass"):
        path: str = annotation._model_klass
        _paths[path.rpartition(".")[2]] = path
        return path.rpartition(".")[2], False
    if hasattr(annotation, "__metadata__"):  # Annotated[str, Code()]
        marker = annotation.__metadata__[0]
        return getattr(marker, "__visit_name__", "base64Binary"), False
    if annotation is bool:
        return "boolean", False
    for argument in typing.get_args(annotation):
        if argument is not type(None):
            return _type_of(argument)
    raise LookupError(repr(annotation))


_paths: dict[str, str] = {}


def _model_path(name: str) -> str:
    return _paths.get(name) or f"{_PACKAGE}.{name.lower()}.{name}"
