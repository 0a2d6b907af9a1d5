"""How texts, values, numbers and bars are drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrace.cli import execute
from agentrace.cli.bars import bar
from agentrace.cli.escaping import cells, cut, json_text, plain, plain_lines
from agentrace.cli.terminal import Terminal, terminal
from agentrace.cli.units import age, counted, duration, iso, size
from agentrace.cli.values import value_lines
from tests.unit.recorded_runs import MODEL, Process, completion

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202etxt.exe\u2066\r\nnext\x00\x7f"
OBEYED = set("\x00\x07\x1b\x7f\x9b\r\u202e\u2066\u200b\u2028")


# --- what a terminal would obey -----------------------------------------------------------------------------


@given(st.text())
def test_plain_text_only_prints(text: str) -> None:
    shown = plain(text)

    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c in OBEYED or 0xD800 <= ord(c) < 0xE000 for c in shown)


@given(st.text())
def test_text_that_only_prints_is_shown_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("text", ["Grüße, 世界", "👩‍👩‍👧 ✓", "naïve → ∥", "a\u0301"])
def test_text_of_any_language_is_shown_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_lines_stay_lines() -> None:
    assert plain_lines("a\tb\n\x1bc") == ["a   b", "\\x1bc"]


@given(st.recursive(st.none() | st.booleans() | st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.lists))
def test_json_says_the_same_without_what_a_terminal_obeys(value: object) -> None:
    text = json_text(value)

    assert json.loads(text) == value
    assert not OBEYED & set(text)


def hostile_store(root: Path) -> None:
    """A store with a run in which everything that can be a text is hostile."""
    process = Process(root)
    run = process.run(HOSTILE, argv=["python", HOSTILE], python=HOSTILE)
    tool = run.step("tool", HOSTILE, 1, {HOSTILE: HOSTILE}, call_site=HOSTILE, flow=HOSTILE)
    run.failed(tool, 2, f"m:{HOSTILE}", HOSTILE)
    model = run.step("model", HOSTILE, 3, {"model": HOSTILE}, **{**MODEL, "operation": HOSTILE})
    run.exchange(model, 4, 5, 200, completion(HOSTILE, [(HOSTILE, HOSTILE, {HOSTILE: HOSTILE})]))
    run.answered(model, 6)
    run.end_badly(7, f"m:{HOSTILE}", HOSTILE)
    process.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"],
        ["ls", "--json"],
        ["show"],
        ["show", "--io"],
        ["show", "--events"],
        ["show", "--json", "--io"],
        ["show", "@last:1"],
        ["show", "@last:2"],
        ["verify"],
    ],
)
def test_nothing_that_a_record_holds_reaches_the_terminal_unescaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # how much of a name has room depends on how long the run took
    hostile_store(tmp_path)

    execute([*arguments, "--home", str(tmp_path)])

    out, err = capsys.readouterr()
    assert err == ""
    assert "owned" in out
    assert not OBEYED & set(out)


# --- widths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("世界", 4), ("a\u0301b", 2), ("é", 1), ("", 0)])
def test_columns_are_counted_as_a_terminal_draws_them(text: str, columns: int) -> None:
    assert cells(text) == columns


@given(st.text(alphabet="ab世é\u0301"), st.integers(0, 12))
def test_a_cut_text_fits_and_says_that_it_is_cut(text: str, width: int) -> None:
    shown = cut(text, width)

    assert cells(shown) <= max(width, 0) or not width
    assert shown == text or shown.endswith("…") or width == 0


class Stream:
    """A stream with an encoding that is, or is no, terminal."""

    def __init__(self, interactive: bool, encoding: str) -> None:
        self.encoding = encoding
        self._interactive = interactive

    def isatty(self) -> bool:
        """Whether somebody looks."""
        return self._interactive


@pytest.mark.parametrize(
    ("interactive", "encoding", "environ", "expected"),
    [
        (True, "utf-8", {"COLUMNS": "120"}, (120, True, True)),
        (True, "utf-8", {"COLUMNS": "120", "NO_COLOR": "1"}, (120, False, True)),
        (True, "utf-8", {"COLUMNS": "120", "TERM": "dumb"}, (120, False, True)),
        (True, "ascii", {"COLUMNS": "120"}, (120, True, False)),
        (True, "utf-8", {"COLUMNS": "9"}, (40, True, True)),
        (False, "utf-8", {}, (100, False, True)),
        (False, "utf-8", {"COLUMNS": "nonsense"}, (100, False, True)),
        (False, "no-such-encoding", {}, (100, False, False)),
    ],
)
def test_a_terminal_is_what_its_stream_and_environment_say(
    interactive: bool, encoding: str, environ: dict[str, str], expected: tuple[int, bool, bool]
) -> None:
    found = terminal(Stream(interactive, encoding), environ)  # type: ignore[arg-type]

    assert (found.width, found.colour, found.unicode) == expected


def test_colours_are_only_where_they_are_wanted() -> None:
    assert Terminal(colour=True).paint("a", "bold", "red") == "\x1b[1;31ma\x1b[0m"
    assert Terminal(colour=False).paint("a", "bold", "red") == "a"
    assert Terminal(colour=True).paint("", "red") == ""


# --- bars ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "waited", "end", "drawn"),
    [
        (0, 0, 100, "━━━━━"),
        (0, 0, 50, "━━╸"),
        (50, 0, 100, "  ╺━━"),
        (0, 50, 100, "──╼━━"),
        (10, 30, 90, "╶─━━╸"),
        (100, 0, 100, "    ╺"),
        (0, 0, 1, "╸"),
        (99, 0, 500, "    ╺"),
    ],
)
def test_a_bar_stands_where_something_ran(start: int, waited: int, end: int, drawn: str) -> None:
    blank, text = bar(start, waited, end, 100, 5)

    assert " " * blank + text == drawn


def test_a_bar_is_drawn_in_ascii_where_there_is_nothing_else() -> None:
    assert bar(20, 40, 100, 100, 5, unicode=False) == (1, "--==")


@given(
    st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 80)
)
def test_a_bar_never_leaves_its_line(start: int, waited: int, took: int, total: int, width: int) -> None:
    blank, text = bar(start, waited, start + took, total, width)

    assert 0 <= blank < width
    assert 1 <= blank + len(text) <= width
    assert text.strip()


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.0 ms"),
        (7, "7 ns"),
        (999, "999 ns"),
        (1_000, "1 µs"),
        (49_400, "49 µs"),
        (50_000, "0.1 ms"),
        (400_000, "0.4 ms"),
        (9_960_000, "10.0 ms"),
        (10_000_000, "10 ms"),
        (812_300_000, "812 ms"),
        (999_600_000, "1.00 s"),
        (2_310_000_000, "2.31 s"),
        (12_340_000_000, "12.3 s"),
        (59_960_000_000, "1 min 00 s"),
        (192_000_000_000, "3 min 12 s"),
        (3_720_000_000_000, "1 h 02 min"),
    ],
)
def test_a_duration_has_three_digits_or_so(ns: int, text: str) -> None:
    assert duration(ns) == text


def test_ages_sizes_counts_and_dates() -> None:
    hour = 3600 * 10**9
    assert [age(ns) for ns in (-5, 59 * 10**9, 90 * 10**9, 5 * hour, 50 * hour, 9000 * hour)] == [
        "0 s",
        "59 s",
        "1 min",
        "5 h",
        "2 d",
        "1 y",
    ]
    assert [size(n) for n in (0, 999, 1000, 999_949, 999_950, 1_234_567, 5 * 10**15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "999.9 kB",
        "1.0 MB",
        "1.2 MB",
        "5000.0 TB",
    ]
    assert [counted(n, w) for n, w in ((1, "step"), (2, "retry"), (1200, "process"))] == [
        "1 step",
        "2 retries",
        "1,200 processes",
    ]
    assert (iso(1_795_180_000_123_456_789), iso(0), iso(10**30)) == ("2026-11-20T13:06:40.123456Z", "", "")


# --- values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"a": 1, "b": {"c": None}, "d": []}, ["a: 1", "b:", "  c: null", "d: []"]),
        (["x", {"a": 1, "b": 2}], ["- x", "- a: 1", "  b: 2"]),
        ({"list": [1, 2.5, True]}, ["list: [1, 2.5, true]"]),
        ({"text": "one\ntwo"}, ["text: |", "  one", "  two"]),
        (["5", "true", "", " x", "a: b", "- x", "fine"], ['["5", "true", "", " x", "a: b", "- x", fine]']),
        ({"v": [0.5] * 1536}, ["v: [0.5, 0.5, 0.5, ... 1,533 more numbers]"]),
        ({"b": "QUJD" * 100}, [f"b: {'QUJD' * 18}... 328 more characters"]),
        ("text", ["text"]),
        ({}, ["{}"]),
        (None, ["null"]),
    ],
)
def test_values_are_shown_without_brackets_where_they_need_none(value: object, lines: list[str]) -> None:
    assert list(value_lines(value)) == lines
