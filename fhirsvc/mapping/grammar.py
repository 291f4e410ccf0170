"""The words of a mapping file and what they read as: a closed vocabulary, no expressions.

A file is shaped like the resource it makes. Each line under ``elements`` is one of

    {value: …}        a constant: written forward, compared backward
    {from: …}         a copy, or a named transform with ``as`` or a code table with ``codes``
    {each: …}         a list of the record to a repeating element, items met by ``key``
    {elements: …}     a group; a list of groups makes several items of a repeating element
    {narrative: …}    the readable text of the resource (one way)
    {form: …}         the answers of a form that ``instruments/`` describes

``mappings/README.md`` is the grammar on one page; this module is what enforces it.
It is over 300 lines because the words and the one reader that knows them belong side by side.
"""

from __future__ import annotations

from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.mapping.lines import Condition, Line, MappingFile, Overlay, did_you_mean
from fhirsvc.mapping.source import Mark, Node, parse
from fhirsvc.records.shapes import SENSITIVITIES

KINDS = ("value", "from", "each", "elements", "narrative", "form")
TRANSFORMS = (
    "identifier",
    "reference",
    "text",
    "annotation",
    "quantity",
    "tag",
    "date",
    "time",
    "end",
    "labels",
    "answers",
)
OWNERS = ("us", "ehr", "both")
US_CORE = (6, 7, 8, 9)  # the versions a mapping can run under
_FILE_KEYS = (
    "record",
    "resource",
    "version",
    "each",
    "key",
    "part",
    "when",
    "elements",
    "skipped",
    "absent",
    "sensitivity",
)
_OVERLAY_KEYS = ("extends", "version", "fields", "elements", "also", "skipped", "absent")
_COMMON = ("when", "owner", "sensitivity", "one_way")
_LEAF = ("from", "as", "codes", "to", "part", "system", "type", "use", "unit", "code", "text")
_LINE_KEYS: dict[str, tuple[str, ...]] = {
    "value": ("value", "text", *_COMMON),
    "from": (*_LEAF, *_COMMON),
    "each": ("each", "key", "elements", *_LEAF, *_COMMON),
    "elements": ("elements", "mandatory", *_COMMON),
    "narrative": ("narrative", *_COMMON),
    "form": ("form", *_COMMON),
}
_WHEN_KEYS = ("field", "is", "in", "present", "us_core")


def read(text: str, file: str) -> tuple[MappingFile | None, list[Finding]]:
    """Read one mapping file.

    :returns: the file (None when nothing useful could be read) and every finding.
    """
    root, findings = parse(text, file)
    reader = _Reader(findings)
    if root is None:
        return None, findings
    if not isinstance(root.value, dict):
        reader.add("grammar", "a mapping file is a set of keys", root.mark)
        return None, findings
    return reader.file(root, file), findings


def read_overlay(text: str, file: str) -> tuple[Overlay | None, list[Finding]]:
    """Read one overlay of a site, as ``read`` reads a mapping file."""
    root, findings = parse(text, file)
    reader = _Reader(findings)
    if root is None:
        return None, findings
    if not isinstance(root.value, dict):
        reader.add("grammar", "an overlay is a set of keys", root.mark)
        return None, findings
    return reader.overlay(root, file), findings


class _Reader:
    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    def add(self, rule: str, message: str, mark: Mark) -> None:
        self.findings.append(Finding(rule, message, str(mark)))

    def file(self, root: Node, file: str) -> MappingFile | None:
        self.unknown(root, _FILE_KEYS, "a mapping file")
        missing = [k for k in ("record", "resource", "version", "elements") if k not in root.value]
        for key in missing:
            self.add("missing-key", f"'{key}' is missing", root.mark)
        if missing:
            return None
        if "each" in root.value and "key" not in root.value:
            self.add("each-key", "'each' needs 'key': items are met by key", root.at("each"))
        return MappingFile(
            file=file,
            mark=root.mark,
            record=self.word(root, "record") or "",
            resource=self.word(root, "resource") or "",
            version=self.word(root, "version") or "",
            each=self.word(root, "each"),
            key=self.word(root, "key"),
            part=self.word(root, "part"),
            when=self.when(root.value.get("when")),
            sensitivity=self.label(root),
            lines=self.elements(root.value["elements"]),
            skipped=self.reasons(root, "skipped"),
            absent=self.reasons(root, "absent"),
            keys=root.keys or {},
        )

    def overlay(self, root: Node, file: str) -> Overlay | None:
        self.unknown(root, _OVERLAY_KEYS, "an overlay")
        missing = [k for k in ("extends", "version") if k not in root.value]
        for key in missing:
            self.add("missing-key", f"'{key}' is missing", root.mark)
        if missing:
            return None
        return Overlay(
            file=file,
            mark=root.mark,
            extends=self.word(root, "extends") or "",
            version=self.word(root, "version") or "",
            lines=self.elements(root.value["elements"]) if "elements" in root.value else (),
            also=self.elements(root.value["also"]) if "also" in root.value else (),
            fields=root.value.get("fields"),
            skipped=self.reasons(root, "skipped"),
            absent=self.reasons(root, "absent"),
            keys=root.keys or {},
        )

    def reasons(self, root: Node, key: str) -> dict[str, tuple[str, Mark]]:
        """Names, each with the reason why it is not written."""
        node = root.value.get(key)
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.add("grammar", f"'{key}' holds names and why each is {key}", node.mark)
            return {}
        found = {}
        for name, reason in node.value.items():
            mark = node.at(name)
            if not isinstance(reason.value, str) or len(reason.value) < 4:
                self.add("skip-reason", f"'{name}' is {key} without a reason", mark)
            found[name] = (str(reason.value), mark)
        return found

    def elements(self, node: Node) -> tuple[Line, ...]:
        if not isinstance(node.value, dict):
            self.add("grammar", "'elements' holds element names", node.mark)
            return ()
        lines: list[Line] = []
        for name, child in node.value.items():
            mark = node.at(name)
            path = tuple(name.split("."))
            items = child.value if isinstance(child.value, list) else [child]
            if not items:
                self.add("line-kind", "an empty list says nothing", mark)
            for item in items:
                line = self.line(item, path, mark if child is item else item.mark)
                if line is not None:
                    lines.append(line)
        return tuple(lines)

    def line(self, node: Node, path: tuple[str, ...], mark: Mark) -> Line | None:
        if not isinstance(node.value, dict):
            self.add("grammar", "a line is written {from: …}, {value: …} and so on", mark)
            return None
        kinds = [k for k in ("each", "value", "narrative", "form") if k in node.value] or [
            k for k in ("from", "elements") if k in node.value
        ]
        if len(kinds) != 1:
            said = " and ".join(kinds) if kinds else "none of them"
            self.add("line-kind", f"a line has one of {', '.join(KINDS)}; this has {said}", mark)
            return None
        kind = kinds[0]
        self.unknown(node, _LINE_KEYS[kind], f"a '{kind}' line")
        self.closed(node, "as", TRANSFORMS)
        self.closed(node, "owner", OWNERS)
        self.closed(node, "sensitivity", SENSITIVITIES)
        if kind == "each":
            if "elements" not in node.value and "from" not in node.value:
                self.add("line-kind", "'each' needs 'elements' or 'from'", mark)
                return None
            if "elements" in node.value and "key" not in node.value:
                self.add("each-key", "'each' needs 'key': items are met by key", mark)
        options = {k: node.value[k].plain() for k in _LEAF[3:-1] if k in node.value}
        return Line(
            mark=mark,
            path=path,
            kind=kind,
            value=node.value.get("value") or node.value.get("narrative"),
            source=self.sources(node),
            transform=self.word(node, "as"),
            codes=self.word(node, "codes"),
            options=options,
            text=self.word(node, "text"),
            each=self.word(node, "each"),
            key=self.word(node, "key"),
            form=self.word(node, "form"),
            children=self.elements(node.value["elements"]) if "elements" in node.value else (),
            when=self.when(node.value.get("when")),
            owner=self.word(node, "owner"),
            sensitivity=self.word(node, "sensitivity"),
            one_way=self.word(node, "one_way"),
            mandatory="mandatory" in node.value and node.value["mandatory"].value is True,
        )

    def sources(self, node: Node) -> tuple[str, ...]:
        raw = node.value.get("from")
        if raw is None:
            return ()
        items = raw.value if isinstance(raw.value, list) else [raw]
        words = tuple(str(item.value) for item in items if isinstance(item.value, str | int))
        if not words or len(words) < len(items):
            self.add("grammar", "'from' is a field or a list of fields", node.at("from"))
            return ()
        return words

    def when(self, node: Node | None) -> Condition | None:
        if node is None:
            return None
        if not isinstance(node.value, dict):
            self.add("when", "'when' is written {field: …, is: …}", node.mark)
            return None
        self.unknown(node, _WHEN_KEYS, "'when'")
        values: tuple[Any, ...] = ()
        if "is" in node.value:
            values = (node.value["is"].value,)
        elif "in" in node.value and isinstance(node.value["in"].value, list):
            values = tuple(v.value for v in node.value["in"].value)
        present = node.value["present"].value if "present" in node.value else None
        if not isinstance(present, bool | None):
            self.add("when", "'present' is true or false", node.at("present"))
            present = None
        tests = bool(values) + ("present" in node.value)
        name = self.word(node, "field")
        complete = tests == 1 if name else tests == 0 and "us_core" in node.value
        if not complete:
            self.add("when", "'field' takes one of 'is', 'in' and 'present'", node.mark)
        return Condition(node.mark, name, values, present, self.us_core(node))

    def us_core(self, node: Node) -> tuple[str, int] | None:
        if "us_core" not in node.value:
            return None
        text = str(node.value["us_core"].value)
        sign = text.rstrip("0123456789")
        if sign not in ("<", ">=", "=") or not text[len(sign) :]:
            self.add("when", '\'us_core\' is written "<9", ">=9" or "=8"', node.at("us_core"))
            return None
        version = int(text[len(sign) :])
        if version not in US_CORE:
            known = ", ".join(map(str, US_CORE))
            self.add("when", f"'us_core' names one of the versions {known}", node.at("us_core"))
        return sign, version

    def word(self, node: Node, key: str) -> str | None:
        child = node.value.get(key)
        if child is None:
            return None
        if not isinstance(child.value, str | int | float) or isinstance(child.value, bool):
            if key not in ("type",):
                self.add("grammar", f"'{key}' is a word", child.mark)
            return None
        return str(child.value)

    def label(self, root: Node) -> str | None:
        """The sensitivity of a whole file."""
        self.closed(root, "sensitivity", SENSITIVITIES)
        return self.word(root, "sensitivity")

    def closed(self, node: Node, key: str, allowed: tuple[str, ...]) -> None:
        word = self.word(node, key)
        if word is not None and word not in allowed:
            hint = did_you_mean(word, allowed) or f"; it is one of {', '.join(allowed)}"
            self.add(f"unknown-{key}", f"'{word}' is no '{key}'{hint}", node.at(key))

    def unknown(self, node: Node, allowed: tuple[str, ...], what: str) -> None:
        for key in node.value:
            if key not in allowed:
                message = f"{what} has no '{key}'{did_you_mean(key, allowed)}"
                self.add("unknown-key", message, node.at(key))
