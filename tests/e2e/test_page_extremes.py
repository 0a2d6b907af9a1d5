"""Pages of runs that are hostile, long, many or empty, in a real browser: nothing of a trace runs, all of it is shown."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import Opened, browser, chosen, detail, name, page_of, press, rows, until
from tests.unit.hostile_run import STRINGS, hostile
from tests.unit.recorded_runs import MODEL, Process, completion

__all__ = ["browser"]

SLOWER = 4.0 if os.environ.get("CI") else 2.0
"""Times the second in which 10,000 steps are to be painted, on a machine that runs other tests meanwhile."""


# --- long and empty runs ---------------------------------------------------------------------------------------


def conversation(process: Process) -> Any:
    run = process.run("conversation")
    said = [{"role": "user", "content": f"message {number}"} for number in range(300)]
    model = run.step("model", "openai.chat.completions", 0, {"model": "m", "messages": said}, **MODEL)
    run.exchange(model, 1, 2, 200, completion("that was much"))
    run.answered(model, 3)
    run.end(4)
    return run


def test_of_a_long_list_the_ends_are_shown_and_the_rest_on_demand(browser: Any, tmp_path: Path) -> None:
    found = Opened(browser, page_of(tmp_path, conversation))
    page = found.open("#step=1")
    told = detail(page, "gpt-5-mini")

    assert ("message 9\n" in told, "message 10\n" in told, "message 249\n" in told) == (True, False, False)
    assert ("message 250\n" in told, "message 299\n" in told) == (True, True)
    page.get_by_role("button", name="240 more entries").click()
    page.get_by_text("message 249").wait_for()
    told = detail(page, "gpt-5-mini")
    assert all(f"message {number}\n" in told for number in range(300))
    found.close()


def test_the_page_scrolls_to_the_step_of_its_address(browser: Any, tmp_path: Path) -> None:
    """When it is opened, and when the address of an open page is changed."""

    def long(process: Process) -> Any:
        run = process.run("long")
        for number in range(2_000):
            run.done(run.step("tool", f"fetch_{number + 1}", number, number), number + 1, number)
        run.end(2_001)
        return run

    found = Opened(browser, page_of(tmp_path, long))
    page = found.open("#step=1500")

    assert chosen(page) == "tool fetch_1500"
    assert in_sight(page, "tool fetch_1500")
    page.evaluate("location.hash = '#step=200'")
    until(page, "document.querySelector('#detail h2')?.textContent.includes('fetch_200')")
    press(page)
    assert chosen(page) == "tool fetch_200"
    assert in_sight(page, "tool fetch_200")
    found.close()


def in_sight(page: Any, row: str) -> bool:
    """Whether a row stands wholly inside of the table."""
    table = page.locator("#table").bounding_box()
    (box,) = [one.bounding_box() for one in page.locator("#rows .row:visible").all() if name(one) == row]
    return bool(table["y"] <= box["y"] and box["y"] + box["height"] <= table["y"] + table["height"])


def test_a_run_without_steps_has_a_page(browser: Any, tmp_path: Path) -> None:
    def empty(process: Process) -> Any:
        run = process.run("empty")
        run.end_badly(5, "builtins:ValueError", "no input")
        return run

    found = Opened(browser, page_of(tmp_path, empty))
    page = found.open()
    press(page, "ArrowDown", "End", "e", "n", "Enter", "z", "+", "ArrowLeft")

    assert rows(page) == []
    assert "nothing was recorded" in page.locator("header").inner_text()
    assert "ValueError: no input" in page.locator("header").inner_text()
    found.close()


# --- a trace may hold anything --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(tmp_path_factory.mktemp("attack"), hostile)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_nothing_of_a_trace_runs_and_nothing_is_asked_for(browser: Any, attack: Path, scripts: bool) -> None:
    found = Opened(browser, attack, java_script_enabled=scripts)
    if not scripts:
        found.page.goto(attack.as_uri())
        assert found.page.locator("body").inner_text().count("failed") == len(STRINGS)
        assert found.page.locator("script, img, link, iframe, svg").count() == found.page.locator("script").count()
        found.close()
        return
    page = found.open()
    for row in range(int(page.locator("#table").get_attribute("aria-rowcount"))):
        press(page, "ArrowDown")
        until(page, f"document.querySelector('#detail [data-row=\"{row}\"]')")
        page.evaluate("document.querySelectorAll('#detail details').forEach((part) => { part.open = true; })")
    page.wait_for_timeout(200)
    press(page, "/")
    page.keyboard.type("</script>")
    page.get_by_text(re.compile(r"^\d+ of \d+ rows$")).wait_for()

    assert page.evaluate("window.hacked") is None
    assert tags(page) <= OURS
    assert page.evaluate("document.querySelectorAll('[style*=url], [style*=import]').length") == 0
    obeyed = "/[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u200b\\u2028-\\u202e\\u2066-\\u2069]/"
    assert page.evaluate(f"{obeyed}.test(document.getElementById('app').innerText)") is False
    found.close()


OURS = {
    *("ASIDE", "BUTTON", "CANVAS", "CODE", "DD", "DETAILS", "DIALOG", "DIV", "DL", "DT", "H1", "H2", "HEADER"),
    *("INPUT", "KBD", "LI", "MAIN", "MARK", "NAV", "P", "PRE", "SECTION", "SPAN", "STRONG", "SUMMARY", "UL"),
}
"""The elements that the page makes."""


def tags(page: Any) -> set[str]:
    """The kinds of elements that there are."""
    return set(page.evaluate("[...new Set([...document.querySelectorAll('#app, #app *')].map((e) => e.tagName))]"))


def test_what_is_hostile_is_shown_as_it_is(browser: Any, attack: Path) -> None:
    found = Opened(browser, attack)
    page = found.open("#step=1")
    assert STRINGS[0] in detail(page, STRINGS[0])

    press(page, "End", "ArrowUp")
    told = detail(page, "odd")
    for number in ("nan", "inf", "9007199254740993", "-9223372036854775808", "1.0", "1e+22"):
        assert number in told
    assert "more characters" in told
    found.close()


# --- ten thousand steps -----------------------------------------------------------------------------------------


def many(process: Process) -> Any:
    run = process.run("many")
    chance = random.Random(7)
    agent = run.step("agent", "work", 0, {"goal": "all"})
    for turn in range(10_000 - 1):
        step = run.step("tool", f"name_{turn % 37}", turn, {"number": turn}, parent=agent)
        if turn % 50 == 49:
            run.failed(step, turn + 1, "builtins:ValueError", f"not {turn}")
        else:
            run.done(step, turn + chance.random() * 5, {"answer": f"{turn} " * 20})
    run.done(agent, 10_000)
    run.end(10_001)
    return run


def test_ten_thousand_steps_are_painted_at_once(browser: Any, tmp_path: Path) -> None:
    file = page_of(tmp_path, many)
    found = Opened(browser, file)
    page = found.open()

    painted = page.evaluate("performance.getEntriesByType('paint').map((entry) => entry.startTime)")
    ready = page.evaluate("performance.now()")
    assert max(painted) < 1000 * SLOWER
    assert ready < 1500 * SLOWER
    assert page.locator("#rows .row").count() < 100
    press(page, "End")
    assert chosen(page) == f"tool name_{9998 % 37}"
    press(page, "/")
    page.keyboard.type("7777 7777")
    page.get_by_text("1 of 10,000 rows").wait_for()
    assert rows(page) == ["agent work", f"tool name_{7777 % 37}"]
    found.close()
