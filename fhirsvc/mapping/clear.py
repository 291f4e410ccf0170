"""Takes from a record what its lines would write and the resources do not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.mapping import paths
from fhirsvc.mapping.inverse import Inverse
from fhirsvc.mapping.notes import Scope
from fhirsvc.mapping.plan import Asked, Const, Each, Group, Leaf, Node, Slot, Source, Test
from fhirsvc.mapping.would import Would, answered, holds
from fhirsvc.records import Field

Record = dict[str, Any]


class Clear(Would):
    """Removes what the lines of one plan would write but the resource does not have."""

    def __init__(
        self,
        fields: Mapping[str, Field],
        inverses: Mapping[int, Inverse],
        findings: list[Finding],
    ) -> None:
        super().__init__(inverses)
        self.fields = fields
        self.findings = findings

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
        if not holds(node.test, records):
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
        has = paths.at(records[text.depth], text.path)
        if has is not None and isinstance(value, dict) and value.get("text") != has:
            self.remove(records[text.depth], text.path, f"{at}.{'.'.join(text.path)}")

    def each(
        self, each: Each, records: list[Record], read: list[Scope], said: list[Scope], at: str
    ) -> None:
        """A list: items that are not there go, those that are there are gone through."""
        source, depth = each.source, each.source.depth
        items = paths.at(records[depth], source.path)
        if not isinstance(items, list) or source.path in read[depth].partial:
            return
        where = f"{at}.{'.'.join(source.path)}"
        if source.kind != "object":
            absent = source.path not in said[depth].values and self.visible(each, records)
            if absent and not self.fields[source.name].required:
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
                self.findings.append(gone(f"{where}[]"))
                continue
            kept.append(item)
        if len(kept) < len(items):
            items[:] = kept
            if not kept:
                paths.drop(records[depth], source.path)

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
            value = paths.at(records[source.depth], source.path)
            if value is None or value == []:
                continue
            where = f"{at}.{'.'.join(source.path)}"
            if one.question.type != "group":
                unsaid = source.path not in said[source.depth].values
                if unsaid and not self.fields[source.name].required:
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
                elif key not in spoken and answered(one.inner, [*records, item]):
                    self.findings.append(gone(f"{where}[]"))
                    continue
                kept.append(item)
            if len(kept) < len(value):
                value[:] = kept
                if not kept:
                    paths.drop(records[source.depth], source.path)

    def answers(
        self, leaf: Leaf, records: list[Record], read: list[Scope], said: list[Scope], at: str
    ) -> None:
        """Answers of an instrument that the response does not have."""
        source = leaf.sources[1]
        items = paths.at(records[source.depth], source.path)
        if not isinstance(items, list):
            return
        found = read[source.depth].items.get(source.path, {})
        kept = [i for i in items if i.get("value") is None or i.get("n") in found]
        if len(kept) < len(items):
            self.findings.append(gone(f"{at}.{'.'.join(source.path)}[]"))
            items[:] = kept
            if not kept:
                paths.drop(records[source.depth], source.path)

    def erase(self, leaf: Leaf, records: list[Record], said: list[Scope], at: str) -> None:
        """Take away what makes a line apply: its condition, or the field that it reads."""
        if self.deny(leaf.test, records, said):
            return
        for source in (*leaf.sources, *([leaf.text] if leaf.text else [])):
            if not source.path or source.path in said[source.depth].values:
                continue
            path = self.optional(source, said[source.depth])
            if path:
                self.remove(records[source.depth], path, f"{at}.{'.'.join(path)}")

    def optional(self, source: Source, said: Scope) -> paths.Path:
        """The field, or the part around it that may go, where the field itself must be; or ()."""
        path, name = source.path, source.name
        while path and self.fields[name].required:
            path, name = path[:-1], name.rpartition(".")[0]
        spoken = [*said.values, *said.items]
        return () if any(one[: len(path)] == path for one in spoken) else path

    def deny(self, test: Test | None, records: list[Record], said: list[Scope]) -> bool:
        """Whether the condition of a line that did not apply could be made false."""
        if test is None or test.source.depth >= len(records):
            return False
        source, said_here = test.source, said[test.source.depth]
        if source.path in said_here.values or source.path in said_here.items:
            return False
        field = self.fields[source.name]
        if test.condition.values == (True,):
            paths.put(records[source.depth], source.path, False)
        elif (test.condition.present or test.condition.values) and not (
            field.required or field.many or field.kind == "object"
        ):
            self.remove(records[source.depth], source.path, f"$.{source.name}")
        else:
            return False
        return True

    def remove(self, record: Record, path: paths.Path, where: str) -> None:
        """Take a field away, and say so."""
        paths.drop(record, path)
        self.findings.append(gone(where))


def gone(where: str) -> Finding:
    """That a field was taken away."""
    return Finding("removed", "the resource no longer has this", where, "information")
