"""YAML is read in one way, whichever of the two readers reads it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from fhirsvc.mapping import source
from fhirsvc.mapping.source import Node, parse

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
TEXTS = [path.read_text(encoding="utf-8") for path in sorted(MAPPINGS.rglob("*.yaml"))]
SHORT = [text for text in TEXTS if len(text) < 1500]
SIGNS = "{}[]:,-#'\"&*!|>%@` \n?~\t\r\\\x00\x7f\x85\u2028\ufeffé😀"
MUTANTS = 1500


def _slowly(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[object, list[object]]:
    with monkeypatch.context() as patched:
        patched.setattr(source, "_read_fast", lambda _: None)
        node, findings = parse(text, "f.yaml")
    return _compared(node), list(findings)


def _compared(node: Node | None) -> object:
    """A node to compare."""
    if node is None:
        return None
    where = node.mark.line, node.mark.col
    if isinstance(node.value, dict):
        keys = {key: str(mark) for key, mark in (node.keys or {}).items()}
        return where, keys, {key: _compared(one) for key, one in node.value.items()}
    if isinstance(node.value, list):
        return where, [_compared(one) for one in node.value]
    return where, node.value


def _mutant(dice: random.Random) -> str:
    text = dice.choice(SHORT)
    for _ in range(dice.choice((1, 1, 2))):
        at, sign = dice.randrange(len(text)), dice.choice(SIGNS)
        kept = {"insert": 0, "remove": 1, "replace": 1, "cut": dice.randrange(1, 30)}
        how = dice.choice(tuple(kept))
        put = sign if how in ("insert", "replace") else ""
        text = text[:at] + put + text[at + kept[how] :]
    return text


def test_every_shipped_file_is_read_the_same_by_both(monkeypatch: pytest.MonkeyPatch):
    """Values, places and keys."""
    fast = 0
    for text in TEXTS:
        fast += source._read_fast(text) is not None
        node, findings = parse(text, "f.yaml")
        assert (_compared(node), findings) == _slowly(text, monkeypatch)
    assert not yaml.__with_libyaml__ or fast > 0.9 * len(TEXTS)


def test_broken_files_are_read_the_same_by_both(monkeypatch: pytest.MonkeyPatch):
    """What one refuses the other refuses, with the same words at the same place."""
    dice = random.Random(1)
    refused = 0
    for _ in range(MUTANTS):
        text = _mutant(dice)
        node, findings = parse(text, "f.yaml")
        assert (_compared(node), findings) == _slowly(text, monkeypatch), text
        refused += node is None
    assert refused > MUTANTS / 10
