"""The page of ``map docs`` in a real browser: whole by itself, readable, fit for a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, visiting
from conftest import skip_if_absent
from playwright.sync_api import Browser
from shipped_clinic import mappings
from test_pages import ENOUGH, TEXTS, _contrast, _painted

from fhirsvc.mapping.docs_page import page

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module", name="browser")
def _browser() -> Iterator[Browser]:
    with skip_if_absent():
        started = chromium()
        opened = started.__enter__()
    try:
        yield opened
    finally:
        started.__exit__(None, None, None)


@pytest.fixture(scope="module", name="address")
def _address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page lies."""
    path: Path = tmp_path_factory.mktemp("page") / "mappings.html"
    path.write_text(page(mappings().library, "0.0"), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_asks_nobody(browser: Browser, address: str, width: int):
    """No sideways scrolling with every table open, and no request but for the page."""
    with visiting(browser, viewport={"width": width, "height": 844}) as visit:
        visit.page.goto(address)
        visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert width == visit.page.evaluate("document.documentElement.scrollWidth")
        assert [address] == visit.asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_text_can_be_read(browser: Browser, address: str, scheme: Any):
    """Contrast of WCAG AA, by day and by night."""
    with visiting(browser, color_scheme=scheme) as visit:
        visit.page.goto(address)
        visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        texts = visit.page.evaluate(TEXTS)
        assert len(texts) > 1000
        ground = (20.0, 23.0, 27.0) if scheme == "dark" else (255.0, 255.0, 255.0)
        faint = {
            (one["name"], one["color"])
            for one in texts
            if _contrast(one["color"], _painted([*one["below"], f"rgb{ground}"])) < ENOUGH
        }
        assert set() == faint


def test_the_keyboard_opens_a_table(browser: Browser, address: str):
    """The first thing reached skips to the content; a code table opens with Enter."""
    with visiting(browser) as visit:
        visit.page.goto(address)
        visit.page.keyboard.press("Tab")
        assert "#main" == visit.page.evaluate("document.activeElement.getAttribute('href')")
        visit.page.focus("#t-goal_term summary")
        visit.page.keyboard.press("Enter")
        assert visit.page.evaluate("document.getElementById('t-goal_term').open")
