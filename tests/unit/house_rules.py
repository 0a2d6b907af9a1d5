"""The house rules as functions: each reads one file and says in words what breaks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 50
VAGUE = frozenset(
    {
        "base",
        "common",
        "core",
        "handler",
        "handlers",
        "helper",
        "helpers",
        "lib",
        "manager",
        "managers",
        "misc",
    }
    | {"util", "utils"}
)
PROVIDERS = (
    r"anthropic|bedrock|cerebras|cohere|deepseek|gemini|groq|langchain|langgraph|litellm|llama_?index|mistral"
    r"|ollama|openai|openrouter|vertex_?ai|xai"
)
CODE = ("src/", "tests/", "benchmarks/", "examples/")
TEXT = {".cfg", ".md", ".py", ".sh", ".sql", ".toml", ".yaml", ".yml"}
WITHOUT_SUFFIX = {"Makefile", "run"}

_PROVIDER = re.compile(rf"(?<![a-z])({PROVIDERS})(?![a-z])", re.IGNORECASE)
_UNFINISHED = re.compile(
    r"\b(TODO|FIXME|XXX|HACK)\b|\b(?i:for now|placeholder|not (yet )?implemented|NotImplementedError)\b"
)
_MACHINE = re.compile(
    r"(?<![\w.~-])/(?:work|root|Users|opt/pypi|tmp/w)/\w+|(?<![\w.~-])/home/(?!(you|user|me|runner)\b)\w+"
)
_BROAD = {"Exception", "BaseException"}


@dataclass(frozen=True)
class Source:
    """One file of the repository: ``path`` is relative to its root, with slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")


Rule = Callable[[Source], Iterator[str]]


def sources(root: Path) -> list[Source]:
    """What the repository consists of, without what tools make and without recorded data."""
    top = [path for path in root.iterdir() if path.is_file()]
    below = [p for d in (*CODE, "docs/", "deploy/", ".ci/", ".github/") for p in (root / d).rglob("*") if p.is_file()]
    files = sorted(path for path in (*top, *below) if path.suffix in TEXT or path.name in WITHOUT_SUFFIX)
    return [Source(file.relative_to(root).as_posix(), file.read_text()) for file in files]


# --- how a file reads ---------------------------------------------------------------------------------------


def opening_sentence(source: Source) -> Iterator[str]:
    """A module opens with one sentence that explains it."""
    if not source.is_python or not source.text.strip():
        return
    docstring = ast.get_docstring(source.tree) or ""
    opening = docstring.partition("\n\n")[0]
    if not opening:
        yield "opens with no docstring"
    elif not re.search(r"[.:?]$", opening) or len(opening.split()) < 3:
        yield f"opens with what is no sentence: {opening!r}"


def telling_name(source: Source) -> Iterator[str]:
    """A module's name says what it holds."""
    stem = Path(source.path).stem
    vague = VAGUE & {stem, *stem.split("_")} if source.is_python else ()
    yield from (f"{word!r} says nothing about what is in it" for word in sorted(vague))


def short_file(source: Source) -> Iterator[str]:
    """A file can be read in one go."""
    lines = len(source.text.splitlines())
    if source.is_python and lines > FILE_LINES:
        yield f"has {lines} lines, over {FILE_LINES}"


def short_functions(source: Source) -> Iterator[str]:
    """A function can be seen at once. Its docstring does not count."""
    if source.is_python:
        for node in ast.walk(source.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)
                if lines > FUNCTION_LINES:
                    yield f"{node.name} has {lines} lines, over {FUNCTION_LINES}"


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


# --- what a file says ---------------------------------------------------------------------------------------


def providers_at_home(source: Source) -> Iterator[str]:
    """A provider's name stands in that provider's own file, and in the stubs that speak its language."""
    if not source.path.startswith("src/") or source.path.startswith("src/agentrace/testing/"):
        return
    home = source.path.startswith("src/agentrace/integrations/")
    for number, line in enumerate(source.text.splitlines(), 1):
        for match in _PROVIDER.finditer(line):
            if not home or match[0].lower() not in source.path:
                yield f"names {match[0]} in line {number}"


def finished(source: Source) -> Iterator[str]:
    """Nothing is left for later."""
    yield from _matches(_UNFINISHED, source)


def no_machine(source: Source) -> Iterator[str]:
    """Nothing depends on, or speaks of, the machine it was written on."""
    yield from _matches(_MACHINE, source)


def _matches(pattern: re.Pattern[str], source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        yield from (f"says {match[0]!r} in line {number}" for match in pattern.finditer(line))


# --- what a file does ---------------------------------------------------------------------------------------


def guarded_catches(source: Source) -> Iterator[str]:
    """Whoever catches everything raises it again, or gives it to the guard at once."""
    if not source.is_python or not source.path.startswith("src/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _is_passed_on(node):
            yield f"catches everything in line {node.lineno}"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            yield from (f"suppresses everything in line {node.lineno}" for arg in node.args if _is_broad(arg))


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_is_broad, caught.elts))
    return caught is None or ast.unparse(caught) in _BROAD


def _is_passed_on(handler: ast.ExceptHandler) -> bool:
    first, last = handler.body[0], handler.body[-1]
    to_guard = f"fault({handler.name})"
    return isinstance(last, ast.Raise) or ast.unparse(first) == to_guard


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        opening_sentence,
        telling_name,
        short_file,
        short_functions,
        providers_at_home,
        finished,
        no_machine,
        guarded_catches,
    )
}
