"""A real browser that opens pages of runs, reads them, and lets no request pass unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrace.cli import execute
from tests.unit.recorded_runs import Process

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
READY = "html[data-ready]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; a test that asks for it is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"there is no browser: none of {', '.join(NAMES)} is on PATH")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield started
        started.close()


class Opened:
    """A page, and what it did that a page of ours never does."""

    def __init__(self, browser: Any, file: Path, **context: Any) -> None:
        self.file = file
        self.context = browser.new_context(**{"viewport": {"width": 1300, "height": 800}, **context})
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.complaints: list[str] = []
        self.page.route("**/*", self._request)
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.context.on("page", lambda other: self.requests.append(other.url))

    def _request(self, route: Any) -> None:
        if route.request.url.partition("#")[0] == self.file.as_uri():
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def open(self, anchor: str = "") -> Any:
        """Open the file and wait for its rows."""
        self.page.goto(self.file.as_uri() + anchor)
        self.page.wait_for_selector(READY, state="attached")
        return self.page

    def close(self) -> None:
        """Close the page; it complained of nothing and asked for nothing."""
        self.context.close()
        assert (self.requests, self.dialogs, self.complaints) == ([], [], [])


def page_of(directory: Path, write: Callable[[Process], Any], *options: str) -> Path:
    """The page of the first run that ``write`` writes."""
    process = Process(directory / "store")
    run = write(process)
    process.close()
    file = directory / "page.html"
    assert execute(["show", run.id.hex(), "--home", str(directory / "store"), "--html", str(file), *options]) == 0
    return file


def rows(page: Any) -> list[str]:
    """The names of the rows that are seen, in order."""
    drawn = page.locator("#rows .row:visible").all()
    return [text for _, text in sorted((int(row.get_attribute("aria-rowindex")), name(row)) for row in drawn)]


def name(row: Any) -> str:
    return f"{row.locator('.kind').text_content()} {row.locator('.label').text_content()}"


def chosen(page: Any) -> str:
    """The row that the keyboard is on."""
    active = page.locator("#table").get_attribute("aria-activedescendant")
    row = page.locator(f"#{active}")
    assert row.get_attribute("aria-selected") == "true"
    return name(row)


def until(page: Any, condition: str) -> None:
    """Wait for a condition; its policy keeps the page from evaluating one by itself."""
    page.evaluate(f"async () => {{ while (!({condition})) await new Promise(requestAnimationFrame); }}")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def detail(page: Any, title: str) -> str:
    """The text of the panel, once it shows the step of that title."""
    page.locator("#detail h2", has_text=title).wait_for()
    return str(page.locator("#detail").inner_text())


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=3)
    page.mouse.up()
    press(page)
