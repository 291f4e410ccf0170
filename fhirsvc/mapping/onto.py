"""What resources say, put onto a record: the second half of the lens.

get-put: a record mapped and put back onto itself is itself. put-get: what is put is what mapping
the result makes. So a field that a line would write, and whose element is not there, goes; a field
no line reads, or that another line hides, stays. Every field that goes is told.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from fhirsvc.errors import Finding
from fhirsvc.mapping.inverse import ONE_WAY, Inverse, Words, same
from fhirsvc.mapping.notes import Known, Label, Notes, Path, Reading, Scope, agreed
from fhirsvc.mapping.plan import Asked, Const, Each, Group, Leaf, Node, Slot, Test, fixed
from fhirsvc.mapping.scores import against
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
            self.untie(reading, _Clear(self, known))
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
            clearing = _Clear(self, known)
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

    def untie(self, reading: Reading, writes: _Clear) -> None:
        """Decide by the record which line wrote an element: the one that would write it now."""
        notes = Notes(reading, self.known)

        def walk(scopes: list[Scope], records: list[Record], name: str) -> None:
            for tie in scopes[-1].ties:
                nodes = [n for n in tie.nodes if not against(n.test, scopes)]
                now = next((n for n in nodes if writes.applies(n, records)), None)
                chosen = now or next((n for n in nodes if not n.line.one_way), None)
                if chosen is None:
                    continue
                scopes[-1].hits[chosen.n] = tie.value
                if not chosen.line.one_way:
                    notes.put(scopes, chosen.sources[0], tie.value, tie.at)
            for path, items in scopes[-1].items.items():
                for key, item in items.items():
                    found = self.item(records[-1], path, _join(name, path), key) or {}
                    walk([*scopes, item], [*records, found], f"{_join(name, path)}[]")

        walk([reading.root], [self.record], "")

    # ---- items without a key ------------------------------------------------------------

    def name_items(self, scope: Scope, record: Record, name: str) -> None:
        """Give items that came without a key the key of the one they are, or one of their own."""
        for path, items in scope.loose.items():
            field = self.fields[_join(name, path)]
            known = _at(record, path) or []
            taken = set(scope.items.get(path, {}))
            for item in items:
                key = self.met(item, known, field, taken) or _made_key(item)
                taken.add(key)
                item.values[field.key or "",] = key
                scope.list_at(path)[key] = item
        scope.loose.clear()
        for path, keyed in scope.items.items():
            list_name = _join(name, path)
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
                _settled(value, _at(one, path)) == _at(one, path)
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
            field = self.fields.get(_join(name, path))
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
                self.merge(below, item, f"{_join(name, path)}[]")

    def write(self, scope: Scope, record: Record, name: str, at: str) -> None:
        """Write evidence into a record, or into an item of one of its lists."""
        for path, value in scope.values.items():
            if path == ():
                continue
            before = _at(record, path)
            full = _join(name, path)
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
                _set(record, path, found)
        for path, value in scope.weak.items():
            if path not in scope.values and _at(record, path) != value:
                _set(record, path, value)
        for label in scope.labels:
            self.write_label(label, record)
        for path, items in scope.items.items():
            self.write_items(path, items, record, name, at)

    def write_label(self, label: Label, record: Record) -> None:
        """The words that have no code are told by their label; other text is a person's own."""
        leaf, source = label.leaf, label.leaf.sources[0]
        has = _at(record, source.path)
        words = has if isinstance(has, list) else [] if has is None else [has]
        if ", ".join(str(leaf.arg.get(w)) for w in words) == label.value:
            if leaf.text is not None:
                _drop(record, leaf.text.path)
            return
        by_label = {said: word for word, said in leaf.arg.items()}
        told = [by_label.get(part) for part in label.value.split(", ")]
        if all(told):
            _set(record, source.path, told if self.fields[source.name].many else told[0])
        elif leaf.text is not None:
            _set(record, leaf.text.path, label.value)

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
        list_name = _join(name, path)
        key_name = self.fields[list_name].key or "n"
        there = _at(record, path)
        if not isinstance(there, list):
            there = []
            if items:
                _set(record, path, there)
        for key, item in items.items():
            found = next((i for i in there if isinstance(i, dict) and i.get(key_name) == key), None)
            if found is None:
                found = {key_name: key}
                there.append(found)
            self.write(item, found, f"{list_name}[]", f"{at}.{'.'.join(path)}[]")

    def item(self, record: Record, path: Path, name: str, key: str) -> Record | None:
        """The item of a list with this key."""
        items = _at(record, path)
        for one in items if isinstance(items, list) else ():
            if isinstance(one, dict) and one.get(self.key_of(name)) == key:
                return one
        return None

    def key_of(self, name: str) -> str:
        """The field that tells the items of a list apart."""
        return self.fields[name].key or "n"  # the answers of an instrument are numbered


class _Clear:
    """Removes what the lines of one plan would write but the resource does not have."""

    def __init__(self, onto: Onto, inverses: Mapping[int, Inverse]) -> None:
        self.onto = onto
        self.inverses = inverses

    def group(
        self, group: Group, records: list[Record], read: list[Scope], said: list[Scope], at: str
    ) -> None:
        """Every element of a group."""
        for slot in group.slots:
            if not slot.element.many:
                self.single(slot, records, read, said, at)
                continue
            for node in slot.nodes:
                self.node(node, records, read, said, at)

    def single(
        self, slot: Slot, records: list[Record], read: list[Scope], said: list[Scope], at: str
    ) -> None:
        """A single element: of its lines, the first that applies is what would be written."""
        met = [v for n in slot.nodes if (v := read[-1].hits.get(n.n)) is not None]
        for node in slot.nodes:
            if not self.visible(node, records):
                continue
            if isinstance(node, Leaf) and any(self.makes(node, v, records) for v in met):
                return
            self.node(node, records, read, said, at)
            if self.visible(node, records):
                return

    def node(
        self, node: Node, records: list[Record], read: list[Scope], said: list[Scope], at: str
    ) -> None:
        """One line."""
        if not _holds(node.test, records):
            return
        if isinstance(node, Const):
            if node.n not in read[-1].hits:
                self.deny(node.test, records, said)
            return
        if isinstance(node, Group):
            self.group(node, records, read, said, at)
        elif isinstance(node, Each):
            self.each(node, records, read, said, at)
        elif node.op == "form":
            self.form(node.arg, records, read, said, at)
        elif node.op == "answers":
            self.answers(node, records, read, said, at)
        elif node.n in read[-1].hits:
            self.reword(node, read[-1].hits[node.n], records, said, at)
        elif self.visible(node, records):
            self.erase(node, records, said, at)

    def reword(
        self, leaf: Leaf, value: Any, records: list[Record], said: list[Scope], at: str
    ) -> None:
        """Words that go along with a code, where the element no longer has them."""
        text = leaf.text
        if text is None or text.path in said[text.depth].values:
            return
        has = _at(records[text.depth], text.path)
        if has is not None and isinstance(value, dict) and value.get("text") != has:
            self.remove(records[text.depth], text.path, f"{at}.{'.'.join(text.path)}")

    def each(
        self, each: Each, records: list[Record], read: list[Scope], said: list[Scope], at: str
    ) -> None:
        """A list: items that are not there go, those that are there are gone through."""
        source, depth = each.source, each.source.depth
        items = _at(records[depth], source.path)
        if not isinstance(items, list) or source.path in read[depth].partial:
            return
        where = f"{at}.{'.'.join(source.path)}"
        if source.kind != "object":
            gone = source.path not in said[depth].values and self.visible(each, records)
            if gone and not self.onto.fields[source.name].required:
                self.remove(records[depth], source.path, where)
            return
        key_name = each.line.key or ""
        found = read[depth].items.get(source.path, {})
        spoken = said[depth].items.get(source.path, {})
        kept = []
        for item in items:
            key = item.get(key_name)
            if key in found:
                below = [*records, item]
                self.inner(each.node, below, [*read, found[key]], [*said, spoken[key]], where)
            elif key not in spoken and self.item_visible(each, [*records, item]):
                self.onto.findings.append(_gone(f"{where}[]"))
                continue
            kept.append(item)
        if len(kept) < len(items):
            items[:] = kept
            if not kept:
                _drop(records[depth], source.path)

    def inner(
        self, node: Node, records: list[Record], read: list[Scope], said: list[Scope], at: str
    ) -> None:
        """What stands for an item."""
        if isinstance(node, Group):
            self.group(node, records, read, said, f"{at}[]")
        else:
            self.node(node, records, read, said, f"{at}[]")

    def form(
        self,
        asked: Sequence[Asked],
        records: list[Record],
        read: list[Scope],
        said: list[Scope],
        at: str,
    ) -> None:
        """Questions that the record answers and the response does not."""
        for one in asked:
            source = one.source
            if one.question.type == "group" and (source is None or not one.question.each):
                self.form(one.inner, records, read, said, at)
                continue
            if source is None:
                continue
            value = _at(records[source.depth], source.path)
            if value is None or value == []:
                continue
            where = f"{at}.{'.'.join(source.path)}"
            if one.question.type != "group":
                unsaid = source.path not in said[source.depth].values
                if unsaid and not self.onto.fields[source.name].required:
                    self.remove(records[source.depth], source.path, where)
                continue
            if one.key is None:
                continue
            found = read[source.depth].items.get(source.path, {})
            spoken = said[source.depth].items.get(source.path, {})
            kept = []
            for item in value:
                key = item.get(one.key.path[0])
                if key in found:
                    below = [*records, item]
                    self.form(one.inner, below, [*read, found[key]], [*said, spoken[key]], where)
                elif key not in spoken and _answered(one.inner, [*records, item]):
                    self.onto.findings.append(_gone(f"{where}[]"))
                    continue
                kept.append(item)
            if len(kept) < len(value):
                value[:] = kept
                if not kept:
                    _drop(records[source.depth], source.path)

    def answers(
        self, leaf: Leaf, records: list[Record], read: list[Scope], said: list[Scope], at: str
    ) -> None:
        """Answers of an instrument that the response does not have."""
        source = leaf.sources[1]
        items = _at(records[source.depth], source.path)
        if not isinstance(items, list):
            return
        found = read[source.depth].items.get(source.path, {})
        kept = [i for i in items if i.get("value") is None or i.get("n") in found]
        if len(kept) < len(items):
            self.onto.findings.append(_gone(f"{at}.{'.'.join(source.path)}[]"))
            items[:] = kept
            if not kept:
                _drop(records[source.depth], source.path)

    # ---- what a record would write ------------------------------------------------------

    def applies(self, leaf: Leaf, records: list[Record]) -> bool:
        """Whether a line has what it needs, one-way lines included."""
        values = [_at(records[s.depth], s.path) for s in leaf.sources]
        return _holds(leaf.test, records) and all(v is not None and v != [] for v in values)

    def visible(self, node: Node, records: list[Record]) -> bool:
        """Whether mapping the record as it is would write a node."""
        if not _holds(node.test, records):
            return False
        if isinstance(node, Const):
            return True
        if isinstance(node, Leaf):
            return self.leaf_visible(node, records)
        if isinstance(node, Each):
            items = _at(records[node.source.depth], node.source.path)
            items = items if isinstance(items, list) else []
            return any(self.item_visible(node, [*records, item]) for item in items)
        if node.line is not None and node.line.mandatory:
            return True
        moving = [n for s in node.slots for n in s.nodes if not fixed(n)]
        return any(self.visible(n, records) for n in moving)

    def item_visible(self, each: Each, records: list[Record]) -> bool:
        """Whether an item of a list would be written; ``records`` ends with it."""
        return _holds(each.test, records) and self.visible(each.node, records)

    def leaf_visible(self, leaf: Leaf, records: list[Record]) -> bool:
        """Whether a value of the record would be written."""
        if leaf.line.one_way or leaf.op in ONE_WAY or leaf.is_key:
            return False
        if leaf.op == "form":
            return _answered(leaf.arg, records)
        values = [_at(records[s.depth], s.path) for s in leaf.sources]
        if any(v is None or v == [] for v in values):
            return False
        if leaf.n in self.inverses:
            has_text = leaf.text is not None and _at(records[leaf.text.depth], leaf.text.path)
            word = values[0] if isinstance(values[0], str) else ""
            return bool(leaf.arg.get(word)) or bool(has_text)
        return True

    def makes(self, leaf: Leaf, value: Any, records: list[Record]) -> bool:
        """Whether a line would write just this value."""
        if leaf.op not in ("copy", "text", "table"):
            return False
        source = leaf.sources[0]
        has = _at(records[source.depth], source.path)
        if leaf.op == "copy":
            return bool(has == value)
        if leaf.op == "text":
            return bool(value == {"text": has})
        return isinstance(has, str) and leaf.arg.get(has) == value

    def erase(self, leaf: Leaf, records: list[Record], said: list[Scope], at: str) -> None:
        """Take away what makes a line apply: its condition, or the field that it reads."""
        if self.deny(leaf.test, records, said):
            return
        for source in (*leaf.sources, *([leaf.text] if leaf.text else [])):
            if not source.path or source.path in said[source.depth].values:
                continue
            if not self.onto.fields[source.name].required:
                self.remove(records[source.depth], source.path, f"{at}.{'.'.join(source.path)}")

    def deny(self, test: Test | None, records: list[Record], said: list[Scope]) -> bool:
        """Whether the condition of a line that did not apply could be made false."""
        if test is None or test.source.depth >= len(records):
            return False
        source, said_here = test.source, said[test.source.depth]
        if source.path in said_here.values or source.path in said_here.items:
            return False
        field = self.onto.fields[source.name]
        if test.condition.values == (True,):
            _set(records[source.depth], source.path, False)
        elif test.condition.present and not (
            field.required or field.many or field.kind == "object"
        ):
            self.remove(records[source.depth], source.path, f"$.{source.name}")
        else:
            return False
        return True

    def remove(self, record: Record, path: Path, where: str) -> None:
        """Take a field away, and say so."""
        _drop(record, path)
        self.onto.findings.append(_gone(where))


def _gone(where: str) -> Finding:
    return Finding("removed", "the resource no longer has this", where, "information")


def _answered(asked: Iterable[Asked], records: list[Record]) -> bool:
    """Whether a record answers any of these questions."""
    for one in asked:
        if one.question.type == "group" and (one.source is None or not one.question.each):
            if _answered(one.inner, records):
                return True
            continue
        if one.source is None:
            continue
        value = _at(records[one.source.depth], one.source.path)
        if value is None or value == []:
            continue
        if one.question.type != "group":
            return True
        if any(_answered(one.inner, [*records, item]) for item in value):
            return True
    return False


def _holds(test: Test | None, records: list[Record]) -> bool:
    """Whether a condition holds for a record."""
    if test is None or test.source.depth >= len(records):
        return True  # asked of each item, when the items are gone through
    value = _at(records[test.source.depth], test.source.path)
    there = value is not None and value != []
    if test.condition.present is not None:
        return there == test.condition.present
    return value in test.condition.values


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


def _settled(value: Any, before: Any) -> Any:
    return value.settled(before) if isinstance(value, Words) else value


def _made_key(item: Scope) -> str:
    """A key for an item that came without one: the same content has the same key."""
    said = sorted((".".join(path), repr(value)) for path, value in item.values.items())
    return "x" + hashlib.sha256(orjson.dumps(said)).hexdigest()[:15]


def _join(name: str, path: Path) -> str:
    return ".".join([*([name] if name else []), *path])


def _at(record: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(record, dict):
            return None
        record = record.get(step)
    return record


def _set(record: Record, path: Path, value: Any) -> None:
    for step in path[:-1]:
        inner = record.get(step)
        if not isinstance(inner, dict):
            inner = record[step] = {}
        record = inner
    record[path[-1]] = value


def _drop(record: Record, path: Path) -> None:
    """Remove a field, and the parts that have nothing left."""
    inner = record.get(path[0])
    if len(path) > 1 and isinstance(inner, dict):
        _drop(inner, path[1:])
        if not inner:
            del record[path[0]]
    else:
        record.pop(path[0], None)


def base_of(record: Record | None, type_name: str, record_id: str) -> Record:
    """A record of one's own to write on."""
    if record is not None:
        return copy.deepcopy(record)
    return {"type": type_name, "id": record_id}
