"""Redaction of bytes that come in pieces: a secret cut by a piece's end is found, and clean pieces pass as they are."""

from __future__ import annotations

from agentrace.redact.repeats import Repeats
from agentrace.redact.scan import CONTEXT, Scanner, counted, replaced
from agentrace.redact.spans import Span, mark_in_bytes

MOST_HELD = 65_536
"""Bytes withheld at most. What is undecided then is judged as if nothing followed."""


class StreamRedactor:
    """One body on its way. Not for use by two threads at once."""

    __slots__ = ("_done", "_found", "_own", "_pieces", "_repeats", "_scanner", "_size", "_text")

    def __init__(self, scanner: Scanner, repeats: Repeats) -> None:
        self._scanner = scanner
        self._repeats = repeats
        self._text = ""
        """What is withheld, and before it ``_done`` characters that were let go and are looked back at."""
        self._done = 0
        self._own: list[Span] = []
        self._pieces: list[str] = []
        self._size = 0
        self._found: dict[str, int] = {}

    @property
    def found(self) -> dict[str, int]:
        """How many secrets of each kind were replaced so far."""
        return dict(self._found)

    def feed(self, chunk: bytes, last: bool = False) -> bytes:
        """``chunk`` without secrets, and before it what was withheld; without what may be the start of a secret.

        With ``last`` nothing comes after it but :meth:`end`.
        """
        if self._scanner.idle:
            return chunk
        own = self._scanner.own
        complete = not self._text and not self._pieces and (last or chunk[-1:] == b"\n")
        text = chunk.decode("latin-1")
        if complete and not own and self._repeats.holds(text):
            return chunk
        if complete and not self._scanner.suspicious(text) and not (own and self._scanner.own_spans_in_bytes(text)):
            if not own:
                self._repeats.learn(text)
            return chunk
        lines = self._whole_lines(text) if own else text
        released = self._advance(lines, whole=False)
        if released is None:
            return chunk if lines is text else lines.encode("latin-1")
        return released.encode("latin-1")

    def end(self) -> bytes:
        """What was still withheld, without secrets."""
        if len(self._text) == self._done and not self._pieces:
            return b""
        rest = "".join(self._pieces)
        self._pieces.clear()
        released = self._advance(rest, whole=True)
        return (rest if released is None else released).encode("latin-1")

    def _whole_lines(self, text: str) -> str:
        """The lines that are complete by now: the user's patterns see a line at once."""
        head, newline, tail = text.rpartition("\n")
        self._size = len(tail) if newline else self._size + len(tail)
        if not newline and self._size < MOST_HELD:
            self._pieces.append(tail)
            return ""
        lines = "".join((*self._pieces, head, newline))
        self._pieces = [tail] if tail else []
        if self._size >= MOST_HELD:
            lines, self._pieces, self._size = lines + tail, [], 0
        return lines

    def _advance(self, text: str, whole: bool) -> str | None:
        """What can be let go now that ``text`` has come; ``None``: exactly ``text``."""
        withheld = len(self._text) - self._done
        base = len(self._text)
        buffer = self._text + text
        if self._scanner.own:
            lines = self._scanner.own_spans_in_bytes(text)
            self._own += [s._replace(start=s.start + base, end=s.end + base) for s in lines]
        spans, judged = self._scanner.partly(buffer, self._done, self._own, whole)
        if len(buffer) - judged > MOST_HELD:
            spans, judged = self._scanner.partly(buffer, self._done, self._own, whole=True)
        clean = not spans and not withheld and judged == len(buffer)
        released = None if clean else replaced(buffer, self._done, judged, spans, mark_in_bytes)
        counted(spans, self._found)
        # What is withheld needs what stands before it. Nothing else goes on from one line to the next.
        over = judged == len(buffer) and buffer.endswith("\n")
        kept = judged if over else max(0, judged - CONTEXT)
        self._text, self._done = buffer[kept:], judged - kept
        if self._own:
            self._own = [s._replace(start=s.start - kept, end=s.end - kept) for s in self._own if s.start >= judged]
        return released
