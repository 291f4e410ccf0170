"""``map docs``: to standard output or a file."""

from __future__ import annotations


def test_the_page_goes_where_it_is_sent(shell):
    """The same text both ways."""
    shown = shell("map", "docs")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("<!doctype html>")
    to = shell.folder / "page.html"
    assert shell("map", "docs", "--to", to).exit_code == 0
    assert to.read_text(encoding="utf-8") == shown.stdout


def test_a_place_that_cannot_be_written_is_said(shell):
    """One line, exit 2."""
    result = shell("map", "docs", "--to", shell.folder / "none" / "page.html")
    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.stderr
