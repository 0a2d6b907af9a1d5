"""Rules put together: one look that passes clean text, and the search that judges the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from agentrace.redact.patterns import Pattern
from agentrace.redact.spans import Find, Open, Rule, Span, mark_begins, merged

LONG = 400
"""From this many characters on, one search per pivot is faster than one for all: each is a ``memchr``."""
EARLY = 1000
"""So many short texts are searched pivot by pivot, too: one search for all takes milliseconds to compile, for which
neither a program's start nor its first call should wait."""
CONTEXT = 192
"""How far before a secret a rule may look."""
_LEAD = 96
"""How far before a secret its pivot may stand."""


class Scanned(NamedTuple):
    """The secrets of a text in order, and from where on it cannot be judged before more of it has come."""

    spans: list[Span]
    judged: int


class Scanner:
    """The rules of one redactor. Immutable but for patterns that are compiled when first needed."""

    def __init__(self, rules: Sequence[Rule], own: Sequence[re.Pattern[str]], rank: Callable[[str], int]) -> None:
        self._finders: dict[str, list[Find]] = {}
        near: dict[str, list[str]] = {}
        for rule in rules:
            for pivot in rule.pivots:
                self._finders.setdefault(pivot, []).append(rule.find)
                near.setdefault(pivot, []).append(rule.near)
        self._begins = tuple(rule.begins for rule in rules if rule.begins is not None)
        self._each = [(pivot, Pattern(f"{re.escape(pivot)}(?:{'|'.join(tests)})")) for pivot, tests in near.items()]
        self._together: tuple[re.Pattern[str]] | None = None
        self._short = 0
        self._rank = rank
        self.own = tuple(own)
        self.idle = not rules and not own

    @property
    def together(self) -> re.Pattern[str] | None:
        """The one search for all pivots in a short text, once it is worth having."""
        return None if self._together is None else self._together[0]

    def suspicious(self, text: str) -> bool:
        """Whether the rules, the user's patterns aside, may find something. ``False`` is certain."""
        together = self._together
        if together is not None and len(text) < LONG:
            return together[0].search(text) is not None
        return any(pattern.search(text) for pattern in self._patterns(text))

    def search(self, text: str) -> object:
        """As :attr:`together` searches a short text, also before that is there: ``None`` is clean."""
        together = self._together
        return (self.suspicious(text) or None) if together is None else together[0].search(text)

    def _patterns(self, text: str) -> Sequence[re.Pattern[str]]:
        """What finds the pivots in ``text``; their order is of no account."""
        if len(text) < LONG:
            together = self._together
            if together is None and self._short >= EARLY:
                source = "|".join(pattern.source for _, pattern in self._each)
                together = self._together = (re.compile(source or r"(?!)", re.ASCII),)
            if together is not None:
                return together
            self._short += 1
        return [pattern.compiled for pivot, pattern in self._each if pivot in text]

    def spans(self, text: str, more: Iterable[Span]) -> list[Span]:
        """The secrets of a whole text; ``more`` are spans found already."""
        return self.partly(text, 0, more, whole=True).spans

    def partly(self, text: str, start: int, more: Iterable[Span], whole: bool = False) -> Scanned:
        """The secrets of ``text`` from ``start`` on; unless it is the ``whole``, more of it will come."""
        found = list(more)
        judged = len(text)
        if not whole:
            judged = max(start, min((begins(text) for begins in self._begins), default=judged))
        for finding in self._findings(text, max(0, start - _LEAD), whole):
            if isinstance(finding, Open):
                judged = min(judged, max(finding.start, start))
            elif finding.start >= start:
                found.append(finding)
        if not found:
            return Scanned(found, judged)
        spans = merged(found, text, self._rank)
        if not whole:
            judged = max(start, min(judged, mark_begins(text)))
            for span in reversed(spans):
                if span.start < judged <= span.end:
                    judged = span.start
        return Scanned([span for span in spans if span.end <= judged], judged)

    def _findings(self, text: str, start: int, whole: bool) -> Iterator[Span | Open]:
        for pattern in self._patterns(text):
            for hit in pattern.finditer(text, start):
                at = hit.start()
                for find in self._finders[text[at]]:
                    finding = find(text, at, whole)
                    if finding is not None:
                        yield finding

    def own_spans(self, text: str) -> list[Span]:
        """What the user's own patterns match in ``text``; a named group narrows the match and names the kind."""
        found: list[Span] = []
        for pattern in self.own:
            group = next(iter(pattern.groupindex), None)
            kind = "custom" if group is None else group.lower().replace("_", "-")
            spans = (match.span(group or 0) for match in pattern.finditer(text))
            found.extend(Span(begin, end, kind) for begin, end in spans if begin < end)
        return found

    def own_spans_in_bytes(self, text: str) -> list[Span]:
        """The same for bytes read as Latin-1: each line is matched by itself, read as UTF-8."""
        found: list[Span] = []
        at = 0
        for line in text.split("\n"):
            shown = line if line.isascii() else line.encode("latin-1").decode("utf-8", "surrogateescape")
            for span in self.own_spans(shown):
                begin, end = (_bytes_of(shown, index) for index in span[:2])
                found.append(Span(at + begin, at + end, span.kind))
            at += len(line) + 1
        return found


def _bytes_of(shown: str, index: int) -> int:
    return index if shown.isascii() else len(shown[:index].encode("utf-8", "surrogateescape"))


def replaced(text: str, start: int, end: int, spans: Iterable[Span], mark: Callable[[str], str]) -> str:
    """``text[start:end]`` with a mark in the place of each span."""
    pieces: list[str] = []
    at = start
    for span in spans:
        pieces += (text[at : span.start], span.quote, mark(span.kind), span.quote)
        at = span.end
    pieces.append(text[at:end])
    return "".join(pieces)


def counted(spans: Iterable[Span], into: dict[str, int]) -> dict[str, int]:
    """``into`` with one more of its kind for every span."""
    for span in spans:
        into[span.kind] = into.get(span.kind, 0) + 1
    return into
