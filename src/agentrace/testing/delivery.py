"""Sending an answer over ASGI: whole or event by event, slowly, or only as far as the script lets it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from .answers import Drop
from .server import ConnectionDropped, Send
from .wire import Headers


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer in bytes: one chunk if it is whole, one for each event if it is a stream."""

    status: int
    headers: Headers
    chunks: Iterable[bytes]
    stream: bool


async def deliver(send: Send, out: Outgoing, drop: Drop | None, pause: Callable[[], float]) -> None:
    """Sends ``out``, pausing before each event but the first; stops where ``drop`` says.

    Raises `ConnectionDropped` where the connection is to be broken.
    """
    breaks = drop is not None and drop.how != "end"
    if drop is not None and breaks and drop.after_chunks is None and drop.after_bytes is None:
        raise ConnectionDropped(reset=drop.how == "reset")
    if out.stream:
        await _begin(send, out, None)
        await _stream(send, out.chunks if drop is None else _first(out.chunks, drop), pause)
        await send({"type": "http.response.body", "body": b"", "more_body": breaks})
    else:
        whole = b"".join(out.chunks)
        sent = whole if drop is None else whole[: _kept(whole, drop)]
        await _begin(send, out, len(whole if breaks else sent))
        await send({"type": "http.response.body", "body": sent, "more_body": breaks})
    if drop is not None and breaks:
        raise ConnectionDropped(reset=drop.how == "reset")


async def _begin(send: Send, out: Outgoing, length: int | None) -> None:
    sized = [] if length is None else [("content-length", str(length))]
    headers = [(name.encode(), value.encode()) for name, value in (*out.headers, *sized)]
    await send({"type": "http.response.start", "status": out.status, "headers": headers})


async def _stream(send: Send, chunks: Iterable[bytes], pause: Callable[[], float]) -> None:
    first = True
    for chunk in chunks:
        wait = 0.0 if first else pause()
        if wait:
            await asyncio.sleep(wait)
        first = False
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


def _first(chunks: Iterable[bytes], drop: Drop) -> Iterator[bytes]:
    """The events that are sent of a stream, the last of them perhaps in part."""
    left = drop.after_bytes
    for chunk in islice(chunks, drop.after_chunks if left is None else None):
        if left is not None and len(chunk) > left:
            yield chunk[:left]
            return
        left = None if left is None else left - len(chunk)
        yield chunk


def _kept(whole: bytes, drop: Drop) -> int:
    """How many bytes are sent of a body in one piece, which has no chunks to count: else its half."""
    return len(whole) // 2 if drop.after_bytes is None else drop.after_bytes
