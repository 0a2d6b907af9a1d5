"""JSON data as people read it: keys and indentation instead of braces, texts as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

from agentrace.canonical.foreign_json import SUMMARY
from agentrace.cli.escaping import cells, json_text, plain, plain_lines

_LOOKS_OTHERWISE: Final = re.compile(r"|\s.*|.*\s|[-\[\]{}\"'&*!|>%@`#].*|.*: .*|-?\d[\d.,eE+-]*|true|false|null")
"""Texts that would be taken for something else, or for nothing, if they stood without quotation marks."""
_SHORT_LIST: Final = 72
_LONG_NUMBERS: Final = 16
_LONG_WORD: Final = 240
"""Characters without a space after which a text is taken for encoded bytes, and not told whole."""


def value_lines(value: Any) -> Iterator[str]:
    """The lines that show ``value``. Long lists of numbers, and encoded bytes, are told by
    how they begin and how long they are."""
    if _is_summed_up(value):
        yield plain(value[SUMMARY])
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _entry(f"{plain(str(key))}:", item)
    elif isinstance(value, list) and value:
        yield from _list(value)
    elif isinstance(value, str) and "\n" in value:
        yield from plain_lines(value)
    else:
        yield _scalar(value)


def _is_summed_up(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is an array, a frame or the like, which a line tells; ``--json`` has what is in it."""
    return isinstance(value, Mapping) and "$type" in value and isinstance(value.get(SUMMARY), str)


def _entry(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield f"{key} |"
        yield from (f"  {line}" for line in plain_lines(value))
        return
    if _is_summed_up(value):
        yield f"{key} {plain(value[SUMMARY])}"
        return
    if isinstance(value, (list, Mapping)) and value:
        inline = _inline(value)
        if inline is None:
            yield key
            yield from (f"  {line}" for line in value_lines(value))
            return
        yield f"{key} {inline}"
        return
    yield f"{key} {_scalar(value)}"


def _list(items: list[Any]) -> Iterator[str]:
    inline = _inline(items)
    if inline is not None:
        yield inline
        return
    for item in items:
        for number, line in enumerate(value_lines(item)):
            yield f"  {line}" if number else f"- {line}"


def _inline(value: Any) -> str | None:
    """A short list of scalars, or any list of numbers, in one line."""
    if not isinstance(value, list) or any(isinstance(item, (list, Mapping)) for item in value):
        return None
    if len(value) > _LONG_NUMBERS and all(isinstance(item, (int, float)) for item in value):
        return f"[{', '.join(map(_scalar, value[:3]))}, ... {len(value) - 3:,} more numbers]"
    if any(isinstance(item, str) and "\n" in item for item in value):
        return None
    text = f"[{', '.join(map(_scalar, value))}]"
    return text if cells(text) <= _SHORT_LIST else None


def _scalar(value: Any) -> str:
    if isinstance(value, str) and len(value) > _LONG_WORD and not any(map(str.isspace, value[:_LONG_WORD])):
        return f"{plain(value[:_SHORT_LIST])}... {len(value) - _SHORT_LIST:,} more characters"
    if isinstance(value, str) and not _LOOKS_OTHERWISE.fullmatch(value):
        return plain(value)
    return json_text(value)
