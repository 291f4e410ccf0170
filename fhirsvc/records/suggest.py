"""“Did you mean …?”: the nearest right word for a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``right``, or nothing.

    Only words of ``right`` appear in the answer: what was written may be a record's value.
    """
    words = {word.casefold(): word for word in right}
    near = get_close_matches(wrong[:100].casefold(), words, n=1, cutoff=0.6)
    return f"; did you mean '{words[near[0]]}'?" if near else ""
