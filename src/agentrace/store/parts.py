"""What belongs into a store directory, so that what does not can be named: another program may have put it there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TOP: Final = re.compile(
    r"journal|segments|damaged|derived|archived|archived\.lock|users|trash|parquet|archive-name|format|config\.toml|\.gitignore"
    r"|index\..+|\.index\..+|\.format-.+\.tmp|\.agentrace-probe-.+"
)
_RUN: Final = re.compile(r"[0-9a-f]{32}|\.new-[0-9a-f]{32}-[0-9a-f]{8}")
_SEGMENT: Final = re.compile(r"\d{6,9}\.seg|\.\d{6,9}\.seg-[0-9a-f]+\.tmp")
_LANE: Final = re.compile(r"(\.new-)?\d+-[0-9a-f]+-[0-9a-f]+(-[0-9a-f]+)?")
_IN_LANE: Final = re.compile(r"lock|recovering|\d{6,}\.lane")


def strays(root: Path) -> Iterator[Path]:
    """What stands in a store and is none of its parts."""
    yield from _others(root, _TOP)
    for directory, name, inside in (("segments", _RUN, _SEGMENT), ("journal", _LANE, _IN_LANE)):
        yield from _others(root / directory, name)
        for found in _names(root / directory):
            if name.fullmatch(found):
                yield from _others(root / directory / found, inside)


def _others(directory: Path, parts: re.Pattern[str]) -> Iterator[Path]:
    return (directory / name for name in _names(directory) if not parts.fullmatch(name))


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except NotADirectoryError:
        return [""]
    except OSError:
        return []  # removed since; or it cannot be read, which is told where it is
