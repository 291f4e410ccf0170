"""``map schema``: one printed, or all in a folder."""

from __future__ import annotations

import orjson


def test_one_is_printed(shell):
    """For people with indentation, with --json on one line; the same schema."""
    shown = shell("map", "schema", "codes")
    (line,) = shell.json("map", "schema", "codes")
    assert orjson.loads(shown.stdout) == line
    assert line["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_all_are_written(shell):
    """A file each, named as the page of editors says."""
    to = shell.folder / "made" / "here"
    assert shell("map", "schema", "--to", to).exit_code == 0
    kinds = ["codes", "instruments", "mapping", "systems"]
    assert set(kinds) <= {path.stem for path in to.iterdir()}
    assert orjson.loads((to / "mapping.json").read_bytes())["properties"]["record"]


def test_one_of_the_two_is_said(shell):
    """Neither or both is usage; a folder that cannot be made is told in one line."""
    assert shell("map", "schema").exit_code == 2
    assert shell("map", "schema", "codes", "--to", "x").exit_code == 2
    file = shell.folder / "file"
    file.write_text("", encoding="utf-8")
    result = shell("map", "schema", "--to", file)
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
