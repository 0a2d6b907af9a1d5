"""``agentrace show --html``: the file that it writes, and when it writes none."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from agentrace.cli import execute
from agentrace.export.html import SCRIPTS
from tests.unit.hostile_run import STRINGS, hostile
from tests.unit.read_blocks import data_of, value_of
from tests.unit.recorded_runs import Process
from tests.unit.travel_run import travel

ROOT = Path(__file__).parents[2]
PAGE = files("agentrace.export") / "page"
SOURCES = {name: (PAGE / name).read_text("utf-8") for name in (*SCRIPTS, "page.css", "page.html")}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    process = Process(root)
    travel(process)
    hostile(process)
    process.close()
    return root


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def show(store: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = execute(["show", *arguments, "--home", str(store)])
    return code, *capfd.readouterr()


# --- the file -----------------------------------------------------------------------------------------------


def test_the_page_has_a_name_a_size_and_no_second_way(
    store: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = show(store, capfd, "travel", "--html")

    file = here / "travel-01a1f910f300.html"
    assert (code, err) == (0, "")
    assert out == f"{file.name}: 13 rows, {file.stat().st_size / 1000:.1f} kB\n"
    before = file.read_bytes()

    code, out, err = show(store, capfd, "travel", "--html")
    assert (code, out) == (2, "")
    assert "is there already" in err
    assert "docs/errors.md#file-exists" in err

    assert show(store, capfd, "travel:7", "--html", str(file), "--force")[0] == 0
    after = file.read_bytes()
    assert data_of(before.decode())[0]["chosen"] == 0
    assert data_of(after.decode())[0]["chosen"] == 7
    assert [path.name for path in here.iterdir()] == [file.name]


def test_the_same_run_makes_the_same_page_also_on_standard_output(
    store: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    show(store, capfd, "travel", "--html", "one.html")
    code, out, err = show(store, capfd, "travel", "--html", "-")

    assert (code, err) == (0, "")
    assert out == (here / "one.html").read_text()


def test_a_page_that_cannot_be_written_leaves_nothing(
    store: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = show(store, capfd, "travel", "--html", "nowhere/page.html")
    assert (code, "cannot be written" in err) == (2, True)

    (here / "there.html").symlink_to("nowhere")
    code, _, err = show(store, capfd, "travel", "--html", "there.html")
    assert (code, "is there already" in err) == (2, True)
    assert [path.name for path in here.iterdir()] == ["there.html"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--html", "travel"], "does not end in .html"),
        (["travel", "--html", "a.html", "--json"], "--json goes with no page"),
        (["travel", "--html", "a.html", "--events"], "--events goes with no page"),
        (["travel", "--html", "a.html", "--io"], "--io goes with no page"),
        (["travel", "--force"], "--force is of use with --html only"),
        (["travel", "--without-payloads"], "--without-payloads is of use with --html only"),
        (["travel:99", "--html", "a.html"], "has no step 99"),
    ],
)
def test_what_makes_no_sense_is_refused(
    store: Path, here: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    code, out, err = show(store, capfd, *arguments)

    assert (code, out) == (2, "")
    assert told in err
    assert list(here.iterdir()) == []


# --- what is in it ------------------------------------------------------------------------------------------


def test_every_row_has_its_details(store: Path, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    show(store, capfd, "travel", "--html", "a.html")
    head, columns, parts = data_of((here / "a.html").read_text())

    details = [value_of(number, parts) for number in columns["detail"]]
    model, inferred, failed, child = (details[row] for row in (1, 2, 7, 10))
    assert (head["name"], head["status"], head["parts"]) == ("travel", "completed", len(parts))
    assert model["input"]["messages"][1]["content"] == "Three days in Rome, what should I pack?"
    assert [call["name"] for call in model["output"]["tool_calls"]] == [
        "get_weather",
        "search_hotels",
        "luggage_policy",
    ]
    assert [exchange["status"] for exchange in model["exchanges"]] == [429, 200]
    assert model["exchanges"][0]["response_body"] == {"error": {"message": "Rate limit reached"}}
    assert model["exchanges"][0]["response_headers"] == [["content-type", "application/json"]]
    assert (inferred["input"], inferred["output"]) == ({"airline": "ITA"}, "one bag of 8 kg")
    assert failed["exception"]["message"] == "the visa office is closed on Fridays"
    assert "output" not in failed
    assert child["run_id"].replace("-", "").startswith("01a1f910f8dc")


def test_without_payloads_nothing_that_was_said_is_left(
    store: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = show(store, capfd, "travel", "--html", "a.html", "--without-payloads")
    page = (here / "a.html").read_text()
    head, columns, parts = data_of(page)

    assert (code, out.endswith("kB, without payloads\n")) == (0, True)
    whole = repr((head, columns, parts)) + page
    for said in ("Rome", "Albergo", "Rate limit", "closed on Fridays", "one bag", "sunny", "You plan", "--city"):
        assert said not in whole
    assert ["warn", "without payloads"] in [[weight, text[:16]] for weight, text in head["remarks"]]
    assert columns["texts"][columns["remark"][7]] == "OfficeClosed"
    detail = value_of(columns["detail"][1], parts)
    assert (detail["model"], detail["input_tokens"], columns["input"][1]) == ("gpt-5-mini", 1204, 1204)


class Elements(HTMLParser):
    """The elements of a page as a browser that runs no script finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inside = ""
        self.attributes: set[str] = set()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = tag
        self.attributes.update(name for name, _ in attrs)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data


def test_a_hostile_trace_adds_no_element_and_no_script(
    store: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    show(store, capfd, "travel", "--html", "honest.html")
    show(store, capfd, "@last", "--html", "hostile.html")
    honest, found = (Elements((here / f"{name}.html").read_text()) for name in ("honest", "hostile"))

    assert [tag for tag in found.tags if tag != "script"] == [tag for tag in honest.tags if tag != "script"]
    assert not {name for name in found.attributes if name.startswith("on")} | found.attributes & {
        "src",
        "href",
        "style",
    }
    ours = [text for attributes, text in found.scripts if "type" not in attributes]
    assert ours == [text for attributes, text in honest.scripts if "type" not in attributes]
    assert len(ours) == 1
    for attributes, text in found.scripts:
        if attributes.get("type") == "text/plain":
            assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
        elif "type" in attributes:
            assert attributes["type"] == "application/json"
            assert "<" not in text
            assert text.isascii()


def test_a_hostile_trace_is_told_whole(store: Path, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    show(store, capfd, "@last", "--html", "hostile.html")
    _, columns, parts = data_of((here / "hostile.html").read_text())

    for row, text in enumerate(STRINGS):
        detail = value_of(columns["detail"][row], parts)
        assert columns["texts"][columns["name"][row]] == text
        assert detail["input"] == {"text": text}
        assert detail["exchanges"][0]["request_body"] == text
        assert detail["exchanges"][0]["response_body"] == text
        assert detail["notes"][0]["fields"][text] == [text, {text: text}]


def test_the_policy_allows_the_page_itself_and_nothing_else(
    store: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    show(store, capfd, "travel", "--html", "a.html")
    page = (here / "a.html").read_text()

    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    (script,), (style,) = (
        re.findall(r"<script>(.*?)</script>", page, re.S),
        re.findall(r"<style>(.*?)</style>", page, re.S),
    )
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; style-src 'sha256-{digest(style)}';"
        " base-uri 'none'; form-action 'none'"
    )
    assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<title>")


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# --- the page's own sources -----------------------------------------------------------------------------------

FORBIDDEN = (
    *(r"innerHTML", r"outerHTML", r"insertAdjacentHTML", r"document\.write", r"\beval\b", r"\bFunction\b"),
    *(r"createContextualFragment", r"DOMParser", r"setHTML", r"srcdoc", r"https?:", r"\bfetch\b", r"XMLHttpRequest"),
    *(r"WebSocket", r"EventSource", r"sendBeacon", r"\bimport\b", r"@import", r"url\(", r"localStorage", r"\.cookie"),
    *(r"\.href", r"\.src\b", r"setAttribute\('on", r"</script", r"<!--"),
)


@pytest.mark.parametrize("name", [*SCRIPTS, "page.css"])
def test_a_source_of_the_page_has_no_way_to_run_or_ask_for_anything(name: str) -> None:
    assert [word for word in FORBIDDEN if re.search(word, SOURCES[name])] == []
    assert SOURCES[name].count("\n") <= 400


def test_every_source_of_the_page_is_shipped() -> None:
    there = {entry.name for entry in PAGE.iterdir()}
    ignored = subprocess.run(
        ["git", "check-ignore", *(f"src/agentrace/export/page/{name}" for name in there)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert there == set(SOURCES)
    assert ignored.stdout == ""


def test_the_template_names_each_of_its_parts_once() -> None:
    wanted = ["policy", "style", "title", "outline", "data", "script", "blocks"]

    found: list[Any] = re.findall(r"\{(\w+)\}", SOURCES["page.html"])
    assert found == wanted
