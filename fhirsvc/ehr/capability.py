"""What an EHR says that it can do: a CapabilityStatement, read for what a delivery asks of it.

Statements of real products are partial, repeat themselves and are sometimes wrong, so reading never
refuses: what cannot be read is not there. A statement is an upper bound; contracts and scopes may
take away more, which is learned from refusals (``fhirsvc.ehr.ladder``).
https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

# https://hl7.org/fhir/R4/valueset-type-restful-interaction.html and -system-restful-interaction
INTERACTIONS = frozenset(
    "read vread update patch delete history-instance history-type create search-type".split()
)
SYSTEM_INTERACTIONS = frozenset("transaction batch search-system history-system".split())
_MOST = 500  # resources, or names in a list: more are none of a real statement
_LONGEST = 300  # characters of a name, a URL or a code
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,39}")
_US_CORE = re.compile(r"us-core|hl7\.fhir\.us\.core")
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){1,2}")
_OAUTH_URIS = "oauth-uris"


@dataclass(frozen=True)
class TypeCapability:
    """What an EHR does with one resource type; ``searches`` are the names of parameters."""

    interactions: frozenset[str] = frozenset()
    searches: frozenset[str] = frozenset()
    profiles: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    conditional_create: bool = False
    conditional_update: bool = False
    conditional_delete: str = "not-supported"
    update_create: bool = False
    versioning: str = ""

    @property
    def is_written(self) -> bool:
        """Whether clients may write it."""
        return bool({"create", "update"} & self.interactions)


@dataclass(frozen=True)
class Capabilities:
    """What an EHR says of itself; of one that is not known yet everything may be tried."""

    is_known: bool = False
    types: Mapping[str, TypeCapability] = field(default_factory=dict)
    interactions: frozenset[str] = frozenset()
    operations: tuple[str, ...] = ()
    fhir_version: str = ""
    formats: tuple[str, ...] = ()
    us_core: str = ""  # the newest version it names, "6.1.0"
    oauth: Mapping[str, str] = field(default_factory=dict)  # token, authorize, … → URL
    security: tuple[str, ...] = ()  # codes of security services, "SMART-on-FHIR"
    software: str = ""

    @classmethod
    def none(cls) -> Capabilities:
        """Nothing is known: no statement was read."""
        return cls()

    @classmethod
    def parse(cls, statement: object) -> Capabilities:
        """Read a CapabilityStatement of R4, or one shaped like it (STU3, R4B); never raises.

        A statement that tells of no resource type at all says nothing, and nothing is known then.
        """
        if not isinstance(statement, Mapping):
            return cls()
        rests = [one for one in _dicts(statement.get("rest")) if one.get("mode") != "client"]
        types: dict[str, TypeCapability] = {}
        for one in (one for rest in rests for one in _dicts(rest.get("resource"))):
            name = one.get("type")
            if isinstance(name, str) and _TYPE.fullmatch(name) and len(types) < _MOST:
                types[name] = _merged(types.get(name), _type(one))
        system = {code for rest in rests for code in _codes(rest.get("interaction"))}
        return cls(
            is_known=bool(types),
            types=types,
            interactions=frozenset(system & SYSTEM_INTERACTIONS),
            operations=_unique(name for rest in rests for name in _names(rest.get("operation"))),
            fhir_version=_text(statement.get("fhirVersion")),
            formats=_unique(_texts(statement.get("format"))),
            us_core=_us_core(statement, types),
            oauth=_oauth(rests),
            security=_unique(_services(rests)),
            software=_software(statement),
        )

    def can(self, resource: str, interaction: str) -> bool:
        """Whether a resource type can be handled so; of what is not known, yes."""
        if not self.is_known:
            return True
        return interaction in self.of(resource).interactions

    def of(self, resource: str) -> TypeCapability:
        """What is stated of a resource type; nothing where it is not named."""
        return self.types.get(resource, TypeCapability())

    def finds(self, resource: str, parameter: str = "identifier") -> bool:
        """Whether resources of a type can be searched by a parameter."""
        if not self.is_known:
            return True
        return self.can(resource, "search-type") and parameter in self.of(resource).searches

    def in_short(self) -> dict[str, Any]:
        """What a person wants to see of it."""
        return {
            "fhir": self.fhir_version,
            "software": self.software,
            "formats": list(self.formats),
            "system": sorted(self.interactions),
            "resources": {name: sorted(one.interactions) for name, one in self.types.items()},
        }

    def to_json(self) -> dict[str, Any]:
        """All of it, as compact as can be read again by :meth:`from_json`."""
        types = {name: _stored(one) for name, one in self.types.items()}
        return {**_stored(self), **({"types": types} if types else {})}

    @classmethod
    def from_json(cls, stored: object) -> Capabilities:
        """Read what :meth:`to_json` gave, as an object or its text; what is none of it, as none."""
        if isinstance(stored, str | bytes):
            try:
                stored = orjson.loads(stored)
            except orjson.JSONDecodeError:
                return cls()
        if not isinstance(stored, Mapping):
            return cls()
        listed = stored.get("types")
        types = {
            str(name): TypeCapability(**_restored(TypeCapability(), one))
            for name, one in (listed.items() if isinstance(listed, Mapping) else ())
            if isinstance(one, Mapping)
        }
        whole = _restored(cls(), stored)
        return cls(**{**whole, "types": types, "is_known": bool(types)})


def _stored(one: TypeCapability | Capabilities) -> dict[str, Any]:
    """The fields that say something, as JSON."""
    found = {}
    for name, value in vars(one).items():
        if value and value != "not-supported":
            plain = sorted(value) if isinstance(value, frozenset) else value
            found[name] = list(plain) if isinstance(plain, tuple) else plain
    return found


def _restored(empty: TypeCapability | Capabilities, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a stored one, each of the kind that its empty value has."""
    found: dict[str, Any] = {}
    for name, value in vars(empty).items():
        given = stored.get(name, value)
        if isinstance(value, bool):
            found[name] = given is True
        elif isinstance(value, frozenset | tuple):
            listed = list(given) if isinstance(given, list | tuple | frozenset) else []
            found[name] = type(value)(_texts(listed))
        elif isinstance(value, Mapping):
            pairs = given.items() if isinstance(given, Mapping) else ()
            found[name] = {str(k): v for k, v in pairs if isinstance(v, str)}
        else:
            found[name] = _text(given)
    return found


# ---- one resource type ------------------------------------------------------------------------


def _type(stated: Mapping[str, Any]) -> TypeCapability:
    searched = {name for name in _names(stated.get("searchParam")) if name}
    deleting = _text(stated.get("conditionalDelete"))
    return TypeCapability(
        interactions=frozenset(set(_codes(stated.get("interaction"))) & INTERACTIONS),
        searches=frozenset(searched),
        profiles=_unique(_profiles(stated)),
        operations=_unique(_names(stated.get("operation"))),
        conditional_create=stated.get("conditionalCreate") is True,
        conditional_update=stated.get("conditionalUpdate") is True,
        conditional_delete=deleting or "not-supported",
        update_create=stated.get("updateCreate") is True,
        versioning=_text(stated.get("versioning")),
    )


def _profiles(stated: Mapping[str, Any]) -> Iterator[str]:
    """Canonicals of R4 (``supportedProfile``) and References of STU3 (``profile`` is one)."""
    for given in (stated.get("supportedProfile"), stated.get("profile")):
        for one in given if isinstance(given, list) else [given]:
            text = _text(one.get("reference") if isinstance(one, Mapping) else one)
            if text:
                yield text


def _merged(first: TypeCapability | None, other: TypeCapability) -> TypeCapability:
    """A type that is named twice can do what either says."""
    if first is None:
        return other
    return TypeCapability(
        interactions=first.interactions | other.interactions,
        searches=first.searches | other.searches,
        profiles=_unique([*first.profiles, *other.profiles]),
        operations=_unique([*first.operations, *other.operations]),
        conditional_create=first.conditional_create or other.conditional_create,
        conditional_update=first.conditional_update or other.conditional_update,
        conditional_delete=max(first.conditional_delete, other.conditional_delete),
        update_create=first.update_create or other.update_create,
        versioning=first.versioning or other.versioning,
    )


# ---- the whole server -------------------------------------------------------------------------


def _us_core(statement: Mapping[str, Any], types: Mapping[str, TypeCapability]) -> str:
    """The newest version of US Core among the canonicals that carry one."""
    named = [*_texts(statement.get("instantiates")), *_texts(statement.get("implementationGuide"))]
    named += [profile for one in types.values() for profile in one.profiles]
    found = set()
    for canonical in named:
        url, _, version = canonical.partition("|")
        if _US_CORE.search(url) and _VERSION.fullmatch(version):
            found.add(version)
    return max(found, key=lambda v: [int(part) for part in v.split(".")], default="")


def _securities(rests: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    yield from (one["security"] for one in rests if isinstance(one.get("security"), Mapping))


def _oauth(rests: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """SMART's URIs. https://hl7.org/fhir/smart-app-launch/1.0.0/conformance/"""
    found: dict[str, str] = {}
    for security in _securities(rests):
        for extension in _dicts(security.get("extension")):
            if _text(extension.get("url")).endswith(_OAUTH_URIS):
                for one in _dicts(extension.get("extension")):
                    name, uri = _text(one.get("url")), _text(one.get("valueUri"))
                    if name and uri:
                        found.setdefault(name, uri)
    return found


def _services(rests: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for security in _securities(rests):
        for service in _dicts(security.get("service")):
            yield from _codes(service.get("coding"))


def _software(statement: Mapping[str, Any]) -> str:
    software = statement.get("software")
    told = software if isinstance(software, Mapping) else {}
    named = f"{_text(told.get('name'))} {_text(told.get('version'))}".strip()
    return named or _text(statement.get("publisher"))


# ---- reading what may be anything -------------------------------------------------------------


def _dicts(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list, or the one object that stands where a list should."""
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed[: _MOST * 4] if isinstance(one, Mapping)]


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) and len(value) <= _LONGEST else ""


def _texts(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [text for one in listed[:_MOST] if (text := _text(one))]


def _codes(value: object) -> list[str]:
    return [code for one in _dicts(value) if (code := _text(one.get("code")))]


def _names(value: object) -> list[str]:
    return [name for one in _dicts(value) if (name := _text(one.get("name")))]


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
