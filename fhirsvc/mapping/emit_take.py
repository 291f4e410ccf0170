"""Plan to Python source for the way back: the fast form of ``reader``, for what mappings write.

It is over 300 lines because one writer holds the code's indentation, names and scopes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fhirsvc.fhir.instruments import VALUES
from fhirsvc.mapping.inverse import ONE_WAY, Inverse, answers_of
from fhirsvc.mapping.links import Aim
from fhirsvc.mapping.plan import Asked, Const, Each, Group, Leaf, Node, Plan, Slot, Source, Test
from fhirsvc.mapping.take import NAMESPACE, inverse_codes, inverse_rows

_TESTS = {  # by kind of field: what is wrong with a value
    "boolean": "{v}.__class__ is not bool",
    "integer": "{v}.__class__ is not int",
    "decimal": "{v}.__class__ is not int and {v}.__class__ is not float",
    "date": "{v} not in DAYS and not day_ok({v})",
    "datetime": "{v} not in MOMENTS and not moment_ok({v})",
    "id": "{v} not in HOUSE_IDS and not house_id_ok({v})",
}
_TEXT = "{v}.__class__ is not str or not {v}"
_LATE = frozenset({"answers", "form"})


class NoFastFormError(Exception):
    """A plan that the fast form cannot read; ``reader`` reads all of it."""


def told(plans: Sequence[Plan]) -> Counter[str]:
    """How many lines of a record type's plans tell of each field, and feed each list."""
    count: Counter[str] = Counter()

    def walk(node: Node) -> None:
        if isinstance(node, Group):
            for slot in node.slots:
                for child in slot.nodes:
                    walk(child)
        elif isinstance(node, Each):
            count[node.source.name] += 1
            walk(node.node)
        elif isinstance(node, Leaf) and not _silent(node):
            count.update(source.name for source in node.sources)
            if node.text is not None:
                count[node.text.name] += 1
            if node.op == "form":
                questions(node.arg)

    def questions(asked: Sequence[Asked]) -> None:
        for one in asked:
            if one.source is not None and (one.question.type != "group" or one.question.each):
                count[one.source.name] += 1
            if one.key is not None:
                count[one.key.name] += 1
            questions(one.inner)

    for plan in plans:
        if plan.each is not None:
            count[plan.each.name] += 1
        walk(plan.root)
    count["id"] += 2
    return count


def _silent(leaf: Leaf) -> bool:
    return leaf.op != "labels" and (bool(leaf.line.one_way) or leaf.op in ONE_WAY)


class Taker:
    """Writes ``take(s, r, later, known)`` for one plan."""

    def __init__(
        self,
        plan: Plan,
        inverses: Mapping[int, Inverse],
        aims: Mapping[int, Aim],
        count: Mapping[str, int],
        coded: frozenset[str],
        lists: frozenset[str],
    ) -> None:
        self.lists = lists
        self.coded = coded  # fields that a code tells, which may leave some words open
        self.plan = plan
        self.inverses = inverses
        self.aims = aims
        self.count = count
        self.text: list[str] = []
        self.indent = 0
        self.names: dict[str, Any] = dict(NAMESPACE)
        self._temps = 0
        self._rows: dict[int, str] = {}

    def function(self) -> Callable[..., None]:
        """The compiled function.

        :raises NoFastFormError: the plan has something that only the reader decides.
        """
        plan, root = self.plan, self.plan.root
        with self.under("def take(s, r, later, known):"):
            if plan.each is not None:
                self.say("i1 = {}")
            self.group(root, "s", top=True)
            if plan.each is not None:
                self.kept(plan.each, plan.file.key or "", "i1")
        code = compile("\n".join(self.text) + "\n", f"<back of {plan.file.file}>", "exec")
        exec(code, self.names)  # noqa: S102 - written from a checked plan; names and texts are quoted
        found: Callable[..., None] = self.names["take"]
        return found

    # ---- writing ------------------------------------------------------------------------

    def say(self, statement: str) -> None:
        """Add a statement."""
        self.text.append("    " * self.indent + statement)

    @contextmanager
    def under(self, head: str | None) -> Iterator[None]:
        """Statements below ``head``."""
        if head is None:
            yield
            return
        self.say(head)
        self.indent += 1
        before = len(self.text)
        yield
        if len(self.text) == before:
            self.say("pass")
        self.indent -= 1

    def temp(self, letter: str) -> str:
        """A fresh local name."""
        self._temps += 1
        return f"{letter}{self._temps}_"

    def constant(self, value: Any) -> str:
        """A name or a literal for a constant."""
        if value is None or isinstance(value, str | int | float | bool):
            return repr(value)
        name = f"k{len(self.names)}"
        self.names[name] = value
        return name

    def refuse(self, condition: str) -> None:
        """Leave the resource to the reader where ``condition`` holds."""
        self.say(f"if {condition}: raise Unusual")

    # ---- fields -------------------------------------------------------------------------

    def part(self, source: Source) -> tuple[str, str]:
        """The local name of the part that a field is in, made if need be, and the field's name."""
        scope = "r" if source.depth == 0 else f"i{source.depth}"
        for step in source.path[:-1]:
            inner = self.temp("p")
            self.say(f"{inner} = {scope}.get({step!r})")
            self.say(f"if {inner} is None: {inner} = {scope}[{step!r}] = {{}}")
            scope = inner
        return scope, source.path[-1]

    def put(self, source: Source, value: str, *, open_words: bool = False, checked: bool) -> None:
        """Set a field."""
        if source.name == "id" and source.depth == 0:
            self.refuse(f"{value} != r['id']")
            return
        if not checked:
            self.refuse(_TESTS.get(source.kind, _TEXT).format(v=value))
        if not source.path:
            if open_words:
                self.refuse(f"{value}.__class__ is Words")
            self.say(f"v{source.depth}.append({value})")
            return
        scope, name = self.part(source)
        if open_words or (self.count[source.name] > 1 and source.name in self.coded):
            self.say(f"agree({scope}, {name!r}, {value}, later)")
        elif self.count[source.name] > 1:
            before = self.temp("b")
            self.say(f"{before} = {scope}.get({name!r})")
            self.say(f"if {before} is None: {scope}[{name!r}] = {value}")
            self.say(f"elif {before} != {value}: raise Unusual")
        else:
            self.say(f"{scope}[{name!r}] = {value}")

    def look(self, source: Source) -> str:
        """What is known of a field so far."""
        scope = "r" if source.depth == 0 else f"i{source.depth}"
        for step in source.path[:-1]:
            scope = f"({scope}.get({step!r}) or EMPTY)"
        return f"{scope}.get({source.path[-1]!r})"

    def kept(self, each: Source, key: str, item: str) -> None:
        """Put an item into a list that is filled item by item."""
        scope, name = self.part(each)
        self.say(f"keep_item({scope}, {name!r}, {key!r}, {item}, later)")

    def follows(self, test: Test | None) -> None:
        """What is asked of, and follows from, the condition of a line that matched."""
        if test is None or not test.condition.values:
            return
        values = self.constant(tuple(test.condition.values))
        self.refuse(f"not may({self.look(test.source)}, {values})")
        if len(test.condition.values) == 1:
            scope = "r" if test.source.depth == 0 else f"i{test.source.depth}"
            value = self.constant(test.condition.values[0])
            self.say(f"later.append(({scope}, {test.source.path!r}, {value}))")

    # ---- groups -------------------------------------------------------------------------

    def group(self, group: Group, value: str, *, top: bool = False) -> None:
        """Every element of a dict, and no other."""
        if not top and self.plain(group, value):
            return
        n = self.temp("n")
        mapped = {slot.element.name for slot in group.slots}
        if top:
            free = [f for f in ("meta", "implicitRules", "text") if f not in mapped]
            self.say(f"{n} = 2 + {' + '.join(f'({f!r} in {value})' for f in free)}")
        else:
            self.say(f"{n} = 0")
        late = [s for s in group.slots if _asks(s)]
        for slot in [*(s for s in group.slots if s not in late), *late]:
            x = self.temp("x")
            self.say(f"{x} = {value}.get({slot.element.name!r})")
            with self.under(f"if {x} is not None:"):
                self.say(f"{n} += 1")
                self.slot(slot, x)
        if group.type != "Meta":  # a server adds to it
            self.refuse(f"len({value}) != {n}")

    def plain(self, group: Group, value: str) -> bool:
        """A group of constants and one value: all there, or it is not what a mapping wrote."""
        nodes = [(slot, slot.nodes[0]) for slot in group.slots]
        if any(len(s.nodes) > 1 or n.test is not None for s, n in nodes):
            return False
        leaves = [(s, n) for s, n in nodes if isinstance(n, Leaf)]
        consts = [(s, n) for s, n in nodes if isinstance(n, Const)]
        if len(leaves) != 1 or len(consts) + 1 != len(nodes) or group.type == "Meta":
            return False
        slot, leaf = leaves[0]
        if slot.element.many or leaf.op in _LATE or any(s.element.many for s, _ in consts):
            return False
        self.refuse(f"len({value}) != {len(nodes)}")
        for other, const in consts:
            self.refuse(f"{value}.get({other.element.name!r}) != {self.constant(const.value)}")
        x = self.temp("x")
        self.say(f"{x} = {value}[{slot.element.name!r}]")
        self.leaf(leaf, x)
        return True

    def slot(self, slot: Slot, x: str) -> None:
        """One element."""
        first = slot.nodes[0]
        if isinstance(first, Leaf) and first.op in _LATE:
            self.whole(first, x)
        elif slot.element.many:
            self.many(slot.nodes, x)
        elif len(slot.nodes) == 1:
            self.node(first, x)
        else:
            self.alternatives(slot.nodes, x)

    def alternatives(self, nodes: Sequence[Node], x: str) -> None:
        """The line of a single element that its value fits; the reader's order of evidence."""
        if all(isinstance(n, Leaf) and _silent(n) for n in nodes):
            return
        copies = [n for n in nodes if isinstance(n, Leaf) and n.op == "copy"]
        rest = [n for n in nodes if n not in copies]
        tells = [(self.tell(node, x), node) for node in rest]
        tells.sort(key=lambda one: (one[0] is None, not isinstance(one[1], Const)))
        head = "if"
        for n, (tell, node) in enumerate(tells):
            if tell is None and (n < len(tells) - 1 or copies):
                raise NoFastFormError
            with self.under(f"{head} {tell or 'True'}:"):
                self.node(node, x)
            head = "elif"
        for copy in copies:
            if copy.line.one_way and copy.sources[0].path:
                with self.under(f"{head} {self.look(copy.sources[0])} == {x}:"):
                    self.say("pass")
                head = "elif"
        for copy in copies:
            if copy.line.one_way:
                continue
            asked = copy.test if copy.test and copy.test.condition.values else None
            values = self.constant(tuple(asked.condition.values)) if asked else ""
            tell = f"may({self.look(asked.source)}, {values})" if asked else "True"
            with self.under(f"{head} {tell}:"):
                self.put(copy.sources[0], x, checked=False)
            head = "elif"
        if head == "elif":
            self.say("else: raise Unusual")

    def many(self, nodes: Sequence[Node], x: str) -> None:
        """A list, its items in the order that the lines write them."""
        self.refuse(f"{x}.__class__ is not list")
        only = nodes[0] if len(nodes) == 1 else None
        stated = [n.value for n in nodes if isinstance(n, Const) and n.test is None]
        if len(stated) == len(nodes):
            self.refuse(f"{x} != {self.constant(stated)}")
            return
        if isinstance(only, Each):
            item = self.temp("x")
            self.loop(only, f"for {item} in {x}:", item)
            return
        if only is not None:
            self.refuse(f"len({x}) != 1")
            item = self.temp("x")
            self.say(f"{item} = {x}[0]")
            self.node(only, item)
            return
        at, length, item = self.temp("a"), self.temp("m"), self.temp("x")
        self.say(f"{at} = 0; {length} = len({x})")
        tells = [self.tell(node, item) for node in nodes]
        known = [tell for tell in tells if tell is not None]
        if len(tells) - len(known) > 1:
            raise NoFastFormError
        otherwise = "not (" + " or ".join(known) + ")" if known else "True"
        for node, tell in zip(nodes, tells, strict=True):
            told_by = tell or otherwise
            if told_by.startswith(f"{item}."):
                told_by = f"({item} := {x}[{at}])" + told_by.removeprefix(item)
                read = f"{at} < {length} and {told_by}"
            else:
                read = f"{at} < {length} and (({item} := {x}[{at}]) is not None) and ({told_by})"
            if isinstance(node, Each):
                self.loop(node, f"while {read}:", item, at)
                continue
            with self.under(f"if {read}:"):
                self.say(f"{at} += 1")
                self.node(node, item)
        self.refuse(f"{at} != {length}")

    def loop(self, each: Each, head: str, x: str, at: str | None = None) -> None:
        """The items of a list of the record."""
        objects, depth = each.source.kind == "object", each.depth
        several = self.count[each.source.name] > 1
        if not objects or not several:
            self.say(f"v{depth} = []")
        with self.under(head):
            if at is not None:
                self.say(f"{at} += 1")
            if objects:
                self.say(f"i{depth} = {{}}")
            if each.test is not None:
                self.follows(each.test)
            self.node(each.node, x)
            if objects and several:
                self.kept(each.source, each.line.key or "", f"i{depth}")
            elif objects:
                self.say(f"v{depth}.append(i{depth})")
        if objects and several:
            return
        with self.under(f"if v{depth}:"):
            scope, name = self.part(each.source)
            if objects:
                key = each.line.key
                self.refuse(f"len({{z[{key!r}] for z in v{depth}}}) != len(v{depth})")
            elif several:
                self.refuse(f"{name!r} in {scope}")
            self.say(f"{scope}[{name!r}] = v{depth}")

    def node(self, node: Node, x: str) -> None:
        """One value by its line."""
        if isinstance(node, Const):
            self.refuse(f"{x} != {self.constant(node.value)}")
            self.follows(node.test)
        elif isinstance(node, Group):
            self.follows(node.test)
            self.group(node, x)
        elif isinstance(node, Each):
            raise NoFastFormError
        else:
            self.leaf(node, x)

    # ---- which line ---------------------------------------------------------------------

    def tell(self, node: Node, x: str) -> str | None:
        """An expression that says whether a value is a line's; None where nothing tells."""
        if isinstance(node, Const):
            return f"{x} == {self.constant(node.value)}"
        if isinstance(node, Each):
            return self.tell(node.node, x)
        if isinstance(node, Group):
            return self._constant_in(node, x, 3)
        if node.op == "identifier":
            return f"{x}.get('system') == {node.arg['system']!r}"
        if node.op == "reference":
            return f"{x}.get('reference', '').startswith({node.arg[0]!r})"
        if node.op in ("table", "table_text"):
            rows = self.rows(node)
            return f"{x} in {rows}" if node.element.primitive else f"known_code({rows}, {x})"
        return None

    def _constant_in(self, group: Group, x: str, deep: int) -> str | None:
        """What tells a group: its key, or else its first constant and the type it refers to."""
        for slot in group.slots:
            first = slot.nodes[0]
            if isinstance(first, Leaf) and first.is_key:
                return f"{x}.get('id', '').startswith({first.arg!r})"
        tells: dict[bool, str] = {}  # by whether it is a reference: the first of each
        for slot in group.slots:
            name, first = slot.element.name, slot.nodes[0]
            if len(slot.nodes) != 1 or slot.element.many or first.test is not None:
                continue
            if isinstance(first, Const):
                tells.setdefault(False, f"{x}.get({name!r}) == {self.constant(first.value)}")
            elif isinstance(first, Leaf) and first.op == "reference":
                reference = f"({x}.get({name!r}) or EMPTY).get('reference', '')"
                tells.setdefault(True, f"{reference}.startswith({first.arg[0]!r})")
            elif isinstance(first, Group) and deep:
                inner = self._constant_in(first, f"({x}.get({name!r}) or EMPTY)", deep - 1)
                if inner is not None:
                    tells.setdefault(False, inner)
        return " and ".join(tells.values()) or None

    # ---- leaves -------------------------------------------------------------------------

    def rows(self, leaf: Leaf) -> str:
        """The name of a line's code table, inverted."""
        if leaf.n not in self._rows:
            inverse = self.inverses[leaf.n]
            plain = leaf.element.primitive
            found: Any = inverse_codes(inverse) if plain else inverse_rows(inverse)
            self._rows[leaf.n] = self.constant(found)
        return self._rows[leaf.n]

    def leaf(self, leaf: Leaf, x: str) -> None:
        """One value of the record."""
        if _silent(leaf):
            return
        self.follows(leaf.test)
        read = getattr(self, f"_{leaf.op}", None)
        if read is None:
            raise NoFastFormError
        read(leaf, x)

    def _copy(self, leaf: Leaf, x: str) -> None:
        self.put(leaf.sources[0], x, checked=False)

    def _key(self, leaf: Leaf, x: str) -> None:
        self.refuse(f"not {x}.startswith({leaf.arg!r})")
        made = self.temp("c")
        alone = "" if len(leaf.sources) == 1 else ".partition('/')[0]"
        self.say(f"{made} = {x}[{len(leaf.arg)}:]{alone}")
        self.put(leaf.sources[0], made, checked=False)

    def _table(self, leaf: Leaf, x: str) -> None:
        made, plain = self.temp("c"), leaf.element.primitive
        rows = self.rows(leaf)
        self.say(f"{made} = {rows}[{x}]" if plain else f"{made} = coded({rows}, {x})")
        self.put(leaf.sources[0], made, open_words=self._open(leaf), checked=True)

    def _open(self, leaf: Leaf) -> bool:
        """Whether a code of the table may stand for several words."""
        rows = self.names[self.rows(leaf)]
        values = (
            rows.values() if leaf.element.primitive else (w for r in rows.values() for _, w in r)
        )
        return any(not isinstance(word, str) for word in values)

    def _table_text(self, leaf: Leaf, x: str) -> None:
        made, text = self.temp("c"), self.temp("c")
        assert leaf.text is not None  # noqa: S101 - the op is chosen because of it
        self.say(f"{made}, {text} = coded_text({self.rows(leaf)}, {x})")
        self.put(leaf.sources[0], made, open_words=self._open(leaf), checked=True)
        with self.under(f"if {text} is not None:"):
            self.put(leaf.text, text, checked=False)

    def _identifier(self, leaf: Leaf, x: str) -> None:
        for name, value in leaf.arg.items():
            self.refuse(f"{x}.get({name!r}) != {self.constant(value)}")
        self.refuse(f"len({x}) != {len(leaf.arg) + 1}")
        self.joined(leaf, f"{x}['value']")

    def _tag(self, leaf: Leaf, x: str) -> None:
        self.refuse(f"len({x}) != 2 or {x}['system'] != {leaf.arg['system']!r}")
        self.joined(leaf, f"{x}['code']")

    def joined(self, leaf: Leaf, value: str) -> None:
        """Ids joined by "/"."""
        made = [self.temp("c") for _ in leaf.sources]
        if len(made) == 1:
            self.say(f"{made[0]} = {value}")
        else:
            self.say(f"{', '.join(made)} = {value}.split('/', {len(made) - 1})")
        for source, name in zip(leaf.sources, made, strict=True):
            self.put(source, name, checked=False)

    def _reference(self, leaf: Leaf, x: str) -> None:
        made = [self.temp("c") for _ in leaf.sources]
        memory = self.constant({})
        aim = self.constant(self.aims[leaf.n])
        ids = self.temp("t")
        hit = f"{memory}.get({x}['reference']) if not known and len({x}) == 1 else None"
        self.say(f"{ids} = {hit}")
        self.say(f"if {ids} is None: {ids} = refer_back({memory}, {x}, {aim}, known)")
        self.say(f"{', '.join(made)}, = {ids}")
        for source, name in zip(leaf.sources, made, strict=True):
            self.put(source, name, checked=True)

    def _text(self, leaf: Leaf, x: str) -> None:
        self.refuse(f"len({x}) != 1")
        made = self.temp("c")
        self.say(f"{made} = {x}['text']")
        self.put(leaf.sources[0], made, checked=False)

    _annotation = _text

    def _quantity(self, leaf: Leaf, x: str) -> None:
        for name, value in leaf.arg.items():
            self.refuse(f"{x}.get({name!r}) != {value!r}")
        self.refuse(f"len({x}) != {len(leaf.arg) + 1}")
        made = self.temp("c")
        self.say(f"{made} = {x}['value']")
        self.put(leaf.sources[0], made, checked=False)

    def _time(self, leaf: Leaf, x: str) -> None:
        self.refuse(f"len({x}) != 8 or {x}[5:] != ':00'")
        made = self.temp("c")
        self.say(f"{made} = {x}[:5]")
        self.put(leaf.sources[0], made, checked=False)

    def _labels(self, leaf: Leaf, x: str) -> None:
        if leaf.sources[0].depth:
            raise NoFastFormError
        self.refuse(f"{x}.__class__ is not str")
        many = leaf.sources[0].name in self.lists
        self.say(f"later.append(({self.constant(leaf)}, {x}, {many}))")

    # ---- answers ------------------------------------------------------------------------

    def whole(self, leaf: Leaf, x: str) -> None:
        """A list of answers."""
        self.refuse(f"{x}.__class__ is not list")
        if leaf.op == "form":
            self.questions(leaf.arg, x)
            return
        links = self.constant(answers_of(leaf))
        known, found, item, n = (self.temp(c) for c in "kfxn")
        coding, options = self.temp("c"), self.temp("o")
        self.say(f"{known} = {links}[{self.look(leaf.sources[0])}]")
        self.say(f"{found} = []")
        with self.under(f"for {item} in {x}:"):
            self.refuse(f"len({item}) != 3 or len({item}['answer']) != 1")
            self.say(f"{n}, {options} = {known}[{item}['linkId']]")
            self.say(f"{coding} = {item}['answer'][0]['valueCoding']")
            value = f"{options}[{coding}['system'], {coding}['code']]"
            self.say(f"{found}.append({{'n': {n}, 'value': {value}}})")
        self.refuse(f"len({{z['n'] for z in {found}}}) != len({found})")
        with self.under(f"if {found}:"):
            scope, name = self.part(leaf.sources[1])
            self.refuse(f"{name!r} in {scope}")
            self.say(f"{scope}[{name!r}] = {found}")

    def questions(self, asked: Sequence[Asked], x: str) -> None:
        """The items of a form, in the form's order."""
        at, length, item = self.temp("a"), self.temp("m"), self.temp("x")
        self.say(f"{at} = 0; {length} = len({x})")
        for one in asked:
            link = one.question.linkId
            fits = f"{at} < {length} and ({item} := {x}[{at}])['linkId'] == {link!r}"
            group = one.question.type == "group"
            repeats = group and one.source is not None and bool(one.question.each)
            with self.under(f"while {fits}:" if repeats else f"if {fits}:"):
                self.say(f"{at} += 1")
                self.refuse(f"len({item}) != {4 if repeats else 3}")
                if not group:
                    self.answer(one, item)
                elif not repeats:
                    self.questions(one.inner, f"{item}['item']")
                else:
                    self.repeated(one, item)
        self.refuse(f"{at} != {length}")

    def repeated(self, one: Asked, item: str) -> None:
        """A group that is answered for each item of a list."""
        if one.source is None or one.key is None:
            raise NoFastFormError
        prefix, key = ".".join(one.source.path) + ".", self.temp("c")
        self.say(f"i{one.depth} = {{}}")
        self.say(f"{key} = {item}['id']")
        self.refuse(f"not {key}.startswith({prefix!r})")
        self.say(f"{key} = {key}[{len(prefix)}:]")
        self.refuse(_TESTS["id"].format(v=key))
        self.say(f"i{one.depth}[{one.key.path[0]!r}] = {key}")
        self.questions(one.inner, f"{item}['item']")
        self.kept(one.source, one.key.path[0], f"i{one.depth}")

    def answer(self, one: Asked, item: str) -> None:
        """The answer of a question."""
        if one.source is None:
            return
        answers, made = self.temp("c"), self.temp("c")
        value = VALUES[one.question.type][0]
        self.say(f"{answers} = {item}['answer']")
        words = None
        if one.values:
            said = {word.replace("_", " "): word for word in one.values}
            words = self.constant({**said, **{w: w for w in one.values}})
        if one.question.each:
            each = f"{words}[z[{value!r}]]" if words else f"z[{value!r}]"
            self.say(f"{made} = [{each} for z in {answers}]")
            scope, name = self.part(one.source)
            self.refuse(f"not {made} or {name!r} in {scope}")
            self.say(f"{scope}[{name!r}] = {made}")
            return
        self.refuse(f"len({answers}) != 1 or len({answers}[0]) != 1")
        self.say(f"{made} = {answers}[0][{value!r}]")
        if words:
            self.say(f"{made} = {words}[{made}]")
        self.put(one.source, made, checked=bool(words))


def _asks(slot: Slot) -> bool:
    """Whether a line of a slot asks for a value that another element tells."""
    return any(n.test is not None and n.test.condition.values for n in slot.nodes)
