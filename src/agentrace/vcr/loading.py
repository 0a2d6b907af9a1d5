"""The text of a cassette, YAML or JSON, as plain data: no class is made of it, and it cannot be made to grow.

PyYAML is no dependency of the plain install, so it is imported when a cassette needs it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from agentrace.errors import CassetteError

DEEPEST: Final = 64
"""Levels of lists and mappings in a cassette; bodies that were taken apart are the deepest part of one."""
_PYTHON: Final = "tag:yaml.org,2002:python/"
_RECORD_AGAIN: Final = "record the cassette again, or take it from where it was made"


def loaded(path: Path) -> Any:
    """The data of a file. Raises ``CassetteError``, whatever is in the file."""
    try:
        content = path.read_bytes()
    except OSError as failure:
        why = failure.strerror or failure
        raise CassetteError(f"{path} cannot be read: {why}", do="name a file that you may read") from failure
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise _damaged(path, f"byte {failure.start} is no UTF-8") from failure
    if path.suffix.lower() == ".json" or text.lstrip()[:1] == "{":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as failure:
            if path.suffix.lower() == ".json":
                raise _damaged(path, f"it is no JSON: {_one_line(failure)}") from failure
    return _yaml(path, text)


def _yaml(path: Path, text: str) -> Any:
    try:
        yaml, loader = _loader()
    except ImportError as failure:
        raise CassetteError(
            f"{path} is YAML, and PyYAML is not installed",
            do="pip install 'agentrace[vcr]'",
            slug="cassette-needs-yaml",
        ) from failure
    try:
        _refuse_what_grows(path, yaml, loader, text)
        return yaml.load(text, Loader=loader)  # a safe loader, see below
    except yaml.YAMLError as failure:
        raise _damaged(path, f"it is no YAML of a cassette: {_one_line(failure)}") from failure
    except (ValueError, ArithmeticError, TypeError, RecursionError) as failure:  # of values that are none of their type
        raise _damaged(path, f"a value in it cannot be read: {_one_line(failure)}") from failure


def _refuse_what_grows(path: Path, yaml: Any, loader: Any, text: str) -> None:
    """Levels without end, and merge keys, which multiply what they merge. Aliases are counted where they are read."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise too_large(path, f"it is nested more than {DEEPEST} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            raise too_large(path, "it merges mappings, which no recorder writes")


@cache
def _loader() -> tuple[Any, Any]:
    """PyYAML, and its safe loader with the tags that vcrpy has written for texts, tuples and bodies read from files."""
    yaml: Any = import_module("yaml")
    safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("CassetteLoader", (safe,), {})
    for name in ("str", "unicode"):
        loader.add_constructor(f"{_PYTHON}{name}", lambda self, node: self.construct_scalar(node))
    loader.add_constructor(f"{_PYTHON}tuple", lambda self, node: self.construct_sequence(node, deep=True))
    loader.add_constructor(f"{_PYTHON}object/new:_io.BytesIO", _first("state"))
    loader.add_constructor(f"{_PYTHON}object/apply:builtins.iter", _first("args"))
    return yaml, loader


def _first(field: str) -> Any:
    """The bytes, or the list, from which an object was to be made: it stands first in a field."""

    def construct(self: Any, node: Any) -> Any:
        given = self.construct_mapping(node, deep=True).get(field)
        return given[0] if isinstance(given, list) and given else b""

    return construct


def too_large(path: Path, what: str) -> CassetteError:
    """The error for a file that means more than a cassette can mean."""
    return CassetteError(f"{path} is not read: {what}", do=_RECORD_AGAIN, slug="cassette-too-large")


def _damaged(path: Path, what: str) -> CassetteError:
    return CassetteError(f"{path} is damaged: {what}", do=_RECORD_AGAIN, slug="cassette-damaged")


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split()) or type(failure).__name__
