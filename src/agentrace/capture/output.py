"""What a program prints as notes of the step that it prints in: a listener on the streams of ``sys``, not in their way.

A stream stays the object that it is; its ``write`` gets a neighbour in the object's own namespace, which calls it and
listens. So type, encoding, buffer and descriptor are unchanged, and whoever took the stream before is heard too. What
is written to its ``buffer`` or its descriptor, as by child processes, is not. Loaded only where the setting ``output``
asks for it.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from agentrace.capture import process
from agentrace.capture.guard import fault
from agentrace.capture.notes import place
from agentrace.capture.recording import RunRecording
from agentrace.capture.spoken_notes import tell

NAMES: Final = {"stdout": ("stdout",), "stderr": ("stderr",), "both": ("stdout", "stderr")}
"""Streams of ``sys`` by what the setting says."""
LONGEST: Final = 1 << 20
"""Characters of a line that are recorded; of a longer one its beginning, and how many are left out."""
_SHORTENED: Final = 4_096
"""A longer line is cut at a space, or by so much: the beginning of a secret must not be kept without its end."""


class _Line:
    """What was printed of a line that is not at its end."""

    __slots__ = ("beyond", "parts", "size")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.size = 0
        self.beyond = 0
        """Characters that were left out."""

    def take(self, text: str) -> None:
        """Add what is printed next."""
        room = LONGEST - self.size
        if room > 0:
            self.parts.append(text[:room] if len(text) > room else text)
            self.size += min(len(text), room)
        self.beyond += max(0, len(text) - room)


class _Heard(NamedTuple):
    """A stream that is listened to."""

    stream: Any
    name: str
    number: int
    """Its descriptor, which it may be parted from; -1 for none."""
    listener: Any
    write: Any
    """What stood in the place of the listener in the object itself; ``None`` for nothing."""


_Key = tuple[int, str, RunRecording, int]
"""Thread, stream, run and step."""


class Listening:
    """All streams that are listened to."""

    def __init__(self, which: str) -> None:
        self._names = NAMES[which]
        self._lines: dict[_Key, _Line] = {}
        self._heard: list[_Heard] = []
        self._inside = threading.local()

    def follow(self) -> None:
        """Listen to what the streams are now: at first, and where one was replaced by another way to the same file."""
        for name in self._names:
            stream = getattr(sys, name, None)
            before = [heard for heard in self._heard if heard.name == name]
            if stream is None or any(stream is heard.stream for heard in before):
                continue
            if not before or (before[-1].number >= 0 and _number(stream) == before[-1].number):
                self._listen(name, stream)

    def stop(self) -> None:
        """Leave the streams as they were."""
        while self._heard:
            stream, _, _, listener, write = self._heard.pop()
            with contextlib.suppress(AttributeError):
                if stream.__dict__.get("write") is listener:
                    if write is None:
                        del stream.write
                    else:
                        stream.write = write
        self._lines = {}

    def forget(self) -> None:
        """In a forked child: half a line that the parent has printed is the parent's."""
        self._lines = {}

    def _listen(self, name: str, stream: Any) -> None:
        try:
            write, own = stream.write, stream.__dict__.get("write")
            listener = functools.wraps(write)(self._listener(name, write))
            stream.write = listener
        except (AttributeError, TypeError):
            return  # a closed descriptor, or an object that takes no attributes
        self._heard.append(_Heard(stream, name, _number(stream), listener, own))

    def _listener(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        inside = self._inside

        def write(*args: Any, **kwargs: Any) -> Any:
            if getattr(inside, "a_write", False):  # a stream on top of another that is listened to
                return original(*args, **kwargs)
            inside.a_write = True
            try:
                written = original(*args, **kwargs)
            finally:
                inside.a_write = False
            if args and isinstance(args[0], str):
                self._note(name, args[0])
            return written

        return write

    def _note(self, name: str, text: str) -> None:
        try:
            at = place()
            if at is None or not text:
                return
            key = (threading.get_ident(), name, *at)
            line = self._line(key)
            # What is written at once stays together: a key of several lines is only then seen to be one.
            if text.endswith("\n"):
                line.take(text[:-1])
                self._end(key)
                return
            if line.size > _SHORTENED and "\n" in text:
                whole, _, text = text.rpartition("\n")
                line.take(whole)
                self._end(key)
                line = self._line(key)
            line.take(text)
        except Exception as error:
            fault(error)

    def _line(self, key: _Key) -> _Line:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line()
            _, _, run, step_id = key
            run.open()  # a run that is not on disk has no end at which half a line is told
            run.unfinished.setdefault(self, functools.partial(self._end_all, run))
            step = None if process.current is None else process.current.enclosing()
            if step is not None and step.id == step_id:
                step.before_end = functools.partial(self._end_of, run, step_id)
        return line

    def _end(self, key: _Key) -> None:
        line = self._lines.pop(key, None)
        if line is None:
            return
        text = "".join(line.parts)
        fields: dict[str, Any] = {}
        if line.beyond:
            kept = text[: max(text.rfind(" ", len(text) - _SHORTENED), len(text) - _SHORTENED)]
            fields = {"characters_not_recorded": line.beyond + len(text) - len(kept)}
            text = kept
        _, name, run, step_id = key
        tell(lambda _: (text, "info", fields, f"<{name}>"), (run, step_id))

    def _end_of(self, run: RunRecording, step_id: int) -> None:
        """A step ends: half a line that was printed in it is a line."""
        for key in [key for key in list(self._lines) if key[2] is run and key[3] == step_id]:
            self._end(key)

    def _end_all(self, run: RunRecording) -> None:
        for key in [key for key in list(self._lines) if key[2] is run]:
            self._end(key)


def _number(stream: Any) -> int:
    """The descriptor behind a stream; -1 if there is none."""
    try:
        return int(stream.fileno())
    except (OSError, ValueError, AttributeError, TypeError):
        return -1
