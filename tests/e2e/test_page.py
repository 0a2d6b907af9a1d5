"""The page of ``agentrace show --html`` in a real browser: what it shows and its keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import Opened, browser, chosen, detail, drag, page_of, press, rows, until
from tests.unit.travel_run import travel

__all__ = ["browser"]


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(tmp_path_factory.mktemp("trip"), travel)


@pytest.fixture
def opened(browser: Any, trip: Path) -> Iterator[Any]:
    """The page of a run that has everything in it."""
    found = Opened(browser, trip)
    yield found.open()
    found.close()


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
