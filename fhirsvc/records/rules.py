"""Rules about several fields at once: dates in order, check digits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from fhirsvc.records.kinds import reject


def in_order(data: Mapping[str, Any], *names: str) -> None:
    """Raise when a later-named date of ``data`` is before an earlier-named one.

    Days are compared as days; moments as moments, whatever their offsets.
    """
    present = [(name, data[name]) for name in names if name in data]
    for (earlier, first), (later, second) in pairwise(present):
        if _before(second, first):
            raise reject("order", f"is before {earlier}", later)


def need_episode(data: Mapping[str, Any], name: str) -> None:
    """Raise when ``data[name]`` names diagnoses but no episode says what they are."""
    if data.get(name) and "episode_id" not in data:
        raise reject("needs", f"{name} are diagnoses of an episode, which is needed", "episode_id")


def check_npi(data: Mapping[str, Any]) -> None:
    """Raise when ``data['npi']`` fails its check digit (45 CFR 162.406: Luhn over 80840 + NPI)."""
    number = data.get("npi")
    if number and not _luhn("80840" + number):
        raise reject("check-digit", "the NPI's check digit does not fit", "npi")


def _before(second: str, first: str) -> bool:
    if len(second) > 10 and len(first) > 10:
        return datetime.fromisoformat(second) < datetime.fromisoformat(first)
    return second[:10] < first[:10]


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (2 - i % 2) for i, d in enumerate(reversed(digits), start=1)]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0
