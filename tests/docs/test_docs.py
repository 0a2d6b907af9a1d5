"""What the documentation shows works: fences run, links lead somewhere, generated pages are current."""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import generate
from tests.docs.fences import BrokenFence, Example, examples, matches, run

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PAGES = [page for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]) if page.is_file()]


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _examples() -> Iterator[Example]:
    for page in PAGES:
        yield from examples(_name(page), page.read_text())


# --- the documentation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", [pytest.param(example, id=example.name) for example in _examples()])
def test_an_example_does_what_the_page_says(example: Example, tmp_path: Path) -> None:
    run(example, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert generate.current(name) == generate.PAGES[name](), "run `make docs`"


def _with_doctests() -> list[str]:
    files = [file for file in sorted(SOURCE.rglob("*.py")) if ">>> " in file.read_text()]
    return [".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize("module", _with_doctests())
def test_examples_in_docstrings_hold(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))

    assert result.attempted > 0
    assert result.failed == 0


def dead_links(page: Path) -> list[str]:
    """Relative links of a page to files that are not there, or to headings that they do not have."""
    dead: list[str] = []
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        path, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / path) if path else page
        if not file.exists() or (heading and heading not in _anchors(file)):
            dead.append(target)
    return dead


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- the runner fails where it should -----------------------------------------------------------------------


def outcome(text: str, directory: Path) -> str:
    """What the runner finds wrong with a page; empty if all its examples do what they say."""
    try:
        for number, example in enumerate(examples("page.md", text)):
            place = directory / str(number)
            place.mkdir()
            run(example, place)
    except BrokenFence as broken:
        return str(broken)
    return ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("```python\n1 / 0\n```", "page.md:2: python ended with status 1"),
        ("text\n\n```python\nx = 1\ny\n```", 'page.md", line 5'),
        ("```python\nx = 1\n```\n\n```python\nx\n```", "NameError: name 'x'"),
        ("```python continues\n1\n```", "page.md:2: continues nothing"),
        ("```python no-run\n1\n```", "page.md:2: not understood: ```python no-run"),
        ("```py\n1\n```", "page.md:2: not understood: ```py"),
        ("```bash\nls\n```", "page.md:2: not understood: ```bash"),
        ("```toml file=../a.toml\n```", "page.md:2: not understood"),
        ("```toml file=a.toml\n```", "page.md:2: a file that no fence uses"),
        ("```console\nls\n```", "page.md:2: a console fence begins with a line that begins with `$ `"),
        ("```console\n$ false\n```", "page.md:2: false\nended with status 1"),
        (
            "```console\n$ true\n$ echo a\nb\n```",
            "page.md:3: echo a\n--- the page says\nb\n--- it printed\na",
        ),
        ("```console\n$ ls\n```\n```console continues\n$ ls no-such-file\n```", "ended with status 2"),
    ],
)
def test_a_broken_fence_is_found(text: str, says: str, tmp_path: Path) -> None:
    assert says in outcome(text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\n```\nthen\n```python continues\nassert x == 1\n```",
        "```python no-run: it needs a key\n1 / 0\n```",
        "```console no-run: it never ends\n$ yes\n```",
        "```toml\nthis is = not run\n```",
        "```python file=agent.py\nprint('hello')\n```\n```console continues\n$ python agent.py\nhello\n```",
        "```python file=shop/tools.py\nx = 1\n```\n```python continues\nfrom shop.tools import x\n```",
        "```console\n$ echo a; echo b; echo c\na\n...\nc\n$ echo done in 12 ms\ndone in ... ms\n```",
        "```console\n$ printf '%s\\n' one \\\n>   two\none\ntwo\n```",
        "```console\n$ touch a\n```\n```console\n$ ls\n$ echo $(ls | wc -l)\n0\n```",
        "- in a list\n\n  ```python\n  if True:\n      x = 1\n  ```",
        "```python\nimport os\nassert os.environ['AGENTRACE_HOME'] and os.listdir() == []\n```",
    ],
)
def test_a_fence_that_does_what_it_says_passes(text: str, tmp_path: Path) -> None:
    assert outcome(text, tmp_path) == ""


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        ("a", "a\n", True),
        ("a", "a  \n\n", True),
        ("a", "ab\n", False),
        ("a...", "ab\n", True),
        ("a...", "a\nb\n", False),
        ("...\nb", "a\nb\n", True),
        ("a\n...", "a\n", True),
        ("a\n...\nc", "a\nb\nb\nd\n", False),
        ("1.5 (*)", "1x5 (*)\n", False),
    ],
)
def test_dots_stand_for_anything_and_nothing_else_does(expected: str, output: str, same: bool) -> None:
    assert matches(expected, output) is same


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Title\n\n## What's new?\n")
    page = tmp_path / "a.md"
    page.write_text("[a](b.md#whats-new) [b](b.md#old) [c](c.md) [d](https://example.org/x) [e](#none)\n# Here\n")

    assert dead_links(page) == ["b.md#old", "c.md", "#none"]


def test_a_stale_page_is_found_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    monkeypatch.setattr(generate, "DOCS", docs)
    (docs / "settings.md").write_text("old")

    assert generate.main(["--check"]) == 1
    assert (docs / "settings.md").read_text() == "old"
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert "docs/settings.md is out of date" in capsys.readouterr().out


def test_every_setting_is_documented() -> None:
    assert set(dict(generate.attribute_docstrings(generate.Settings))) == set(generate.Settings.__struct_fields__)
