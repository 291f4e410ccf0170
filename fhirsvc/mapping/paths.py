"""Fields of a record by path: read, written, taken away."""

from __future__ import annotations

from typing import Any

Path = tuple[str, ...]
Record = dict[str, Any]


def join(name: str, path: Path) -> str:
    """The full name of a field: ``modalities[]`` and ``(kind,)`` is ``modalities[].kind``."""
    return ".".join([*([name] if name else []), *path])


def at(record: Any, path: Path) -> Any:
    """The value of a field, or None."""
    for step in path:
        if not isinstance(record, dict):
            return None
        record = record.get(step)
    return record


def put(record: Record, path: Path, value: Any) -> None:
    """Set a field, making the parts around it."""
    for step in path[:-1]:
        inner = record.get(step)
        if not isinstance(inner, dict):
            inner = record[step] = {}
        record = inner
    record[path[-1]] = value


def drop(record: Record, path: Path) -> None:
    """Remove a field, and the parts that have nothing left."""
    inner = record.get(path[0])
    if len(path) > 1 and isinstance(inner, dict):
        drop(inner, path[1:])
        if not inner:
            del record[path[0]]
    else:
        record.pop(path[0], None)
