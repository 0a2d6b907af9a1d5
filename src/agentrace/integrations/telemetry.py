"""Requests that are not recorded: by which libraries tell others about the program, and those that the settings name.

They are no part of what the program does, and go out at times of their own. On a replay they go nowhere: a report is
accepted by nobody, and whoever else is asked for cannot be reached.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase, translate
from typing import Any, Final

from msgspec import Struct

from agentrace.capture.answers import Answer
from agentrace.capture.process import Recording
from agentrace.capture.scope import FLOW, Apart
from agentrace.exchanges import Recorded
from agentrace.integrations.passing import Outgoing, Passing


class _Report(Struct, frozen=True):
    """What a library sends, told by where it goes and what it is; nothing else looks like it."""

    path: str
    host: str = "*"
    content: str = ""
    """The media type; empty for any."""


_REPORTS: Final = (
    *(_Report(f"*/v1/{signal}", content="application/x-protobuf") for signal in ("traces", "metrics", "logs")),  # OTLP
    _Report("*/api/*/envelope/", content="application/x-sentry-envelope"),
    _Report("/batch/", "*.posthog.com"),
    _Report("/v1/batch", "api.segment.io"),
    _Report("*/runs/multipart", content="multipart/form-data"),  # LangSmith
    _Report("*/api/public/ingestion"),  # Langfuse
)
_ASKING: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_ACCEPTED: Final = Recorded(0, status=200, headers=[("content-length", "0")], http_version="HTTP/1.1", reason="OK")


def leaving_out(recording: Recording, patterns: Sequence[str]) -> Callable[[Outgoing], Passing | None]:
    """What becomes of a request that is not recorded: a report of a library, or one that a pattern names.

    A pattern is a host, or a host and a path; ``*`` stands for any characters.
    """
    spelled = (pattern if "/" in pattern else f"{pattern}/*" for pattern in patterns)
    named = re.compile("|".join(map(translate, spelled))) if patterns else None

    def leave_out(asked: Outgoing) -> Passing | None:
        if named is not None and named.match(f"{asked.host}{asked.path}"):
            return _LeftOut(recording, asked, None)
        if asked.method in _ASKING or not any(_is(asked, report) for report in _REPORTS):
            return None
        return _LeftOut(recording, asked, None if recording.flow().run.tape is None else _ACCEPTED)

    return leave_out


def _is(asked: Outgoing, report: _Report) -> bool:
    if not (fnmatchcase(asked.path, report.path) and fnmatchcase(asked.host, report.host)):
        return False
    kinds = (value for name, value in asked.headers if name.lower() == b"content-type")
    return not report.content or any(kind.startswith(report.content.encode()) for kind in kinds)


class _LeftOut(Passing):
    """A request that is not recorded."""

    __slots__ = ("_outside",)

    def __init__(self, recording: Recording, asked: Outgoing, answer: Recorded | None) -> None:
        flow = Apart.leaving(recording.flow())
        untold = _Untold(flow)
        super().__init__(untold, False, answer, untold, None)  # type: ignore[arg-type]
        flow.run.left_out[asked.host] += 1
        self._outside = FLOW.get()
        FLOW.set(flow)

    def failed(self, error: BaseException) -> None:  # noqa: ARG002
        """There is no response."""
        FLOW.set(self._outside)

    def handed_over(self) -> None:
        """The program goes on."""
        FLOW.set(self._outside)


class _Untold:
    """A step and its exchange, of which nothing is told; what answers it comes at once."""

    ended = "exhausted"

    def __init__(self, flow: Apart) -> None:
        self.step: Any = flow
        self.answer = Answer(0, self)  # type: ignore[arg-type]

    def wait(self, *_: object, **__: object) -> None:
        """Do nothing."""

    async def turn(self, *_: object) -> None:
        """The same for a coroutine."""

    answered = data = already_read = end = lost = left = wait
