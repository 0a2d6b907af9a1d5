"""Reading bodies that may be other than a provider documents them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

_MAPPING: Final = (dict, Mapping)
"""The first is what nearly all are, and is quicker to ask for."""


def mappings(items: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none if it is no list."""
    several = isinstance(items, Sequence) and not isinstance(items, str | bytes)
    return [item for item in items if isinstance(item, _MAPPING)] if several else []


def parsed(text: str) -> Any:
    """JSON that a model wrote: its value, or the text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def count(counts: Any, name: str) -> int:
    """A number of tokens; 0 where there is none."""
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return value if isinstance(value, int) else 0
