"""The narrative that a resource brings along, read back into rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any


class _Rows(HTMLParser):
    """Reads ``<p><b>Label:</b> words</p>``, the form in which mappings write narrative."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_label = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a row, or its label."""
        if tag == "p":
            self.rows.append(["", ""])
        self._is_label = tag == "b"

    def handle_endtag(self, tag: str) -> None:
        """End a label."""
        if tag == "b":
            self._is_label = False

    def handle_data(self, data: str) -> None:
        """Gather words."""
        if not self.rows:
            self.rows.append(["", ""])
        self.rows[-1][0 if self._is_label else 1] += data


def written(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows of a resource's own narrative: label and words."""
    text = resource.get("text")
    div = text.get("div") if isinstance(text, Mapping) else None
    if not isinstance(div, str):
        return []
    reader = _Rows()
    reader.feed(div)
    reader.close()
    return [
        (label.strip().rstrip(":") or "In words", value.strip())
        for label, value in reader.rows
        if value.strip()
    ]


def plain(texts: Sequence[str]) -> str:
    """Texts as one to search in: small letters, one space between words."""
    return re.sub(r"[\s-]+", " ", " | ".join(texts)).casefold()


def is_said(value: str, said: str) -> bool:
    """Whether every piece of a row of narrative stands on the page already."""
    return all(plain([piece]).strip() in said for piece in value.split("; ") if piece.strip())
