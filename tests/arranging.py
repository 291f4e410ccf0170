"""Demo records as they go out to one EHR or another."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

from shipped_clinic import mappings, records
from statements import EHRS, everything, statement

from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.context import Context
from fhirsvc.ehr.ladder import Ladder
from fhirsvc.ehr.narrative import display_of
from fhirsvc.ehr.outgoing import Arranged, arrange
from fhirsvc.mapping.carried import carried

DOCUMENTS = (
    "DocumentReference | create update | identifier\nPatient | read search-type | identifier"
)


@cache
def fields():
    """What goes where, by the shipped mappings."""
    return carried(mappings().library)


@cache
def names() -> dict[tuple[str, str], str]:
    """What every resource of the demo is called."""
    made = (one for record in records() for one in mappings().forward(record))
    return {(one["resourceType"], one["id"]): display_of(one) for one in made}


def ladder(stated: str | dict[str, Any] | None = None, **more: Any) -> Ladder:
    """The ladder of one of the four EHRs by name, of a table of types, or of nothing known."""
    if stated is None:
        return Ladder.of(fields(), Capabilities.none(), **more)
    if isinstance(stated, str):
        stated = EHRS[stated] if stated in EHRS else statement(stated)
    return Ladder.of(fields(), Capabilities.parse(stated), **more)


def hapi(*, conditional: bool = True, without: str = "") -> Ladder:
    """The ladder of a server that takes everything but some types."""
    return ladder(everything(conditional=conditional, without=without))


def context(record: dict[str, Any], **more: Any) -> Context:
    """The context of a demo record."""
    return Context(
        record["updated_at"],
        instruments=mappings().library.instruments,
        display=lambda one: names().get(one, ""),
        **more,
    )


def record(kind: str, name: str) -> dict[str, Any]:
    """A demo record."""
    return next(one for one in records() if (one["type"], one["id"]) == (kind, name))


def arranged(kind: str, name: str, known: Ladder, **more: Any) -> Arranged:
    """A demo record as it goes out."""
    one = record(kind, name)
    return arrange(one, mappings().forward(one), known, context(one, **more))


def sent(found: Arranged, kind: str) -> list[dict[str, Any]]:
    """The resources of one type that go out, as JSON would have them."""
    listed = [one.resource for one in found.outgoing if one.resource["resourceType"] == kind]
    return json.loads(json.dumps(listed))


def attached(document: dict[str, Any], kind: str) -> bytes:
    """The bytes of an attachment."""
    (found,) = (
        one["attachment"] for one in document["content"] if one["attachment"]["contentType"] == kind
    )
    return base64.b64decode(found["data"])
