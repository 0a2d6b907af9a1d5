"""Every error says what happened and what to do, and leads to a section of docs/errors.md that exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrace import errors

ROOT = Path(__file__).parents[2]
SLUG = re.compile(r"[a-z]+(-[a-z]+)*")


def slugs(text: str) -> Iterator[str]:
    """The slugs in a module: ``slug = "..."`` in a class, and ``slug="..."`` in a call."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ClassDef(body=body):
                yield from filter(None, map(_assigned, body))
            case ast.keyword(arg="slug", value=ast.Constant(value=str(slug))):
                yield slug
            case ast.keyword(arg="slug", value=value) if ast.unparse(value) != "slug":
                yield f"not a literal: {ast.unparse(value)}"


def _assigned(statement: ast.stmt) -> str | None:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id="slug")], value=ast.Constant(value=str(slug)))
            | ast.AnnAssign(target=ast.Name(id="slug"), value=ast.Constant(value=str(slug)))
        ):
            return slug
        case _:
            return None


def sections(page: str) -> dict[str, str]:
    """Headings of the second level, with the text below each."""
    _, *parts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture(scope="module")
def used() -> set[str]:
    return {slug for file in (ROOT / "src").rglob("*.py") for slug in slugs(file.read_text())}


@pytest.fixture(scope="module")
def documented() -> dict[str, str]:
    return sections((ROOT / "docs/errors.md").read_text())


def test_every_slug_has_a_section_and_every_section_a_slug(used: set[str], documented: dict[str, str]) -> None:
    assert used == set(documented)


def test_every_section_says_what_happened_and_what_to_do(documented: dict[str, str]) -> None:
    for slug, text in documented.items():
        assert SLUG.fullmatch(slug)
        assert re.search(r"\*\*What happened\.\*\* \S.*\n\n\*\*What to do\.\*\* \S", text, re.DOTALL), slug


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('class A(E):\n    slug = "a-b"', {"a-b"}),
        ('class A(E):\n    slug: ClassVar[str] = "a-b"', {"a-b"}),
        ('def f():\n    raise A("what", do="this", slug="c")', {"c"}),
        ("raise A('what', slug=f'{x}-y')", {"not a literal: f'{x}-y'"}),
        ("raise A('what', slug=slug)", set[str]()),
    ],
)
def test_slugs_are_found_where_they_are_written(text: str, found: set[str]) -> None:
    assert set(slugs(text)) == found


# --- the messages -------------------------------------------------------------------------------------------


def test_a_message_says_what_happened_what_to_do_and_where_to_read() -> None:
    error = errors.StoreError("the store is full", do="make room")

    assert str(error) == "the store is full\n  what to do: make room\n  see docs/errors.md#store"


def test_a_more_exact_slug_belongs_to_the_one_error_only() -> None:
    exact = errors.ConfigError("x", slug="config-file")

    assert (exact.slug, errors.ConfigError("x").slug) == ("config-file", "config")
    assert str(exact) == "x\n  see docs/errors.md#config-file"


def test_a_divergence_passes_an_except_exception() -> None:
    divergence = errors.ReplayDivergence("CALL_CHANGED", "step 7: other arguments")

    assert not isinstance(divergence, Exception)
    assert str(divergence) == "CALL_CHANGED: step 7: other arguments"
    assert (divergence.code, divergence.report) == ("CALL_CHANGED", "step 7: other arguments")


def test_every_error_stands_in_the_tree_of_the_module() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and _is_ours(value)}

    drawn = set(re.findall(r"^[ │├└─]*(\w+)(?= |$)", errors.__doc__ or "", re.MULTILINE))
    assert defined <= drawn


def _is_ours(value: type) -> bool:
    return value.__module__ == errors.__name__ and issubclass(value, BaseException)
