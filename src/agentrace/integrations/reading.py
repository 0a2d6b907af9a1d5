"""Reading bodies that may be other than a provider documents them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentrace.integrations.declaration import Media

_SEQUENCE: Final = (list, tuple, Sequence)
_MAPPING: Final = (dict, Mapping)
"""The first is what nearly all are, and is quicker to ask for."""


def mappings(items: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none if it is no list."""
    if not items or isinstance(items, (str, bytes)) or not isinstance(items, _SEQUENCE):
        return []
    return [item for item in items if isinstance(item, _MAPPING)]


def parsed(text: str) -> Any:
    """JSON that a model wrote: its value, or the text as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def count(counts: Any, name: str) -> int:
    """A number of tokens; 0 where there is none."""
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return value if isinstance(value, int) else 0


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; an empty one if it is none."""
    return value if isinstance(value, _MAPPING) else {}


def text_of(value: Any) -> str:
    """A text; empty if it is none."""
    return value if isinstance(value, str) else ""


def written(value: Any) -> str:
    """A text, or JSON data as text; empty for nothing."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def cited(found: Any) -> list[str]:
    """What a list of citations refers to, each once: its URL, else the name or id of a document."""
    told: dict[str, None] = {}
    for one in mappings(found):
        inner = mapping(one.get(str(one.get("type")))) or one
        source = next((text for name in _SOURCES if (text := text_of(inner.get(name)))), "")
        if source:
            told[source] = None
    return list(told)


def media(kind: str, content: Any, mime: Any = "", source: Any = "") -> Media:
    """Content that is told as a data URL, as a URL or in base64."""
    told = text_of(content)
    data = _DATA_URL.match(told)
    if data is not None:
        return Media(kind, data[1] or text_of(mime), _decoded_size(told, data.end()), text_of(source))
    if _URL.match(told):
        return Media(kind, text_of(mime), 0, told)
    return Media(kind, text_of(mime), _decoded_size(told, 0), text_of(source))


_SOURCES: Final = ("url", "document_title", "filename", "title", "source", "file_id")
_DATA_URL: Final = re.compile(r"data:([^;,]*)[^,]*,")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def _decoded_size(text: str, start: int) -> int:
    """Bytes that base64 from ``start`` on stands for."""
    padding = 2 if text.endswith("==") else 1 if text.endswith("=") else 0
    return max(0, (len(text) - start) * 3 // 4 - padding)
