"""The shipped mapping of care plans, goals, referrals and assessments, written by hand in Python.

``by_hand(record)`` makes what ``Mappings.forward(record)`` makes and refuses what it refuses: the
same checks of values. ``unchecked()`` gives the same mapping without any check: each call of a
check in the source is replaced by its argument, which is how it would be written without.
Code tables and instruments are the shipped data; all that is done with them is written here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hand_assessment import assessment
from hand_checks import CHECKS
from hand_goal import goal
from hand_plan import care_plan
from hand_plan_parts import plan_parts
from hand_referral import referral

Record = dict[str, Any]
TYPES = ("care_plan", "goal", "referral", "assessment")
_HERE = Path(__file__)
_PARTS = (
    "hand_checks",
    "hand_plan_words",
    "hand_support",
    "hand_activities",
    "hand_plan",
    "hand_provenance",
    "hand_team",
    "hand_plan_parts",
    "hand_goal",
    "hand_referral",
    "hand_form",
    "hand_assessment",
)


def by_hand(record: Record) -> list[Record]:
    """The resources of a record.

    :raises KeyError, TypeError, ValueError, AttributeError: a value does not fit.
    """
    kind = record["type"]
    if kind == "care_plan":
        return [care_plan(record), *plan_parts(record)]
    if kind == "goal":
        return [goal(record)]
    if kind == "referral":
        return referral(record)
    if kind == "assessment":
        return assessment(record)
    raise ValueError("type")


class _Bare(ast.NodeTransformer):
    """Calls of checks become their first argument; imports are of the parts made so."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in CHECKS:
            return node.args[0]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if (node.module or "").startswith("hand_"):
            node.module = f"bare_{node.module}"
        return node


def unchecked() -> Callable[[Record], list[Record]]:
    """``by_hand`` without checks."""
    for name in (*_PARTS, _HERE.stem):
        tree = ast.parse(_HERE.with_name(f"{name}.py").read_text())
        module = ModuleType(f"bare_{name}")
        module.__file__ = str(_HERE)
        sys.modules[module.__name__] = module
        code = compile(ast.fix_missing_locations(_Bare().visit(tree)), module.__name__, "exec")
        exec(code, module.__dict__)
    made: Callable[[Record], list[Record]] = sys.modules["bare_by_hand"].by_hand
    return made
