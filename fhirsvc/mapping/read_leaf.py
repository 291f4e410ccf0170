"""Single values read back: codes, references, identifiers, numbers, words, answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirsvc.mapping.inverse import (
    Inverse,
    Unread,
    Words,
    number,
    same_unit,
    words_of,
)
from fhirsvc.mapping.links import Aim, find
from fhirsvc.mapping.notes import Address, Label, Notes, Reading, Scope
from fhirsvc.mapping.plan import Leaf

_KNOWN = {
    "identifier": {"system", "value", "use", "type"},
    "reference": {"reference", "type", "identifier"},
    "quantity": {"value", "unit", "system", "code"},
    "annotation": {"text"},
    "text": {"text"},
}
_NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})


class Leaves:
    """Reads what a leaf's element says; what is not understood is a finding."""

    def __init__(
        self,
        inverses: Mapping[int, Inverse],
        aims: Mapping[int, Aim],
        reading: Reading,
        notes: Notes,
    ) -> None:
        self.inverses = inverses
        self.aims = aims
        self.reading = reading
        self.notes = notes

    def leaf(self, leaf: Leaf, value: Any, at: str, address: Address, scopes: list[Scope]) -> bool:
        """Read one value; whether it was understood."""
        try:
            done: bool = getattr(self, f"_{leaf.op}")(leaf, value, at, address, scopes)
        except Unread as problem:
            self.notes.unread(problem, at)
            return False
        if isinstance(value, dict):
            self.reading.places[address] = value
            for name in value:
                if name not in _KNOWN.get(leaf.op, {"coding", "text", "system", "code"} | _SHOWN):
                    self.notes.leave(address, name, value[name], f"{at}.{name}")
        return done

    def adapted(self, leaf: Leaf, got: str, raw: Any) -> Any:
        """A value of another type of the same choice, as the line's own type would say it.

        :raises Unread: it says something else.
        """
        wants = leaf.element.type
        if leaf.op == "quantity" or wants in _NUMBERS:
            return number(raw)
        if leaf.op == "text" and got == "string" and isinstance(raw, str):
            return {"text": raw}
        if wants == "string" and got in ("CodeableConcept", "markdown"):
            return words_of(raw) if got == "CodeableConcept" else raw
        if wants in ("dateTime", "date") and got in ("instant", "dateTime", "date"):
            return raw
        if wants == "dateTime" and got == "Period" and isinstance(raw, dict) and "start" in raw:
            return raw["start"]
        raise Unread("not-carried", f"a {got} is not read as a {wants}")

    # ---- ops ----------------------------------------------------------------------------

    def _copy(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        return self.notes.put(scopes, leaf.sources[0], value, at)

    def _key(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        if not isinstance(value, str) or not value.startswith(leaf.arg):
            return True  # an id of the other side: the item is met by what it says
        return self.notes.put(scopes, leaf.sources[0], value[len(leaf.arg) :].partition("/")[0], at)

    def _table(
        self, leaf: Leaf, value: Any, at: str, address: Address, scopes: list[Scope]
    ) -> bool:
        return self.notes.put(scopes, leaf.sources[0], self._words(leaf, value, at, address), at)

    def _words(self, leaf: Leaf, value: Any, at: str, address: Address) -> Words | str:
        inverse = self.inverses[leaf.n]
        if isinstance(value, str):
            found = inverse.code(value)
        elif isinstance(value, dict):
            codings = value.get("coding") if "coding" in value else [value]
            codings = codings if isinstance(codings, list) else []
            found = inverse.codings(codings) or inverse.text(value.get("text"))
            self._strangers(inverse, value, at, address)
        else:
            raise Unread("type", f"expected a {leaf.element.type}")
        if found is None:
            raise Unread("unknown-code", f"this is not in the code table '{leaf.line.codes}'")
        return found.words[0] if len(found.words) == 1 else found

    def _strangers(
        self, inverse: Inverse, value: dict[str, Any], at: str, address: Address
    ) -> None:
        """Codings that the table does not have survive beside those that it has."""
        codings = value.get("coding")
        for i, coding in enumerate(codings if isinstance(codings, list) else ()):
            known = isinstance(coding, dict) and inverse.codings([coding])
            if not known:
                self.notes.leave(address, "coding", coding, f"{at}.coding[{i}]", item=True)

    def _table_text(
        self, leaf: Leaf, value: Any, at: str, address: Address, scopes: list[Scope]
    ) -> bool:
        if not isinstance(value, dict):
            raise Unread("type", f"expected a {leaf.element.type}")
        inverse, text = self.inverses[leaf.n], value.get("text")
        codings = value.get("coding")
        stated = codings if isinstance(codings, list) else []
        found = inverse.codings(stated)
        self._strangers(inverse, value, at, address)
        if found is None and not stated:
            found = inverse.text(text) or inverse.texts()
        if isinstance(text, str) and leaf.text is not None:
            own = inverse.own_text(found) if found is not None else set()
            if text not in own:
                self.notes.put(scopes, leaf.text, text, f"{at}.text")
        if found is None or not found.words:
            raise Unread("unknown-code", f"this is not in the code table '{leaf.line.codes}'")
        return self.notes.put(scopes, leaf.sources[0], found, at)

    def _tag(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        return self._joined(leaf, value, "code", at, scopes)

    def _identifier(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        return self._joined(leaf, value, "value", at, scopes)

    def _joined(self, leaf: Leaf, value: Any, name: str, at: str, scopes: list[Scope]) -> bool:
        """The ids that a system and a value joined by "/" say."""
        stated = value.get(name) if isinstance(value, dict) else None
        if not isinstance(stated, str) or not isinstance(value, dict):
            raise Unread("type", f"expected an {leaf.element.type} with a {name}")
        system = value.get("system")
        if self.notes.known.also.get(str(system), system) != leaf.arg["system"]:
            raise Unread("unknown-system", "this identifier is not of the system this line writes")
        many = len(leaf.sources)
        parts = stated.split("/", many - 1) if many > 1 else [stated]
        if len(parts) != many:
            raise Unread("id", f"expected {many} ids joined by '/'")
        pairs = zip(leaf.sources, parts, strict=True)
        put = [self.notes.put(scopes, source, part, at) for source, part in pairs]
        return all(put)

    def referred(self, leaf: Leaf, value: dict[str, Any], scopes: list[Scope]) -> str | None:
        """The ids that a reference names, joined by "/"; None where they are not known."""
        hints = tuple(self.notes.hint(scopes, source) for source in leaf.sources)
        notes = self.notes
        ids = find(value, self.aims[leaf.n], notes.contained, notes.known.links, hints)
        if ids is None:  # a name too long is a digest: the record may have what it is made of
            has = notes.record.get(leaf.sources[-1].name)
            relative = notes.known.links.relative(str(value.get("reference")))
            pairs = [(str(hints[0]), one) for one in (has if isinstance(has, list) else ())]
            aim = self.aims[leaf.n]
            ids = next((p for p in pairs if aim.keyed and aim.local(p) == relative), None)
        return None if ids is None else "/".join(ids)

    def _reference(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        if not isinstance(value, dict):
            raise Unread("type", "expected a Reference")
        notes, said = self.notes, self.referred(leaf, value, scopes)
        if said is None:
            raise Unread("unresolved", f"nothing known here is what this {_kind(leaf)} refers to")
        pairs = zip(leaf.sources, said.split("/"), strict=True)
        put = [notes.put(scopes, source, one, at) for source, one in pairs]
        return all(put)

    def _text(self, leaf: Leaf, value: Any, at: str, address: Address, scopes: list[Scope]) -> bool:
        return self.notes.put(scopes, leaf.sources[0], words_of(value), at)

    def _annotation(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        text = value.get("text") if isinstance(value, dict) else None
        return self.notes.put(scopes, leaf.sources[0], text, at)

    def _time(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        if not isinstance(value, str) or value[5:8] not in ("", ":00"):
            raise Unread("type", "expected a time of whole minutes")
        return self.notes.put(scopes, leaf.sources[0], value[:5], at)

    def _labels(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        """Labels of house words, or a person's own words instead: the record tells which."""
        if not isinstance(value, str):
            raise Unread("type", "expected text")
        scopes[leaf.sources[0].depth].labels.append(Label(leaf, value))
        return True

    def _quantity(self, leaf: Leaf, value: Any, at: str, _: Address, scopes: list[Scope]) -> bool:
        if isinstance(value, dict) and leaf.arg.get("code"):
            code = value.get("code")
            if code is not None and not same_unit(code, leaf.arg["code"]):
                raise Unread("unit", "this is in another unit than the line reads")
        return self.notes.put(scopes, leaf.sources[0], number(value), at)


_SHOWN = {"display", "version", "userSelected"}


def _kind(leaf: Leaf) -> str:
    return f"{leaf.element.name} ({leaf.arg[0].rstrip('/')})"
