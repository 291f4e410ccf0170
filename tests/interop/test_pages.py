"""The console in a real browser: what a person sees, reaches and follows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Visit, chromium, visiting
from child import wait_until
from conftest import skip_if_absent
from java_build import LOGS
from playwright.sync_api import Browser

pytestmark = pytest.mark.interop

RECORDS = ("client/client-01", "care_plan/plan-01", "assessment/assessment-01-intake")
ENOUGH = 4.5  # https://www.w3.org/TR/WCAG22/#contrast-minimum

# Each element that holds text itself, with its colour and what is painted below it.
TEXTS = """() => [...document.querySelectorAll('body *')].filter(one =>
  [...one.childNodes].some(n => n.nodeType === 3 && n.data.trim())
  && one.checkVisibility() && !one.closest('.hidden, .skip')
).map(one => {
  const below = [];
  for (let at = one; at; at = at.parentElement) below.push(getComputedStyle(at).backgroundColor);
  return {text: one.textContent.trim().slice(0, 30), name: one.tagName + '.' + one.className,
          color: getComputedStyle(one).color, below};
})"""


@pytest.fixture(scope="module", name="browser")
def _browser() -> Iterator[Browser]:
    with skip_if_absent():
        started = chromium()
        opened = started.__enter__()
    try:
        yield opened
    finally:
        started.__exit__(None, None, None)


@pytest.fixture(scope="module", name="demo")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the demo's console: a process of its own, ended as by Ctrl-C."""
    folder = tmp_path_factory.mktemp("demo")
    said = folder / "said"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIRSVC_")}
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhirsvc.cli", "demo", "--json", "--port", "8199"],
            cwd=folder,
            env={**kept, "TMPDIR": str(folder)},
            stderr=out,
            stdout=subprocess.DEVNULL,
        )

    def told() -> re.Match[str] | None:
        assert process.poll() is None, said.read_text()
        return re.search(r"http://127\.0\.0\.1:\d+", said.read_text())

    try:
        wait_until(lambda: told() is not None, "the demo says no address", 180)
        address = told()
        assert address is not None
        yield address[0]
        process.send_signal(2)
        assert process.wait(60) == 0
        assert "Traceback" not in said.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(name="addresses")
def _addresses(demo: str, browser: Browser) -> list[str]:
    """Every kind of page, the last one a delivery's history."""
    with visiting(browser) as visit:
        visit.page.goto(f"{demo}/deliveries")
        delivery = visit.page.locator("tbody td a").first.get_attribute("href")
    pages = ["/", "/deliveries", "/?find=goal", *(f"/records/{one}" for one in RECORDS)]
    return [f"{demo}{path}" for path in [*pages, delivery]]


def _see(visit: Visit, address: str) -> None:
    answer = visit.page.goto(address)
    assert answer is not None
    assert answer.status == 200, address
    assert visit.page.locator("main").inner_text().strip()


@pytest.mark.parametrize("javascript", [True, False])
def test_every_page_is_whole_and_asks_nobody_else(
    browser: Browser, addresses: list[str], javascript: bool
) -> None:
    """Pages and all they need are there, nothing complains, with JavaScript and without."""
    with visiting(browser, java_script_enabled=javascript) as visit:
        for address in addresses:
            _see(visit, address)
            visit.page.wait_for_load_state("networkidle")  # the icon comes after the page
        assert visit.complaints == []
        assert {status for status, _ in visit.answered} <= {200, 304}  # 304: the style, again
        assert visit.hosts == {"127.0.0.1"}
        assert any(url.endswith("console.css") for url in visit.asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(browser: Browser, addresses: list[str], scheme: Any) -> None:
    """Every text has a contrast of 4.5:1 to what is painted below it, in both schemes."""
    papers = set()
    with visiting(browser, color_scheme=scheme) as visit:
        for number, address in enumerate(addresses):
            _see(visit, address)
            visit.page.screenshot(path=_picture(f"{number}-{scheme}"), full_page=False)
            texts = visit.page.evaluate(TEXTS)
            assert len(texts) > 10, address
            papers.add(texts[0]["below"][-2])
            weak = [
                (one["name"], one["text"], round(found, 2))
                for one in texts
                if (found := _contrast(one["color"], _painted(one["below"]))) < ENOUGH
            ]
            assert weak == [], address
        chips = visit.page.locator(".chip").count()
    assert chips > 1
    (paper,) = papers
    assert (_light(_rgb(paper)[:3]) > 0.5) == (scheme == "light")


def test_colours_of_every_state_can_be_read(browser: Browser, demo: str) -> None:
    """The chips of states that the demo does not end in, too."""
    states = ["pending", "sending", "held", "dead", "superseded", "paused", "active"]
    for scheme in ("light", "dark"):
        with visiting(browser, color_scheme=scheme) as visit:
            _see(visit, demo)
            for state in states:
                look = visit.page.locator(".chip").first.evaluate(
                    "(one, state) => { one.className = 'chip ' + state; "
                    "const s = getComputedStyle(one); return [s.color, s.backgroundColor] }",
                    state,
                )
                assert _contrast(look[0], _rgb(look[1])[:3]) >= ENOUGH, (scheme, state)


def test_the_keyboard_reaches_everything(browser: Browser, demo: str) -> None:
    """Tab goes through the skip link, every link and the search; what has it can be seen to."""
    with visiting(browser) as visit:
        _see(visit, demo)
        reached = _tab_through(visit)
        assert reached[0] == "Skip to content"
        assert "find" in reached
        links = visit.page.locator("a[href]").all_inner_texts()
        assert len(links) > 40
        assert {one.strip() for one in links} <= set(reached)


def _tab_through(visit: Visit) -> list[str]:
    """The id or text of each element that Tab reaches, until it starts again."""
    reached: list[str] = []
    for _ in range(400):
        visit.page.keyboard.press("Tab")
        one = visit.page.evaluate(
            "(() => { const a = document.activeElement, s = getComputedStyle(a); "
            "return [a.id || a.innerText.trim(), a.tagName, s.outlineStyle, s.outlineWidth] })()"
        )
        if one[1] == "BODY":
            return reached
        assert (one[2], one[3]) == ("solid", "3px"), f"focus on {one[0]} cannot be seen"
        reached.append(one[0])
    raise AssertionError("Tab never comes round")


def test_a_record_is_found_by_typing(browser: Browser, demo: str) -> None:
    """An id and Enter lead to its page; the beginning of one to those that begin so."""
    with visiting(browser, java_script_enabled=False) as visit:
        _see(visit, demo)
        visit.page.locator("#find").press_sequentially("client-01")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_url("**/records/client/client-01")
        visit.page.locator("#find").fill("plan-")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_url("**/?find=plan-")
        assert visit.page.locator(".found a").count() == 13


@pytest.mark.parametrize("record", RECORDS)
def test_each_element_leads_to_its_origin(browser: Browser, demo: str, record: str) -> None:
    """Every row names a line of a mapping; its field's link ends at that field in the record."""
    with visiting(browser) as visit:
        _see(visit, f"{demo}/records/{record}")
        rows = visit.page.evaluate(
            """() => [...document.querySelectorAll('.elements tbody tr')].map(row => {
              const link = row.querySelector('.origin a');
              const line = link && document.querySelector(link.getAttribute('href'));
              return {place: row.querySelector('.place').innerText, field: link && link.innerText,
                      origin: row.querySelector('.origin').innerText, line: line && line.innerText};
            })"""
        )
        assert len(rows) > 20
        for row in rows:
            assert re.match(r"[\w/.-]+\.yaml:\d+:\d+ v\d", row["place"]), row
            assert (
                row["field"]
                or "the same for every record" in row["origin"]
                or ("the whole record" in row["origin"] or row["origin"].startswith("$"))
            ), row
        linked = [row for row in rows if row["field"]]
        assert len(linked) > len(rows) / 3
        for row in linked:
            name = re.findall(r"\.(\w+)$", row["field"])
            assert row["line"], row
            assert not name or row["line"].lstrip().startswith(f'"{name[0]}"'), row
        visit.page.locator(".elements .origin a").last.click()
        target = visit.page.locator(".json li:target")
        assert target.count() == 1
        assert _in_view(visit, ".json li:target")
        visit.page.locator(".json a.to").first.click()
        assert visit.page.locator(".elements tr:target").count() == 1
        assert visit.complaints == []


def _in_view(visit: Visit, selector: str) -> bool:
    wait_until(
        lambda: bool(
            visit.page.evaluate(
                "s => { const r = document.querySelector(s).getBoundingClientRect(); "
                "return r.top >= 0 && r.bottom <= innerHeight }",
                selector,
            )
        ),
        f"{selector} does not come into view",
        5,
    )
    return True


def test_pages_fit_a_phone(browser: Browser, addresses: list[str]) -> None:
    """Nothing is wider than 360 pixels but tables, which scroll by themselves."""
    with visiting(browser, viewport={"width": 360, "height": 740}) as visit:
        for number, address in enumerate(addresses):
            _see(visit, address)
            visit.page.screenshot(path=_picture(f"{number}-phone"))
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360, address


def _picture(name: str) -> Path:
    folder = LOGS.parent / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"


def _rgb(css: str) -> tuple[float, ...]:
    """Red, green, blue (0 to 255) and alpha of ``rgb(…)`` or ``rgba(…)``."""
    numbers = [float(one) for one in re.findall(r"[\d.]+", css)]
    return (*numbers[:3], numbers[3] if len(numbers) > 3 else 1.0)


def _painted(below: list[str]) -> tuple[float, ...]:
    """The first opaque colour, the element's own first; white below all."""
    opaque = [css for css in below if _rgb(css)[3] == 1.0]
    return _rgb([*opaque, "rgb(255, 255, 255)"][0])[:3]


def _contrast(color: str, paper: tuple[float, ...]) -> float:
    first, second = sorted((_light(_rgb(color)[:3]), _light(paper)), reverse=True)
    return (first + 0.05) / (second + 0.05)


def _light(rgb: tuple[float, ...]) -> float:
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    linear = [
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4
        for one in (part / 255 for part in rgb)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
