"""How an EHR is read: the settings of a connection's inbound side, checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fhirsvc.errors import Category, FhirsvcError

# A late commit was seen to appear 120 s after its time: the overlap covers that and some more.
OVERLAP_S = 150.0


@dataclass(frozen=True)
class Inbound:
    """How an EHR is read; ``poll_s`` 0: it is not read.

    ``overlap_s``: how far before the last reading the next begins, because EHRs show changes late.
    ``compare_s``: how often everything that is linked is compared in full. ``types``: what is read;
    empty: all that mappings read. ``new``: types of which the EHR's own become records here, for
    clients that are linked. ``by``: ``system`` reads all at once, ``patient`` one client after the
    other, for EHRs that search no other way. ``verify``: the share of our writes that is read back.
    ``subscribe``: topics or criteria that the EHR is asked to notify us of, at ``/hooks/NAME``,
    with the secret of ``hook_secret`` (``env:NAME`` or ``file:PATH``).
    """

    poll_s: float = 0.0
    overlap_s: float = OVERLAP_S
    compare_s: float = 86400.0
    types: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    by: str = "system"
    verify: float = 0.0
    subscribe: tuple[str, ...] = ()
    hook_secret: str = ""
    heartbeat_s: float = 300.0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Inbound:
        """Read the settings; INVALID names the first that is wrong."""
        known = {one.name: one for one in fields(cls)}
        found: dict[str, Any] = {}
        for name, value in given.items():
            if name not in known:
                raise _wrong(name, f"one of {', '.join(known)}")
            found[name] = _read(name, value)
        read = cls(**found)
        if read.subscribe and not read.hook_secret:
            raise _wrong("hook_secret", "env:NAME or file:PATH, where there are subscriptions")
        return read

    @property
    def is_read(self) -> bool:
        """Whether the EHR is read at all."""
        return self.poll_s > 0


def _read(name: str, value: Any) -> Any:
    if name in ("types", "new", "subscribe"):
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise _wrong(name, "a list of words")
        return tuple(value)
    if name == "by":
        if value not in ("system", "patient"):
            raise _wrong(name, "system or patient")
        return value
    if name == "hook_secret":
        if not isinstance(value, str) or value.partition(":")[0] not in ("env", "file"):
            raise _wrong(name, "env:NAME or file:PATH, never the secret itself")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise _wrong(name, "a number of seconds, 0 or more")
    if name == "verify" and value > 1:
        raise _wrong(name, "a share between 0 and 1")
    return float(value)


def _wrong(name: str, expected: str) -> FhirsvcError:
    return FhirsvcError(Category.INVALID, f"expected: {expected}", f"connection.inbound.{name}")
