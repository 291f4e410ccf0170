"""What an EHR's resource has and no mapping line reads, kept on what is sent next.

The other half of nothing lost: ``back`` keeps what a record has and FHIR does not carry; this
keeps extensions, identifiers, displays and elements of the EHR that this house does not know.
"""

from __future__ import annotations

import copy
from typing import Any

from fhirsvc.mapping.notes import Known
from fhirsvc.mapping.reader import Reader

Resource = dict[str, Any]


def graft(reader: Reader, made: Resource, existing: Resource, known: Known) -> Resource:
    """``made`` with all that ``existing`` has beyond what the reader's lines read.

    What is left is put where it was: into the same element, the same list item by its key. Where
    that element is gone from ``made``, what was in it goes as well.

    :param made: what mapping a record made; it is not changed.
    :param existing: the same resource as the EHR has it.
    """
    found: Resource = copy.deepcopy(made)
    before = reader.read(existing, known, reader.house(existing, known), None)
    after = reader.read(found, known, reader.house(found, known), None)
    for left in before.left:
        place = after.places.get(left.address)
        if place is None:
            continue
        if left.item:
            items = place.setdefault(left.name, [])
            if isinstance(items, list) and left.raw not in items:
                items.append(copy.deepcopy(left.raw))
        elif left.name not in place:
            place[left.name] = copy.deepcopy(left.raw)
    if "contained" in existing and "contained" not in found:
        found["contained"] = copy.deepcopy(existing["contained"])
    return found
