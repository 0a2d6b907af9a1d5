"""The SQL of this package: named statements in commented ``.sql`` files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

_DIRECTORY: Final = Path(__file__).with_name("sql")
_NAME: Final = re.compile(r"^-- name: *([a-z_0-9]+) *$", re.MULTILINE)


@cache
def statements(file: str) -> Mapping[str, str]:
    """The statements of ``sql/<file>.sql`` by the names that stand above them."""
    text = (_DIRECTORY / f"{file}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


def statement(name: str, file: str = "queries") -> str:
    """One of them."""
    return statements(file)[name]
