"""What resources say, put onto a record: the second half of the lens.

get-put: a record mapped and put back onto itself is itself. put-get: what is put is what mapping
the result makes. So a field that a line would write, and whose element is not there, goes; a field
no line reads, or that another line hides, stays. Every field that goes is told.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from fhirsvc.errors import Finding
from fhirsvc.mapping import paths
from fhirsvc.mapping.clear import Clear
from fhirsvc.mapping.inverse import Inverse, Words, put_label, same
from fhirsvc.mapping.notes import Known, Notes, Path, Reading, Scope, agreed
from fhirsvc.mapping.plan import Each, Group, Leaf, Node
from fhirsvc.mapping.scores import against
from fhirsvc.mapping.would import Would
from fhirsvc.records import Field

Record = dict[str, Any]


class Onto:
    """Puts the readings of one record's resources onto the record."""

    def __init__(self, fields: Mapping[str, Field], record: Record, known: Known) -> None:
        self.fields = fields
        self.record = record
        self.known = known
        self.silent: dict[str, tuple[str, ...]] = {}
        self.findings: list[Finding] = []

    def put(
        self, readings: Sequence[Reading], inverses: Sequence[Mapping[int, Inverse]], *, new: bool
    ) -> None:
        """Write what the readings say; ``new`` when there was no record before."""
        for reading, known in zip(readings, inverses, strict=True):
            self.name_items(reading.root, self.record, "")
            self.untie(reading, Clear(self.fields, known, self.findings))
        said = Scope()
        for reading in readings:
            self.merge(said, reading.root, "")
        self.silent = _silent(readings, inverses)
        self.write(said, self.record, "", "$")
        before = None
        while not new and before != self.record:  # what hid another line may have gone
            before = copy.deepcopy(self.record)
            self.clear(readings, inverses, said)

    def clear(
        self,
        readings: Sequence[Reading],
        inverses: Sequence[Mapping[int, Inverse]],
        said: Scope,
    ) -> None:
        """Take away what the lines would write and the resources do not have."""
        for reading, known in zip(readings, inverses, strict=True):
            clearing = Clear(self.fields, known, self.findings)
            scopes, records, all_said = [reading.root], [self.record], [said]
            each = reading.plan.each
            if each is None:
                clearing.group(reading.plan.root, records, scopes, all_said, "$")
                continue
            for key, item in reading.root.items.get(each.path, {}).items():
                found = self.item(self.record, each.path, each.name, key)
                if found is not None:
                    below = said.items[each.path][key]
                    at = f"$.{'.'.join(each.path)}[]"
                    clearing.group(
                        reading.plan.root, [*records, found], [*scopes, item],
                        [*all_said, below], at,
                    )  # fmt: skip

    # ---- elements that several lines may have written ------------------------------------

    def untie(self, reading: Reading, writes: Would) -> None:
        """Decide by the record which line wrote an element: the one that would write it now."""
        notes = Notes(reading, self.known)

        def walk(scopes: list[Scope], records: list[Record], name: str) -> None:
            for tie in scopes[-1].ties:
                nodes = [n for n in tie.nodes if not against(n.test, scopes)]
                now = (
                    n
                    for n in nodes
                    if writes.applies(n, records)
                    and (not n.line.one_way or _says(n, tie.value, scopes, records))
                )
                told = (n for n in nodes if n.line.one_way and _says(n, tie.value, scopes, records))
                stated = (n for n in nodes if not n.line.one_way)
                chosen = next(now, None) or next(told, None) or next(stated, None)
                if chosen is None:
                    continue
                scopes[-1].hits[chosen.n] = tie.value
                if not chosen.line.one_way:
                    notes.put(scopes, chosen.sources[0], tie.value, tie.at)
            for path, items in scopes[-1].items.items():
                for key, item in items.items():
                    found = self.item(records[-1], path, paths.join(name, path), key) or {}
                    walk([*scopes, item], [*records, found], f"{paths.join(name, path)}[]")

        walk([reading.root], [self.record], "")

    # ---- items without a key ------------------------------------------------------------

    def name_items(self, scope: Scope, record: Record, name: str) -> None:
        """Give items that came without a key the key of the one they are, or one of their own."""
        for path, items in scope.loose.items():
            field = self.fields[paths.join(name, path)]
            known = paths.at(record, path) or []
            taken = set(scope.items.get(path, {}))
            for item in items:
                key = self.met(item, known, field, taken) or _made_key(item)
                taken.add(key)
                item.values[field.key or "",] = key
                scope.list_at(path)[key] = item
        scope.loose.clear()
        for path, keyed in scope.items.items():
            list_name = paths.join(name, path)
            for key, below in keyed.items():
                found = self.item(record, path, list_name, key) or {}
                self.name_items(below, found, f"{list_name}[]")

    def met(self, item: Scope, known: list[Any], field: Field, taken: set[str]) -> str | None:
        """The key of the one item of the record that says the same most; None if it is not one."""
        ranked: dict[str, int] = {}
        for one in known:
            key = one.get(field.key) if isinstance(one, dict) else None
            if not isinstance(key, str) or key in taken:
                continue
            says = [
                _settled(value, paths.at(one, path)) == paths.at(one, path)
                for path, value in item.values.items()
            ]
            ranked[key] = sum(says)
        best = max(ranked.values(), default=0)
        keys = [key for key, count in ranked.items() if count == best]
        return keys[0] if best and len(keys) == 1 else None

    # ---- writing ------------------------------------------------------------------------

    def merge(self, into: Scope, scope: Scope, name: str) -> None:
        """What several resources say of one record, together."""
        for path, value in scope.values.items():
            before = into.values.get(path)
            field = self.fields.get(paths.join(name, path))
            both = value if before is None else agreed(field.kind if field else "", before, value)
            if both is None:
                message = "the resources of one record say different things of this"
                self.findings.append(
                    Finding("disagrees", message, "$." + ".".join(path), "warning")
                )
            else:
                into.values[path] = both
        for path, value in scope.weak.items():
            into.weak.setdefault(path, value)
        into.labels += scope.labels
        for path, items in scope.items.items():
            for key, item in items.items():
                below = into.list_at(path).setdefault(key, Scope())
                self.merge(below, item, f"{paths.join(name, path)}[]")

    def write(self, scope: Scope, record: Record, name: str, at: str) -> None:
        """Write evidence into a record, or into an item of one of its lists."""
        for path, value in scope.values.items():
            if path == ():
                continue
            before = paths.at(record, path)
            full = paths.join(name, path)
            field = self.fields[full]
            if isinstance(value, list):
                found: Any = self.words_list(value, before, full)
                if isinstance(before, list) and self.spoken(before, full) == found:
                    continue
            else:
                found = _settled(value, before)
            if found is None:
                message = "the code stands for more than one word, and none is preferred"
                where = f"{at}.{'.'.join(path)}"
                self.findings.append(Finding("ambiguous", message, where, "warning"))
            elif before is None or not same(field.kind, before, found):
                paths.put(record, path, found)
        for path, allowed in scope.weak.items():
            if path not in scope.values and paths.at(record, path) not in allowed:
                paths.put(record, path, allowed[0])
        for label in scope.labels:
            many = self.fields[label.leaf.sources[0].name].many
            put_label(label.leaf, label.value, record, many=many)
        for path, items in scope.items.items():
            self.write_items(path, items, record, name, at)

    def words_list(self, value: list[Any], before: Any, full: str) -> list[Any]:
        """The values of a list; a code that stands for several words is one that was there."""
        has = before if isinstance(before, list) else []
        found = []
        for one in value:
            kept = next((w for w in has if isinstance(one, Words) and w in one.words), None)
            word = _settled(one, kept)
            if word is not None:
                found.append(word)
        return found

    def spoken(self, values: list[Any], full: str) -> list[Any]:
        """A list without the words that make no element."""
        return [v for v in values if v not in self.silent.get(full, ())]

    def write_items(
        self, path: Path, items: Mapping[str, Scope], record: Record, name: str, at: str
    ) -> None:
        """Write the items of a list, each met by its key; new ones follow those that are there."""
        list_name = paths.join(name, path)
        key_name = self.fields[list_name].key or "n"
        there = paths.at(record, path)
        if not isinstance(there, list):
            there = []
            if items:
                paths.put(record, path, there)
        for key, item in items.items():
            found = next((i for i in there if isinstance(i, dict) and i.get(key_name) == key), None)
            if found is None:
                found = {key_name: key}
                there.append(found)
            self.write(item, found, f"{list_name}[]", f"{at}.{'.'.join(path)}[]")

    def item(self, record: Record, path: Path, name: str, key: str) -> Record | None:
        """The item of a list with this key."""
        items = paths.at(record, path)
        for one in items if isinstance(items, list) else ():
            if isinstance(one, dict) and one.get(self.key_of(name)) == key:
                return one
        return None

    def key_of(self, name: str) -> str:
        """The field that tells the items of a list apart."""
        return self.fields[name].key or "n"  # the answers of an instrument are numbered


def _silent(
    readings: Sequence[Reading], inverses: Sequence[Mapping[int, Inverse]]
) -> dict[str, tuple[str, ...]]:
    """The words that make no element, for each list of words."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(node: Node, known: Mapping[int, Inverse]) -> None:
        if isinstance(node, Group):
            for slot in node.slots:
                for child in slot.nodes:
                    walk(child, known)
        elif isinstance(node, Each):
            for leaf in _leaves(node.node):
                if leaf.n in known and leaf.sources[0].path == ():
                    found[node.source.name] = known[leaf.n].silent
            walk(node.node, known)

    for reading, known in zip(readings, inverses, strict=True):
        walk(reading.plan.root, known)
    return found


def _leaves(node: Node) -> list[Leaf]:
    if isinstance(node, Leaf):
        return [node]
    if isinstance(node, Group):
        return [leaf for s in node.slots for n in s.nodes for leaf in _leaves(n)]
    return []


def _says(leaf: Leaf, value: Any, scopes: list[Scope], records: list[Record]) -> bool:
    """Whether the field that a one-way line reads has this value, as it is told or as it was."""
    source = leaf.sources[0]
    told = scopes[source.depth].values.get(source.path)
    has = paths.at(records[source.depth], source.path) if told is None else told
    return same(source.kind, has, value)


def _settled(value: Any, before: Any) -> Any:
    return value.settled(before) if isinstance(value, Words) else value


def _made_key(item: Scope) -> str:
    """A key for an item that came without one: the same content has the same key."""
    said = sorted((".".join(path), repr(value)) for path, value in item.values.items())
    return "x" + hashlib.sha256(orjson.dumps(said)).hexdigest()[:15]


def base_of(record: Record | None, type_name: str, record_id: str) -> Record:
    """A record of one's own to write on."""
    if record is not None:
        return copy.deepcopy(record)
    return {"type": type_name, "id": record_id}
