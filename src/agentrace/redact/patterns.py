"""A regular expression that is compiled when it is first used: clean text needs none of them, and a start is quick."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator


class Pattern:
    """``source`` as ``re`` knows it, with ASCII classes unless ``flags`` says otherwise. Threads may share one."""

    __slots__ = ("_compiled", "flags", "source")

    def __init__(self, source: str, flags: re.RegexFlag = re.ASCII) -> None:
        self.source = source
        self.flags = flags
        self._compiled: re.Pattern[str] | None = None

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern itself. Two threads may both compile it the first time; either result is the same."""
        compiled = self._compiled
        if compiled is None:
            compiled = self._compiled = re.compile(self.source, self.flags)
        return compiled

    def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        return self.compiled.match(text, start, end)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        return self.compiled.fullmatch(text)

    def search(self, text: str) -> re.Match[str] | None:
        return self.compiled.search(text)

    def finditer(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[str]]:
        return self.compiled.finditer(text, start, end)

    def split(self, text: str) -> list[str]:
        return self.compiled.split(text)

    def sub(self, replacement: str, text: str) -> str:
        return self.compiled.sub(replacement, text)
