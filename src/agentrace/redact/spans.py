"""What a rule finds in a text: the stretch to replace, or the stretch it cannot judge before more text comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

import msgspec

from agentrace.redact.patterns import Pattern


class Span(NamedTuple):
    """``text[start:end]`` is a secret of ``kind``; ``quote`` is put around what replaces a bare number."""

    start: int
    end: int
    kind: str
    quote: str = ""


class Open(NamedTuple):
    """The text ends inside what may be a secret that begins at ``start``."""

    start: int


Finding: TypeAlias = Span | Open | None
Find: TypeAlias = Callable[[str, int, bool], Finding]
"""``find(text, at, whole)``: judge the pivot character ``text[at]``. Only when not ``whole`` may it say `Open`."""


class Rule(msgspec.Struct, frozen=True):
    """One way to recognise secrets.

    A match holds one of the characters ``pivots``, and the zero-width pattern ``near`` is true right behind
    it: that is what makes clean text cheap to pass. ``near`` may be true too often, never too seldom, and it
    must be true as soon as the first character of the secret has come, unless ``begins`` finds that start.
    ``begins(text)`` is where a secret may begin that the end of ``text`` cuts before ``near`` can be true
    (``len(text)`` for nowhere).
    """

    name: str
    pivots: str
    near: str
    find: Find
    begins: Callable[[str], int] | None = None


MARK = Pattern(
    # As text, as UTF-8 read as Latin-1, and escaped in JSON.
    r"(?:⟨|\xe2\x9f\xa8|\\u27[eE]8)redacted:[a-z0-9-]{1,48}(?:⟩|\xe2\x9f\xa9|\\u27[eE]9)"
)


def mark(kind: str) -> str:
    """What stands in the record where a secret of this kind stood."""
    return f"⟨redacted:{kind}⟩"


def mark_in_bytes(kind: str) -> str:
    """The mark's UTF-8 bytes, for a text that is bytes read as Latin-1."""
    return mark(kind).encode().decode("latin-1")


def merged(spans: Iterable[Span], text: str, rank: Callable[[str], int]) -> list[Span]:
    """Overlapping spans become one, named by the kind of lowest rank; what is a mark already stays."""
    out: list[Span] = []
    for span in sorted(_between_escapes(span, text) for span in spans):
        last = out[-1] if out else None
        if last is not None and span.start < last.end:
            kind = min(last.kind, span.kind, key=rank)
            out[-1] = Span(last.start, max(last.end, span.end), kind, last.quote or span.quote)
        elif span.start < span.end:
            out.append(span)
    if out and "redacted:" in text:
        return _around_marks(out, text)
    return out


_ESCAPED = Pattern(r"[nrtbf/\"\\]|u[0-9a-fA-F]{4}")
_MOST_BACKSLASHES = 64


def _between_escapes(span: Span, text: str) -> Span:
    """The span without the rest of an escape at its start and with that at its end: no mark comes to stand behind
    a lone backslash, where it would break a string of JSON."""
    start, end = _behind_escape(text, span.start), _behind_escape(text, span.end)
    return span if (start, end) == span[:2] else span._replace(start=start, end=end)


def _behind_escape(text: str, at: int) -> int:
    if text[at - 1 : at] != "\\":
        return at
    before = text[max(0, at - _MOST_BACKSLASHES) : at]
    escaped = _ESCAPED.match(text, at) if (len(before) - len(before.rstrip("\\"))) % 2 else None
    return escaped.end() if escaped else at


_PARTLY_MARK = Pattern(
    r"(?:(?:⟨|\xe2\x9f\xa8|\\u27[eE]8)[a-z0-9:-]{0,58}(?:\xe2\x9f?|\\(?:u(?:2(?:7[eE]?)?)?)?)?"
    r"|\xe2\x9f?|\\(?:u(?:2(?:7[eE]?)?)?)?)\Z"
)


def mark_begins(text: str) -> int:
    """Where a mark begins that the end of ``text`` cuts."""
    cut = _PARTLY_MARK.search(text[-72:])
    return len(text) if cut is None else len(text) - (cut.end() - cut.start())


def _around_marks(spans: list[Span], text: str) -> list[Span]:
    """Drop a span that lies in a mark or touches one, widen one that cuts through it.

    A mark is not the end that the run of a token has by itself: what touches one was judged before it was there.
    """
    kept: list[Span] = []
    marks = [found.span() for found in MARK.finditer(text)]
    edges = {edge for found in marks for edge in found}
    for span in spans:
        touched = [(a, b) for a, b in marks if a < span.end and span.start < b]
        if touched and touched[0][0] <= span.start and span.end <= touched[0][1]:
            continue
        if not touched and (span.start in edges or span.end in edges):
            continue
        start = min([span.start, *(a for a, _ in touched)])
        end = max([span.end, *(b for _, b in touched)])
        if kept and start < kept[-1].end:
            kept[-1] = kept[-1]._replace(end=max(end, kept[-1].end))
        else:
            kept.append(span._replace(start=start, end=end))
    return kept
