"""Generated code for elements with elements: groups, lists, conditions, invariants."""

from __future__ import annotations

from collections.abc import Callable

from fhirsvc.fhir.invariants import Invariant
from fhirsvc.mapping.emit_when import Conditions
from fhirsvc.mapping.ops import LIST_OPS
from fhirsvc.mapping.plan import (
    Const,
    Each,
    Group,
    Leaf,
    Node,
    Slot,
    Source,
    constant_of,
    fixed,
    sources,
)
from fhirsvc.mapping.proof import open_rules

Put = Callable[[str], str]


class Groups(Conditions):
    """Adds groups and lists to the values."""

    def __init__(self, trace: bool, notes: bool) -> None:
        super().__init__(trace, notes)
        self.plain = False  # whether a check looks into constants

    # ---- groups -------------------------------------------------------------------------

    def group(self, group: Group, where: str, first: list[str]) -> str:
        """A group that exists whenever its scope does; returns the expression for it."""
        literal, later = list(first), []
        for slot in group.slots:
            if self.settled(slot):
                literal.append(f'"{slot.element.name}": {self.slot_value(slot, where)}')
            else:
                later.append(slot)
        rules = open_rules(group)
        if not later and not rules:
            return "{" + ", ".join(literal) + "}"
        name = self.temp("g")
        self.say(f"{name} = {{{', '.join(literal)}}}")
        for slot in later:
            self.slot(slot, name, where)
        self.hold(rules, group, name)
        return name

    def maybe(self, group: Group, where: str, put: Put) -> None:
        """A group that exists when something of the record is in it."""
        part = None if self.trace else self.part_of(sources(group))
        with self.under(f"if {part} is not EMPTY:" if part else None):
            self._maybe(group, where, put)

    def _maybe(self, group: Group, where: str, put: Put) -> None:
        if self._single(group, where, put):
            return
        name = self.temp("g")
        still = [s for s in group.slots if all(fixed(n) for n in s.nodes)]
        settled = [s for s in still if self.settled(s)]
        begun = self._begun(settled, where)
        self.say(f"{name} = {{{', '.join(begun)}}}")
        rest = []  # a constant that stands in for a missing value does not make the group
        for slot in group.slots:
            moving = tuple(n for n in slot.nodes if not fixed(n))
            if len(moving) < len(slot.nodes) and moving and not slot.element.many:
                self.slot(Slot(slot.element, moving), name, where)
                rest.append(Slot(slot.element, tuple(n for n in slot.nodes if fixed(n))))
            elif slot not in still:
                self.slot(slot, name, where)
        with self.under(f"if len({name}) > {len(begun)}:" if begun else f"if {name}:"):
            for slot in rest:
                with self.under(f'if "{slot.element.name}" not in {name}:'):
                    self.slot(slot, name, where)
            if settled and not begun:
                parts = [f'"{s.element.name}": {self.slot_value(s, where)}' for s in settled]
                self.say(f"{name} = {{{', '.join(parts)}, **{name}}}")
            for slot in still:
                if slot not in settled:
                    self.slot(slot, name, where)
            self.hold(open_rules(group, filled=True), group, name)
            self.say(put(name))

    def _begun(self, settled: list[Slot], where: str) -> list[str]:
        """The constants that a group begins with; where origins are noted, they come last."""
        if self.notes:
            return []
        return [f'"{s.element.name}": {self.slot_value(s, where)}' for s in settled]

    def _single(self, group: Group, where: str, put: Put) -> bool:
        """A group with one value from the record and constants: a literal, once it is there."""
        moving = [s for s in group.slots if not all(fixed(n) for n in s.nodes)]
        still = [s for s in group.slots if s not in moving]
        if len(moving) != 1 or len(moving[0].nodes) != 1 or not all(map(self.settled, still)):
            return False
        if open_rules(group, filled=True):  # they are asked of the whole group
            return False
        node, element = moving[0].nodes[0], moving[0].element
        if isinstance(node, Each) or (isinstance(node, Leaf) and node.op in LIST_OPS):
            return False
        index = "[0]" if element.many else ""

        def whole(value: str) -> str:
            parts = [f'"{s.element.name}": {self.slot_value(s, where)}' for s in still]
            value = f"[{value}]" if element.many else value
            parts.append(f'"{element.name}": {value}')
            return put("{" + ", ".join(parts) + "}")

        self.node(node, f"{where}.{element.name}{index}", whole)
        return True

    def hold(self, rules: list[Invariant], group: Group, name: str) -> None:
        """Refuse a group that breaks an invariant its lines could not rule out."""
        for rule in rules:
            if rule.broken:
                broken = rule.broken.format(o=name)
            else:  # it looks into values, which must then be values and not text
                self.plain = True
                broken = f"not {self.constant(rule.ok, ready=False)}({name})"
            guard = "".join(f'"{need}" in {name} and ' for need in sorted(rule.needs))
            node = group.slots[-1].nodes[-1]
            source = next(iter(sources(node)), None)
            self.say(f"if {guard}{broken}:")
            self.say(f"    {self.fault(max(node.n, 0), source, f'{rule.text} ({rule.key})')}")

    # ---- slots --------------------------------------------------------------------------

    @staticmethod
    def settled(slot: Slot) -> bool:
        """Whether its value is there in every valid record, so that it joins the literal."""
        nodes = slot.nodes
        if len(nodes) > 1 and not slot.element.many:
            return False
        return any(n.always for n in nodes) and not any(isinstance(n, Each) for n in nodes)

    def slot_value(self, slot: Slot, where: str) -> str:
        """The expression of a settled slot."""
        path = f"{where}.{slot.element.name}"
        if not slot.element.many:
            return self.value(slot.nodes[0], path)
        if isinstance(slot.nodes[0], Leaf) and slot.nodes[0].op in LIST_OPS:
            return self.value(slot.nodes[0], path)
        stated = all(fixed(n) and n.always and not isinstance(n, Leaf) for n in slot.nodes)
        if stated and not self.notes:
            return self.constant([constant_of(n) for n in slot.nodes])
        if all(n.always for n in slot.nodes):
            values = [self.value(n, f"{path}[{i}]") for i, n in enumerate(slot.nodes)]
            return "[" + ", ".join(values) + "]"
        return self.items(slot, path)

    def slot(self, slot: Slot, into: str, where: str) -> None:
        """Fill an element that may be absent."""
        path = f"{where}.{slot.element.name}"
        target = f'{into}["{slot.element.name}"]'
        only = slot.nodes[0] if len(slot.nodes) == 1 else None
        if not slot.element.many or (isinstance(only, Leaf) and only.op in LIST_OPS):
            for i, node in enumerate(slot.nodes):  # of several lines the first that applies
                unless = f'if "{slot.element.name}" not in {into}:' if i else None
                with self.under(unless):
                    self.node(node, path, lambda e: f"{target} = {e}")
            return
        if only is not None and not isinstance(only, Each):
            self.node(only, f"{path}[0]", lambda e: f"{target} = [{e}]")
            return
        name = self.items(slot, path)
        self.say(f"if {name}: {target} = {name}")

    def items(self, slot: Slot, path: str) -> str:
        """The items of a repeating element, in the order of the file's lines."""
        name = self.temp("L")
        self.say(f"{name} = []")
        for node in slot.nodes:
            self.node(node, f"{path}[{{len({name})}}]", lambda e: f"{name}.append({e})")
        return name

    # ---- nodes --------------------------------------------------------------------------

    def value(self, node: Node, path: str) -> str:
        """The expression of a node that is always there."""
        if isinstance(node, Const):
            self.explain(path, None, node.n)
            return self.constant(node.value)
        if isinstance(node, Leaf):
            return self.leaf_value(node, path)
        assert isinstance(node, Group)  # noqa: S101 - an Each is never settled
        if node.constant and not self.notes:
            return self.constant(constant_of(node))
        return self.group(node, path, [])

    def node(self, node: Node, path: str, put: Put) -> None:
        """A node that may be absent; ``put`` says what becomes of its value."""
        depth = node.depth if isinstance(node, Each) else None
        outer, own = self.apart(node.test, depth)
        with self.when(outer):
            if isinstance(node, Each):
                if own is None and not (self.trace or self.notes) and self._references(node, put):
                    return
                items = self.fetch(node.source, node.n)
                with self.under(f"if {items}:"):
                    inner = node.node
                    self.loop(
                        node.source,
                        items,
                        node.depth,
                        node.n,
                        self.conditioned(own, lambda: self.node(inner, path, put)),
                        read=list(sources(inner)),
                    )
            elif isinstance(node, Leaf):
                self.leaf(node, path, put)
            elif isinstance(node, Group) and not (node.always or _always_inside(node)):
                self.maybe(node, path, put)
            elif isinstance(node, Group) and not any(map(self.settled, node.slots)):
                made = self.group(node, path, [])  # kept for its constants, if one applies
                self.say(f"if {made}: {put(made)}")
            else:
                self.say(put(self.value(node, path)))

    def _references(self, each: Each, put: Put) -> bool:
        """A list of ids to references, in one comprehension."""
        leaf = each.node
        if not isinstance(leaf, Leaf) or leaf.op != "reference" or leaf.test is not None:
            return False
        if len(leaf.sources) != 1 or leaf.sources[0].path or leaf.arg[2]:
            return False
        if not put("").endswith(".append()"):
            return False
        items = self.fetch(each.source, each.n)
        with self.under(f"if {items}:"):
            self.say(f"if {items}.__class__ is not list: raise Fault({each.n})")
            made = f"[{self.reference(leaf.arg[0] + leaf.arg[1], 'x')} for x in {items}]"
            self.say(put(made).replace(".append(", ".extend("))
        return True

    def loop(
        self,
        source: Source,
        items: str,
        depth: int,
        n: int,
        body: Callable[[], None],
        *,
        read: list[Source],
    ) -> None:
        """Walk a list of the record."""
        with self.under(f"if {items}.__class__ is not list:"):
            self.say(self.fault(n, source, "expected a list"))
        item = f"i{depth}"
        if not (self.trace or self.notes):
            with self.under(f"for {item} in {items}:"):
                self.parts(depth, read)
                body()
            self.forget(depth)
            return
        self.enter(source, depth)
        with self.under(f"for n{depth}, {item} in enumerate({items}):"):
            if self.trace and source.kind == "object":
                with self.under(f"if {item}.__class__ is not dict:"):
                    at = self.record_path(Source(depth, (), source.name, "", True))
                    self.say(f"raise Fault({n}, {at}, 'expected an object')")
            self.parts(depth, read)
            body()
        self.leave()
        self.forget(depth)


def _always_inside(group: Group) -> bool:
    """Whether the group is there once its own condition holds."""
    bare = Group(group.line, group.n, group.type, group.slots)
    return bare.always
