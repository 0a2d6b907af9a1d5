"""Bodies of httpx, or of a library made like it: recorded as they pass, and played back from a record."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, cast

from agentrace.capture.exchange import CLOSED, Exchange
from agentrace.capture.recorded import BodyInTurn, body
from agentrace.capture.scope import FLOW
from agentrace.capture.step import Step
from agentrace.exchanges import Recorded


class Tee:
    """A body that is recorded as it passes."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner, self._exchange = inner, exchange

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        try:
            for chunk in self._inner:
                exchange.data(chunk)
                yield chunk
        except GeneratorExit:  # what reads it next goes on where this reader stopped
            raise
        except BaseException as error:
            exchange.end("error", error)
            raise
        exchange.end("exhausted")

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._exchange.end(CLOSED)

    def __del__(self) -> None:
        self._exchange.lost()


class AsyncTee:
    """The same for an async client."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner, self._exchange = inner, exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _AsyncChunks(self._inner.__aiter__(), self._exchange)

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end(CLOSED)

    def __del__(self) -> None:
        self._exchange.lost()


class _AsyncChunks:
    """The chunks of an async body. No generator: the loop would have one more to close, at the same time as the
    transport's, which complains of that."""

    __slots__ = ("_chunks", "_exchange")

    def __init__(self, chunks: Any, exchange: Exchange) -> None:
        self._chunks, self._exchange = chunks, exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        outside = FLOW.get()
        FLOW.set(self._exchange.step)  # what the transport does meanwhile, such as its timers, belongs to the step
        try:
            chunk: bytes = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._exchange.end("exhausted")
            raise
        except BaseException as error:
            self._exchange.end("error", error)
            raise
        finally:
            FLOW.set(outside)
        self._exchange.data(chunk)
        return chunk

    async def aclose(self) -> None:
        """Close the transport's generator, as the client would have."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


cast("Any", AsyncGenerator).register(_AsyncChunks)  # clients close what they take for a generator


class Playing:
    """A recorded body. Whoever reads it goes on where the last reader stopped."""

    def __init__(self, step: Step, recorded: Recorded) -> None:
        self._chunks = body(step, recorded)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


class AsyncPlaying:
    """The same for an async client."""

    def __init__(self, step: Step, recorded: Recorded) -> None:
        self._chunks = BodyInTurn(step, recorded)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks
