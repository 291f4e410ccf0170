"""``map concept-maps``: a line each, or a file each."""

from __future__ import annotations

import orjson


def test_a_line_or_a_file_each(shell):
    """The same ConceptMaps both ways; ``validate`` has nothing against them."""
    lines = shell("map", "concept-maps").stdout
    made = {one["id"]: one for one in map(orjson.loads, lines.splitlines())}
    assert "words-goal-lifecycle" in made
    to = shell.folder / "maps"
    result = shell("map", "concept-maps", "--to", to)
    assert f"{len(made)} ConceptMaps in {to}\n" == result.stderr
    files = {path.name: orjson.loads(path.read_bytes()) for path in to.iterdir()}
    assert {f"ConceptMap-{id}.json": one for id, one in made.items()} == files
    assert shell("validate", "-", input=lines).exit_code == 0


def test_a_folder_that_cannot_be_made_is_said(shell):
    """One line, exit 2."""
    file = shell.folder / "file"
    file.write_text("", encoding="utf-8")
    result = shell("map", "concept-maps", "--to", file)
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
