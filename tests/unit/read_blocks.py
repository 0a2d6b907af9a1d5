"""Reads the blocks of a page as ``agentrace.export.blocks`` describes them, by other code than writes them."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any


class Number(str):
    """A number that JavaScript would change, as its text."""


def value_of(number: int, parts: list[Any]) -> Any:
    """The value with that number."""
    return _value([2, number], parts)


def _value(told: Any, parts: list[Any]) -> Any:
    if not isinstance(told, list):
        return told
    what, *rest = told
    if what == 0:
        return [_value(item, parts) for item in rest]
    if what == 1:
        return {key: _value(item, parts) for key, item in zip(rest[::2], rest[1::2], strict=True)}
    if what == 2:
        return _value(parts[rest[0]], parts)
    assert what == 3
    return Number(rest[0])


def parts_of(blocks: list[bytes]) -> list[Any]:
    """All parts, in order."""
    return [part for block in blocks for part in json.loads(gzip.decompress(block))]


def data_of(page: str) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """Head, columns and parts of a page."""
    (head,) = re.findall(r'<script type="application/json" id="head">(.*?)</script>', page)
    (columns,) = re.findall(r'<script type="text/plain" id="columns">(.*?)</script>', page)
    blocks = re.findall(r'<script type="text/plain" id="block-\d+">(.*?)</script>', page)
    return (
        json.loads(head),
        json.loads(gzip.decompress(base64.b64decode(columns))),
        parts_of([base64.b64decode(block) for block in blocks]),
    )
