"""Generated code for conditions: when a line, a group, a list or an item of it applies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from fhirsvc.mapping.emit_words import Words
from fhirsvc.mapping.plan import Test


class Conditions(Words):
    """Adds conditions to the values."""

    @contextmanager
    def under(self, head: str | None) -> Any:
        """Statements below ``head``; without one, at the same depth."""
        if head is None:
            yield
            return
        self.say(head)
        self.indent += 1
        yield
        self.indent -= 1

    @staticmethod
    def apart(test: Test | None, depth: int | None) -> tuple[Test | None, Test | None]:
        """The condition before a list at ``depth``, and the one asked of each of its items."""
        return (None, test) if test and test.source.depth == depth else (test, None)

    def conditioned(self, test: Test | None, body: Callable[[], None]) -> Callable[[], None]:
        """``body`` where the condition holds."""

        def run() -> None:
            with self.when(test):
                body()

        return run

    @contextmanager
    def when(self, test: Test | None) -> Any:
        """Statements that run where a condition holds."""
        if test is None:
            yield
            return
        value = self.fetch(test.source, -1, optional=True)
        condition = test.condition
        if condition.present is True:
            head = f"if {value} is not None and {value} != []:"
        elif condition.present is False:
            head = f"if {value} is None or {value} == []:"
        elif len(condition.values) == 1:
            head = f"if {value} == {condition.values[0]!r}:"
        else:
            head = f"if {value} in {condition.values!r}:"
        with self.under(head):
            yield
