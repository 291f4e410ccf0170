"""The mappings and the demo's records as they come with the package.

``mappings`` and ``demo`` beside this file are links to the folders of the checkout; in a wheel they
are the folders themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from fhirsvc.errors import Category, FhirsvcError

_ENDINGS = (".yaml", ".csv")


def mappings(folder: str = "", site: str = "") -> dict[str, str]:
    """The texts of a mappings folder by relative path (``care_plan/CarePlan.yaml``).

    :param folder: a folder that stands in for the one that comes with the package; empty: that.
    :param site: a site's folder over it, its names after ``site/``; empty: none.
    :raises FhirsvcError: NOT_FOUND when there is no such folder, INVALID where a file is no UTF-8.
    """
    root: Traversable = Path(folder) if folder else files(__name__) / "mappings"
    if not root.is_dir():
        raise FhirsvcError(Category.NOT_FOUND, "no such folder of mappings", folder)
    found = {name: _text(file, name) for name, file in _walk(root) if name.endswith(_ENDINGS)}
    if not site:
        return found
    if not Path(site).is_dir():
        raise FhirsvcError(Category.NOT_FOUND, "no such folder of a site", site)
    mine = _walk(Path(site), "site/")
    return found | {name: _text(file, name) for name, file in mine if name.endswith(_ENDINGS)}


def demo() -> dict[str, bytes]:
    """The demo's records: file name (``client.ndjson``) → NDJSON."""
    root = files(__name__) / "demo"
    return {name: file.read_bytes() for name, file in _walk(root) if name.endswith(".ndjson")}


def _walk(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        name = f"{above}{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, f"{name}/")
        else:
            yield name, entry


def _text(file: Traversable, name: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FhirsvcError(Category.INVALID, "not UTF-8", name) from None
