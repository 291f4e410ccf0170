"""The items of a QuestionnaireResponse read back: an instrument's answers, a form's questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhirsvc.fhir.instruments import VALUES
from fhirsvc.mapping.inverse import Unread, answers_of, coding_key, instrument_of, number, words_of
from fhirsvc.mapping.notes import Address, Scope
from fhirsvc.mapping.plan import Asked, Leaf
from fhirsvc.mapping.read_leaf import Leaves


class Items(Leaves):
    """Adds whole lists of answers to the single values."""

    def items_of(
        self, leaf: Leaf, items: list[Any], at: str, address: Address, scopes: list[Scope]
    ) -> None:
        """The items of a QuestionnaireResponse: of an instrument, or of a form."""
        if leaf.op == "form":
            self._questions(leaf, leaf.arg, items, at, address, scopes)
        else:
            self._answers(leaf, items, at, address, scopes)

    def _answers(
        self, leaf: Leaf, items: list[Any], at: str, address: Address, scopes: list[Scope]
    ) -> None:
        instrument, answers = leaf.sources
        name = scopes[instrument.depth].values.get(instrument.path)
        if not isinstance(name, str):
            name = instrument_of(leaf, items)
            if name is not None:
                self.notes.put(scopes, instrument, name, at)
        links = answers_of(leaf).get(str(name))
        if links is None:
            self.notes.find("unknown-instrument", "whose answers these are is not known", at)
            return
        owner = scopes[answers.depth]
        owner.hits[leaf.n] = items
        for i, item in enumerate(items):
            place = f"{at}[{i}]"
            inner = item.get("item") if isinstance(item, dict) else None
            if isinstance(inner, list) and "answer" not in item:
                self._answers(leaf, inner, f"{place}.item", address, scopes)
                continue
            known = links.get(_link(item))
            if known is None:
                self.notes.leave(address, "item", item, place, item=True)
                continue
            value = _answered(item, known[1])
            if value is None:
                self.notes.find("unknown-answer", "this is none of the item's answers", place)
                continue
            self.place(item, place, (*address, ("item", leaf.n, _link(item))))
            self.reading.carried += 1
            scope = owner.list_at(answers.path).setdefault(known[0], Scope())
            scope.values["n",], scope.values["value",] = known[0], value

    def place(self, item: dict[str, Any], at: str, address: Address) -> None:
        """Where an item is, and what of it no line reads."""
        self.reading.places[address] = item
        for name, raw in item.items():
            if name not in _ITEM:
                self.notes.leave(address, name, raw, f"{at}.{name}")

    def _questions(
        self,
        leaf: Leaf,
        asked: Sequence[Asked],
        items: list[Any],
        at: str,
        address: Address,
        scopes: list[Scope],
    ) -> None:
        by_link = {one.question.linkId: one for one in asked}
        for i, item in enumerate(items):
            place = f"{at}[{i}]"
            one = by_link.get(_link(item))
            if one is None:
                self.notes.leave(address, "item", item, place, item=True)
                continue
            scopes[-1].asked.add(one.question.linkId)
            inner = item.get("item")
            inner = inner if isinstance(inner, list) else []
            step = ("item", leaf.n, f"{one.question.linkId}#{item.get('id', '')}")
            self.place(item, place, (*address, step))
            if one.question.type != "group":
                self._answer(one, item, place, scopes)
            elif one.source is None or not one.question.each:
                self._questions(leaf, one.inner, inner, f"{place}.item", (*address, step), scopes)
            else:
                below = [*scopes, Scope()]
                owner = scopes[one.source.depth]
                prefix = ".".join(one.source.path) + "."
                name = item.get("id")
                if one.key is not None and isinstance(name, str) and name.startswith(prefix):
                    below[-1].values[one.key.path] = name[len(prefix) :]
                self._questions(leaf, one.inner, inner, f"{place}.item", (*address, step), below)
                if one.key is not None:
                    _keep_item(owner, one.source.path, one.key.path, below[-1])

    def _answer(self, one: Asked, item: dict[str, Any], at: str, scopes: list[Scope]) -> None:
        source, key = one.source, VALUES[one.question.type][0]
        answers = item.get("answer")
        if source is None or not isinstance(answers, list) or not answers:
            return
        found = []
        for i, answer in enumerate(answers):
            try:
                found.append(self._said(one, answer, key))
            except Unread as problem:
                self.notes.unread(problem, f"{at}.answer[{i}]")
        if not found:
            return
        self.reading.carried += 1
        if one.question.each:
            scopes[source.depth].values[source.path] = found
        else:
            self.notes.put(scopes, source, found[0], at)

    @staticmethod
    def _said(one: Asked, answer: Any, key: str) -> Any:
        """The value of an answer; a coded one is read by its words."""
        if not isinstance(answer, dict):
            raise Unread("type", "expected an answer")
        value = answer.get(key)
        if value is None and key == "valueString" and "valueCoding" in answer:
            value = words_of({"coding": [answer["valueCoding"]]})
        if value is None:
            raise Unread("type", f"expected an answer with {key}")
        if one.values and isinstance(value, str):
            word = value.replace(" ", "_")
            if word not in one.values:
                raise Unread("enum-value", "this is none of the answers that the field may have")
            return word
        return value


def _keep_item(owner: Scope, path: tuple[str, ...], key: tuple[str, ...], item: Scope) -> None:
    name = item.values.get(key)
    if name is None:
        owner.loose.setdefault(path, []).append(item)
    else:
        owner.list_at(path)[name] = item


def _link(item: Any) -> str:
    return str(item.get("linkId")) if isinstance(item, dict) else ""


def _answered(item: Mapping[str, Any], options: Mapping[object, int]) -> int | None:
    """The value of the first answer: a coding that is an option, or the number itself."""
    answers = item.get("answer")
    answer = answers[0] if isinstance(answers, list) and answers else None
    if not isinstance(answer, dict):
        return None
    coding = answer.get("valueCoding")
    if coding is not None:
        return options.get(coding_key(coding, {}))
    try:
        value = number(next((answer[k] for k in _NUMERIC if k in answer), None))
    except Unread:
        return None
    return int(value) if value in options.values() else None


_ITEM = frozenset({"id", "linkId", "definition", "text", "answer", "item"})
_NUMERIC = ("valueInteger", "valueDecimal", "valueQuantity", "valueString")
