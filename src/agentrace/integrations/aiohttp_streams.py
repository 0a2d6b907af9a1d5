"""Bodies of aiohttp: recorded as the program takes them, and played back when it waits for more.

What is told of a body is what the program took at a time, so that on a replay the same is there again at that time. The
reader of a response becomes one of ours in place, because the parser goes on feeding it; its slots hold nothing else,
so its exchange is kept with the timer that it has anyway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct

from agentrace.capture.exchange import CLOSED, Exchange
from agentrace.capture.scope import FLOW

_BY_THE_PROGRAM = ("Connection closed",)
"""What the error says that a response gives its reader when it is closed."""


class Timed:
    """The timer of a reader, with the exchange whose body it reads."""

    def __init__(self, timer: Any, exchange: Exchange) -> None:
        self._timer, self.exchange = timer, exchange
        self.taking = False
        """Whether pieces are being taken that are told together."""
        self.given_up: BaseException | None = None
        """What ended the last wait from outside, unless the program came back since."""

    def __enter__(self) -> Any:
        return self._timer.__enter__()

    def __exit__(self, *how: Any) -> Any:
        return self._timer.__exit__(*how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._timer, name)

    def closed(self) -> None:
        """The program will not read any more."""
        if self.given_up is not None:
            self.exchange.end("error", self.given_up)
        self.exchange.end(CLOSED)

    def __del__(self) -> None:
        if self.given_up is None:
            self.exchange.lost()
        else:
            self.exchange.end("error", self.given_up)


class Readers(Struct, frozen=True):
    """The classes of readers, by what is done with them."""

    recorded: type
    played: type


def readers(module: Any) -> Readers:
    """Readers of ``module``, which is ``aiohttp``: its responses insist on their own class."""
    base = module.StreamReader
    named = {"__slots__": (), "__module__": base.__module__, "__doc__": base.__doc__}
    closing = module.ClientConnectionError

    def set_exception(self: Any, exc: BaseException, *cause: Any) -> None:
        base.set_exception(self, exc, *cause)
        if type(exc) is closing and exc.args == _BY_THE_PROGRAM:
            self._timer.closed()
        else:
            self._timer.exchange.end("error", exc)

    async def _wait(self: Any, func_name: str) -> None:
        await _waited(self, base._wait(self, func_name))

    async def _wait_for_record(self: Any, _: str) -> None:
        await _waited(self, _following(self))

    def _read_nowait(self: Any, n: int) -> Any:
        timed = self._timer
        timed.taking = True
        try:
            data = base._read_nowait(self, n)
        finally:
            timed.taking = False
        return _told(self, data)

    def _read_nowait_chunk(self: Any, n: int) -> Any:
        data = base._read_nowait_chunk(self, n)
        return data if self._timer.taking else _told(self, data)

    took = {"_read_nowait": _read_nowait, "_read_nowait_chunk": _read_nowait_chunk, "set_exception": set_exception}
    recorded = type(base.__name__, (base,), {**named, **took, "_wait": _wait})
    playing = {**named, "__slots__": ("agentrace_pieces",), "_wait": _wait_for_record}
    return Readers(recorded, type(base.__name__, (recorded,), playing))


def _told(reader: Any, data: bytes) -> bytes:
    exchange = reader._timer.exchange
    if data:
        exchange.data(data)
    if reader._eof and not reader._buffer:
        exchange.end("exhausted")
    return data


async def _waited(reader: Any, more: Any) -> None:
    timed, outside = reader._timer, FLOW.get()
    timed.given_up = None
    FLOW.set(timed.exchange.step)  # what the transport does meanwhile, such as its timers, belongs to the step
    try:
        await more
    except Exception as error:
        timed.exchange.end("error", error)
        raise
    except BaseException as error:  # cancelled: the program may come back for the rest
        timed.given_up = error
        raise
    finally:
        FLOW.set(outside)
    if reader._eof and not reader._buffer:
        timed.exchange.end("exhausted")


async def _following(reader: Any) -> None:
    """Feed a reader what its record holds next."""
    pieces: AsyncIterator[bytes] = reader.agentrace_pieces
    try:
        with reader._timer:
            piece = await pieces.__anext__()
    except StopAsyncIteration:
        reader.feed_eof()
    except Exception as error:
        reader.set_exception(error)
        raise
    else:
        in_chunks = reader._http_chunk_splits is not None
        reader.feed_data(piece)
        if in_chunks:
            reader.end_http_chunk_receiving()
