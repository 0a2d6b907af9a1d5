"""A real browser that opens files, and that lets no request pass unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
