"""A real Chromium that may speak to this machine alone, and what happened in it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from java_build import NotAvailableError
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, sync_playwright

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Visit:
    """A page and all that it asked for, was answered and complained about."""

    page: Page
    asked: list[str] = field(default_factory=list)
    answered: list[tuple[int, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._ask)
        self.page.on("response", self._answer)
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "requestfailed", lambda one: self.complaints.append(f"failed: {one.url} {one.failure}")
        )

    @property
    def hosts(self) -> set[str | None]:
        """Who was asked for anything."""
        return {urlsplit(url).hostname for url in self.asked}

    def _ask(self, request: Request) -> None:
        self.asked.append(request.url)

    def _answer(self, response: Response) -> None:
        self.answered.append((response.status, response.url))


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A started browser; NotAvailableError says what to install."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        msg = "Chromium is not installed: run tests/interop/setup.sh"
        raise NotAvailableError(msg)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visiting(browser: Browser, **options: object) -> Iterator[Visit]:
    """A page in a context of its own: no cookies, nothing cached, ``options`` as playwright's."""
    context: BrowserContext = browser.new_context(**options)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    try:
        yield Visit(context.new_page())
    finally:
        context.close()
