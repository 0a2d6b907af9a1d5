"""Anthropic's messages, in one piece and as the named events of a stream, and the count of a request's tokens."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import msgspec

from agentrace.testing.answers import Failure, Reply, ToolCall
from agentrace.testing.mint import Mint, pieces
from agentrace.testing.wire import Ask, Endpoint, Tokens, arguments_of, decoded, tokens

from .errors import error
from .models import snapshot
from .reading import answerable, asked

Event = dict[str, Any]

_STOPPED = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
"""What the finish reasons of a script are called on this wire, beside its own."""

_LEAST_CACHED = 1024
"""Tokens that a prompt has to have before it is cached."""


def _whole(ask: Ask, reply: Reply, mint: Mint) -> Event:
    message = _message(ask, reply, mint)
    return {**message, "content": list(_blocks(ask, reply, mint)), **_ending(reply), "usage": _usage(ask, reply, mint)}


def _message(ask: Ask, reply: Reply, mint: Mint) -> Event:
    """The message before there is anything in it."""
    return {
        "model": reply.model or snapshot(ask.model),
        "id": f"msg_01{mint.letters(22)}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(ask: Ask, reply: Reply, mint: Mint) -> Iterator[Event]:
    """The finished content: thoughts, then words, then calls. A refusal has none."""
    if reply.reasoning is not None or ask.thinks:
        thought = mint.sentence() if reply.reasoning is None else reply.reasoning
        signature = b64encode(mint.letters(90).encode()).decode()
        yield {"type": "thinking", "thinking": thought, "signature": signature}
    if reply.text:
        yield {"type": "text", "text": reply.text}
    for call in reply.tool_calls:
        yield {"type": "tool_use", "id": f"toolu_01{mint.letters(22)}", "name": call.name, "input": _input(call)}


def _input(call: ToolCall) -> Any:
    """A call's arguments, which are JSON on this wire: text that is none can only be sent in a stream."""
    if isinstance(call.arguments, str):
        read = decoded(call.arguments.encode())
        return {} if read is None else read
    return call.arguments


def _ending(reply: Reply) -> Event:
    usual = "refusal" if reply.refusal is not None else "tool_use" if reply.tool_calls else "end_turn"
    told = reply.finish_reason
    refused = {"stop_details": {"type": "refusal", "category": None, "explanation": reply.refusal}}
    return {
        "stop_reason": usual if told is None else _STOPPED.get(told, told),
        "stop_sequence": None,
        **(refused if reply.refusal is not None else {}),
    }


# --- streams ------------------------------------------------------------------------------------------------


def _events(ask: Ask, reply: Reply, mint: Mint, broken: Failure | None) -> Iterator[bytes]:
    if broken is None:
        yield from map(_sse, _happy(ask, reply, mint))
        return
    begun = list(_happy(ask, reply, mint))[:-1]  # it does not come to its end in any case
    yield from map(_sse, begun[: broken.after_chunks])
    yield _sse(error(broken, ask, mint))


def _happy(ask: Ask, reply: Reply, mint: Mint) -> Iterator[Event]:
    used = _usage(ask, reply, mint)
    begun = {name: count for name, count in used.items() if name != "output_tokens_details"}
    yield {"type": "message_start", "message": {**_message(ask, reply, mint), "usage": {**begun, "output_tokens": 1}}}
    calls = iter(reply.tool_calls)
    for index, block in enumerate(_blocks(ask, reply, mint)):
        emptied = {**block, **{name: type(block[name])() for name in _FILLED[block["type"]]}}
        yield {"type": "content_block_start", "index": index, "content_block": emptied}
        if index == 0:
            yield {"type": "ping"}
        for delta in _deltas(reply, block, calls):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    told = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    totals = {name: used[name] for name in (*told, "output_tokens_details")}
    yield {"type": "message_delta", "delta": _ending(reply), "usage": totals}
    yield {"type": "message_stop"}


_FILLED: dict[str, tuple[str, ...]] = {"thinking": ("thinking", "signature"), "text": ("text",), "tool_use": ("input",)}
"""The fields of a block that are empty when it starts, and filled by the deltas after it."""


def _deltas(reply: Reply, block: Event, calls: Iterator[ToolCall]) -> Iterator[Event]:
    if block["type"] == "thinking":
        for piece in pieces(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "text":
        for piece in reply.pieces or pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    else:
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in pieces(arguments_of(next(calls).arguments)):
            yield {"type": "input_json_delta", "partial_json": piece}


def _sse(event: Event) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), msgspec.json.encode(event))


# --- tokens -------------------------------------------------------------------------------------------------


def _usage(ask: Ask, reply: Reply, mint: Mint) -> Event:
    """The buckets do not overlap here: what the cache was read or written for is no part of ``input_tokens``."""
    used = tokens(ask, [reply], mint)
    written = _written(ask, reply, used)
    an_hour = b'"ttl":"1h"' in msgspec.json.encode(ask.body)
    return {
        "input_tokens": max(0, used.input - used.cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": used.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0 if an_hour else written,
            "ephemeral_1h_input_tokens": written if an_hour else 0,
        },
        "output_tokens": used.output,
        "output_tokens_details": {"thinking_tokens": used.reasoning},
        "service_tier": "standard",
    }


def _written(ask: Ask, reply: Reply, used: Tokens) -> int:
    """What is written to the cache: what the script says, else a long marked prompt that is not there yet."""
    if reply.usage is not None and reply.usage.written is not None:
        return reply.usage.written
    fresh = used.input - used.cached
    return fresh if ask.caches and fresh >= _LEAST_CACHED else 0


def _counted(ask: Ask, _reply: None, _mint: Mint) -> Event:
    return {"input_tokens": ask.input_tokens}


MESSAGES = Endpoint("messages", "model", "POST", re.compile("/v1/messages"), answerable, _whole, _events)
COUNTING = Endpoint("count_tokens", "list", "POST", re.compile("/v1/messages/count_tokens"), asked, _counted)
