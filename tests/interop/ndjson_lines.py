"""Teaches schemathesis to send NDJSON: what it makes up is text already."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    """The text, or whatever else it was made of, as bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
