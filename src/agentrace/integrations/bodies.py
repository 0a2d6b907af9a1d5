"""Bodies of requests that a program makes piece by piece: what it does meanwhile is its own.

Steps that are taken, and timers that are made, while a body is made belong to a flow beside the call. A replay makes
the body again, and answers them like any other.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from agentrace.capture.scope import FLOW, Flow


class Pieces:
    """A body whose pieces are made in ``flow``."""

    def __init__(self, body: Iterable[bytes], flow: Flow) -> None:
        self._body, self._flow = body, flow

    def __iter__(self) -> Iterator[bytes]:
        return PiecesInFlow(iter(self._body), self._flow)


class AsyncPieces:
    """The same of one that is awaited."""

    def __init__(self, body: AsyncIterable[bytes], flow: Flow) -> None:
        self._body, self._flow = body, flow

    def __aiter__(self) -> AsyncIterator[bytes]:
        return AsyncPiecesInFlow(aiter(self._body), self._flow)


class PiecesInFlow:
    """The pieces of a body, each made in ``flow``."""

    def __init__(self, pieces: Iterator[bytes], flow: Flow) -> None:
        self._pieces, self._flow = pieces, flow

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        outside = FLOW.get()
        FLOW.set(self._flow)
        try:
            return next(self._pieces)
        finally:
            self._flow = FLOW.get()  # the body may be in the middle of a block
            FLOW.set(outside)


class AsyncPiecesInFlow:
    """The same of one that is awaited."""

    def __init__(self, pieces: AsyncIterator[bytes], flow: Flow) -> None:
        self._pieces, self._flow = pieces, flow

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        outside = FLOW.get()
        FLOW.set(self._flow)
        try:
            return await anext(self._pieces)
        finally:
            self._flow = FLOW.get()
            FLOW.set(outside)
