"""The page of ``agentrace show --html`` in a real browser: what it shows, its keys, and that it runs nothing of a trace."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrace.cli import execute
from tests.e2e.browser import Opened, browser
from tests.unit.hostile_run import STRINGS, hostile
from tests.unit.recorded_runs import MODEL, Process, completion
from tests.unit.travel_run import travel

__all__ = ["browser"]

SLOWER = 4.0 if os.environ.get("CI") else 2.0
"""Times the second in which 10,000 steps are to be painted, on a machine that runs other tests meanwhile."""


def page_of(directory: Path, write: Callable[[Process], Any], *options: str) -> Path:
    """The page of the first run that ``write`` writes."""
    process = Process(directory / "store")
    run = write(process)
    process.close()
    file = directory / "page.html"
    assert execute(["show", run.id.hex(), "--home", str(directory / "store"), "--html", str(file), *options]) == 0
    return file


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(tmp_path_factory.mktemp("trip"), travel)


@pytest.fixture
def opened(browser: Any, trip: Path) -> Iterator[Any]:
    """The page of a run that has everything in it."""
    found = Opened(browser, trip)
    yield found.open()
    found.close()


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


ALL = [
    "agent plan_trip",
    "model gpt-5-mini",
    "tool luggage_policy",
    "tool get_weather",
    "tool search_hotels",
    "retriever find_notes",
    "validator check_visa",
    "tool visa_office",
    "tool train_times",
    "task render_map",
    "process render",
    "tool draw",
    "model gpt-5-mini",
]

# --- what it shows ------------------------------------------------------------------------------------------


def test_the_head_tells_what_the_run_is(opened: Any) -> None:
    head = opened.locator("header").inner_text()

    assert opened.title() == "travel (completed) - agentrace"
    for told in (
        "travel",
        "completed",
        "in 3.13 s",
        "2026-11-20 13:06:40 UTC",
        "$ python travel.py --city Rome",
        "11 steps: 1 agent, 2 model, 1 retriever, 1 task, 5 tool, 1 validator",
        "1 inferred tool call",
        "1 child process",
        "2 failed",
        "3,514 (1,024 cached) tokens in, 508 out",
        "replayable: no",
        "record with --tools luggage_policy",
    ):
        assert told in head


def test_every_row_is_there_with_its_bar(opened: Any) -> None:
    assert rows(opened) == ALL

    boxes = [bar.bounding_box() for bar in opened.locator("#rows .row:visible .bar:visible").all()]
    assert len(boxes) == len(ALL) - 1  # nobody knows when an inferred call ran
    whole, last = boxes[0], opened.locator("#row-12")
    assert all(whole["x"] - 1 <= box["x"] <= whole["x"] + whole["width"] for box in boxes)
    weather, hotels = (opened.locator(f"#row-{row} .bar").bounding_box() for row in (3, 4))
    assert abs(weather["x"] - hotels["x"]) < 3
    assert weather["width"] < hotels["width"]
    waited, bar = (last.locator(part).bounding_box()["width"] for part in (".wait", ".bar"))
    assert waited / bar == pytest.approx(573 / 1147, abs=0.02)  # before the first piece


def test_a_step_is_told_in_full(opened: Any) -> None:
    opened.locator("#row-1").click()
    told = detail(opened, "gpt-5-mini")

    for part in ("tool_calls", "agent.py:7 main", "1,204 in (1,024 cached), 96 out", "You plan trips.", "get_weather"):
        assert part in told
    assert re.search(r"request 1: POST 429.*request 2: POST 200", told, re.DOTALL)
    request = opened.locator("#detail .section", has_text="request 1")
    request.locator("summary", has_text="body received").click()
    request.get_by_text("Rate limit reached").wait_for()
    request.locator("summary", has_text="headers received").click()
    request.get_by_text("application/json").wait_for()


def test_an_error_is_told_with_its_traceback(opened: Any) -> None:
    opened.locator("#row-7").click()
    told = detail(opened, "visa_office")

    assert "travel.errors.OfficeClosed: the visa office is closed on Fridays" in told
    assert "Traceback (most recent call last):" in told
    assert "plan_trip" in opened.locator("#detail .trail").inner_text()


# --- its keys -----------------------------------------------------------------------------------------------


def test_the_tree_is_walked_by_keys(opened: Any) -> None:
    press(opened, "ArrowDown", "ArrowDown")
    assert chosen(opened) == "model gpt-5-mini"
    assert opened.url.endswith("#step=2")

    press(opened, "End", "ArrowUp", "ArrowLeft")
    assert chosen(opened) == "process render"
    press(opened, "ArrowLeft")
    assert rows(opened) == [row for row in ALL if row != "tool draw"]
    assert opened.locator("#row-10").get_attribute("aria-expanded") == "false"
    press(opened, "ArrowRight", "ArrowRight")
    assert chosen(opened) == "tool draw"

    press(opened, "Shift+ArrowLeft")
    assert rows(opened) == ["agent plan_trip"]
    press(opened, "Shift+ArrowRight")
    assert rows(opened) == ALL

    press(opened, "e")
    assert chosen(opened) == "validator check_visa"
    press(opened, "Enter")
    until(opened, "document.activeElement.id === 'detail'")
    press(opened, "Escape", "Escape")
    assert opened.locator("#detail").is_hidden()


def test_the_address_leads_to_a_step(browser: Any, trip: Path) -> None:
    found = Opened(browser, trip)
    page = found.open("#step=7")

    assert chosen(page) == "tool visa_office"
    found.close()


def test_names_and_payloads_are_searched(opened: Any) -> None:
    press(opened, "/")
    opened.keyboard.type("ALBERGO")
    opened.get_by_text("2 of 13 rows").wait_for()
    assert rows(opened) == ["agent plan_trip", "tool search_hotels", "model gpt-5-mini"]

    press(opened, "Enter", "n", "n")
    assert chosen(opened) == "model gpt-5-mini"
    opened.locator("#detail mark", has_text="Albergo").first.wait_for()
    press(opened, "/", "Escape")
    until(opened, "document.getElementById('told').textContent === ''")
    assert rows(opened) == ALL


def test_rows_are_filtered_by_kind_and_failure(opened: Any) -> None:
    failed = opened.get_by_role("button", name="failed")
    failed.click()
    opened.get_by_text("2 of 13 rows").wait_for()
    assert rows(opened) == ["agent plan_trip", "validator check_visa", "tool visa_office"]
    failed.click()
    for kind in ("tool", "model", "retriever"):
        opened.get_by_role("button", name=kind, exact=True).click()
    opened.get_by_text("4 of 13 rows").wait_for()
    assert rows(opened) == [row for row in ALL if row.split()[0] not in ("tool", "model", "retriever")]


def test_the_time_line_is_zoomed_and_moved(opened: Any) -> None:
    before = opened.locator("#row-9 .bar").bounding_box()["width"]
    press(opened, *["ArrowDown"] * 10, "z")
    assert chosen(opened) == "task render_map"
    room = opened.locator("#row-9 .bars").bounding_box()["width"]
    assert opened.locator("#row-9 .bar").bounding_box()["width"] == pytest.approx(room, abs=2)
    assert opened.locator("#row-3 .bar").is_hidden()  # it was over by then
    press(opened, "[", "[", "[", "[")
    assert opened.locator("#row-4 .bar").is_visible()
    press(opened, "0", "Escape")
    assert opened.locator("#row-9 .bar").bounding_box()["width"] == pytest.approx(before, abs=2)


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=3)
    page.mouse.up()
    press(page)


def test_the_time_line_and_the_panel_are_dragged(opened: Any) -> None:
    over = opened.locator("#over").bounding_box()
    middle = over["y"] + 20
    bar = opened.locator("#row-12 .bar").bounding_box()["width"]
    drag(opened, (over["x"] + over["width"] / 2, middle), (over["x"] + over["width"], middle))
    assert opened.locator("#row-12 .bar").bounding_box()["width"] == pytest.approx(2 * bar, rel=0.05)

    place = opened.locator("#row-12 .bars").bounding_box()
    drag(opened, (place["x"] + 100, place["y"] + 9), (place["x"] + 300, place["y"] + 9))
    assert opened.locator("#row-4 .bar").is_visible()  # earlier by as much
    assert opened.locator("#detail").is_hidden()  # a drag is no click
    opened.locator("#fit").click()

    opened.locator("#row-12").click()
    detail(opened, "gpt-5-mini")
    split, before = opened.locator("#split").bounding_box(), opened.locator("#detail").bounding_box()["width"]
    drag(opened, (split["x"] + 4, 400), (split["x"] - 96, 400))
    assert opened.locator("#detail").bounding_box()["width"] == pytest.approx(before + 100, abs=8)


# --- accessibility, colours, no JavaScript --------------------------------------------------------------------


def test_a_screen_reader_finds_its_way(opened: Any) -> None:
    table = opened.get_by_role("treegrid", name="Steps of the run")

    assert table.get_attribute("aria-rowcount") == str(len(ALL))
    levels = [opened.locator(f"#row-{row}").get_attribute("aria-level") for row in range(len(ALL))]
    assert levels == ["1", "2", "2", "2", "2", "2", "2", "3", "2", "2", "3", "4", "2"]
    unnamed = opened.evaluate(
        "[...document.querySelectorAll('button, input, [role]')].filter((e) => !['presentation', 'gridcell', 'row',"
        " 'status'].includes(e.getAttribute('role')) && !e.textContent.trim() && !e.getAttribute('aria-label')).length"
    )
    assert unnamed == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_texts_can_be_read_on_their_grounds(browser: Any, trip: Path, scheme: str, width: int) -> None:
    found = Opened(browser, trip, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = found.open("#step=7")
    detail(page, "visa_office")

    assert page.evaluate(FAINT) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    found.close()


FAINT = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!colour.includes('rgba') || !colour.endsWith(' 0)')) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('#app *')].filter((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) return false;
    const [one, other] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05) < 4.5;
  }).map((element) => element.outerHTML.slice(0, 120));
}"""


def test_without_javascript_there_is_an_outline(browser: Any, trip: Path) -> None:
    found = Opened(browser, trip, java_script_enabled=False)
    found.page.goto(trip.as_uri())
    told = found.page.locator("body").inner_text()

    assert "travel: completed, 3.13 s" in told
    assert "\n    7 tool visa_office: failed, 17 ms\n" in told
    assert "2 model gpt-5-mini openai.chat.completions: ok, 807 ms, 1,204 tokens in, 96 tokens out" not in told
    assert "2 model gpt-5-mini openai.chat.completions: ok, 807 ms, 1,204 tokens in, 96 out" in told
    found.close()


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
