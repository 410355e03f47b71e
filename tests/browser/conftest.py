"""One server for the session and one browser; each test has people and contexts of its own.

Whatever a page writes to its console as an error fails the test: that is also where a browser says what the
Content-Security-Policy forbade.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.stage import Person, Stage
from tests.server import ROOT

AXE = ROOT / "tests" / "interop" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "build" / "screenshots"
PATIENCE_MS = 30_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

Open = Callable[..., Page]

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


def chromium() -> str:
    """Where it is; without it the tests are skipped, loudly, or fail where everything must run."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None or not AXE.is_file():
        missing = "Chromium" if found is None else "axe-core"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"There is no {missing}: run tests/install.sh")
        pytest.skip(f"NOT TESTED in a browser: there is no {missing} (run tests/install.sh)")
    return found


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """For as long as the tests are those of this folder: Playwright keeps an event loop of asyncio running in
    this thread, which others need not meet."""
    path = chromium()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    running = Stage(tmp_path_factory.mktemp("stage"), sqlite_template)
    yield running
    running.close()


@pytest.fixture
def person(stage: Stage) -> Person:
    return stage.person()


class Complaints:
    """What pages said that they must not say. ``allowed``: what a test provokes."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.allowed = ""

    def console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(message.text)

    def check(self) -> None:
        assert [text for text in self.said if not self.allowed or not re.search(self.allowed, text)] == []


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    found = Complaints()
    yield found
    found.check()


@pytest.fixture
def opened(browser: Browser, stage: Stage, complaints: Complaints) -> Iterator[Open]:
    """Opens a page as somebody (None: nobody) in a browser context of its own."""
    contexts = []

    def open_page(someone: Person | None, path: str = "/conversations", **options: Any) -> Page:
        usual = {"locale": "en-US", "timezone_id": "America/Toronto", "base_url": stage.base}
        options = {**usual, "reduced_motion": "reduce", **options}
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        if someone is not None:
            context.add_cookies([stage.cookie(someone)])  # type: ignore[list-item]
        page = context.new_page()
        page.on("console", complaints.console)
        page.on("pageerror", lambda error: complaints.said.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
