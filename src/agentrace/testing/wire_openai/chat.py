"""OpenAI's chat completions, in one piece and as a stream of chunks."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec

from agentrace.testing.answers import Failure, Reply
from agentrace.testing.mint import Mint, estimate, pieces
from agentrace.testing.wire import Ask, Endpoint, Tokens, arguments_of, tokens

from .errors import NO_MODEL, error, missing
from .models import path, snapshot, thinks
from .reading import first_missing, must_call, schema_of, size_of, text_of, tools_of

_UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
    "'tool_call_id'. The following tool_call_ids did not have response messages: "
)


def _read(body: dict[str, Any], groups: dict[str, str | None]) -> Ask | Failure:
    model = body.get("model") or groups.get("deployment")
    messages = body.get("messages")
    if not model:
        return NO_MODEL
    if not isinstance(messages, list) or not messages:
        return missing("messages")
    tools = tools_of(body.get("tools"))
    forced = must_call(body.get("tool_choice"), tools)
    if isinstance(forced, Failure):
        return forced
    last = messages[-1]
    return _unanswered(messages) or Ask(
        body=body,
        model=str(model),
        stream=bool(body.get("stream")),
        text=text_of(last.get("content")),
        role=last.get("role", ""),
        tools=tools,
        must_call=forced,
        schema=schema_of(body.get("response_format")),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        choices=body.get("n") or 1,
        thinks=thinks(str(model)),
        resumed=any(one.get("role") == "assistant" for one in messages),
        input_tokens=sum(4 + estimate(_size(one)) for one in messages) + estimate(size_of(body.get("tools"))),
    )


def _size(message: dict[str, Any]) -> int:
    return len(text_of(message.get("content"))) + size_of(message.get("tool_calls"))


def _unanswered(messages: list[dict[str, Any]]) -> Failure | None:
    """The error for a tool call whose result is not among the tool messages right behind it."""
    for place, message in enumerate(messages):
        calls = [call.get("id", "") for call in message.get("tool_calls") or ()]
        if not calls:
            continue
        behind = messages[place + 1 : place + 1 + len(calls)]
        lost = first_missing(calls, [one.get("tool_call_id", "") for one in behind if one.get("role") == "tool"])
        if lost is not None:
            return Failure(status=400, param="messages", message=_UNANSWERED + lost)
    return None


def _whole(ask: Ask, reply: Reply, mint: Mint) -> dict[str, Any]:
    one = {"message": _message(reply, mint), "logprobs": None, "finish_reason": _finish(reply)}
    return {
        "id": f"chatcmpl-{mint.letters(29)}",
        "object": "chat.completion",
        "created": mint.now,
        "model": _model(ask, reply),
        "choices": [{"index": index, **one} for index in range(ask.choices)],
        "usage": _usage(tokens(ask, [reply] * ask.choices, mint)),
        "service_tier": "default",
        "system_fingerprint": _fingerprint(ask),
    }


def _message(reply: Reply, mint: Mint) -> dict[str, Any]:
    calls = [
        {
            "id": f"call_{mint.letters(24)}",
            "type": "function",
            "function": {"name": call.name, "arguments": arguments_of(call.arguments)},
        }
        for call in reply.tool_calls
    ]
    return {
        "role": "assistant",
        "content": reply.text,
        **({"tool_calls": calls} if calls else {}),
        "refusal": reply.refusal,
        "annotations": [],
    }


def _events(ask: Ask, reply: Reply, mint: Mint, broken: Failure | None) -> Iterator[bytes]:
    if broken is None:
        yield from map(_sse, _chunks(ask, reply, mint))
        yield b"data: [DONE]\n\n"
        return
    begun = list(_chunks(ask, reply, mint))[:-1]  # it does not come to its last chunk in any case
    yield from map(_sse, begun[: broken.after_chunks])
    yield _sse({"error": error(broken, ask)})


def _chunks(ask: Ask, reply: Reply, mint: Mint) -> Iterator[dict[str, Any]]:
    options = ask.body.get("stream_options") or {}
    base = {
        "id": f"chatcmpl-{mint.letters(29)}",
        "object": "chat.completion.chunk",
        "created": mint.now,
        "model": _model(ask, reply),
        "service_tier": "default",
        "system_fingerprint": _fingerprint(ask),
    }
    counted = {"usage": None} if options.get("include_usage") else {}
    padding = mint.letters(16) if options.get("include_obfuscation", True) else ""
    for index in range(ask.choices):
        for delta, finish in _deltas(reply, mint):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            yield {**base, "choices": [choice], **counted, **_padded(delta, padding)}
    if counted:
        yield {**base, "choices": [], "usage": _usage(tokens(ask, [reply] * ask.choices, mint))}


def _deltas(reply: Reply, mint: Mint) -> Iterator[tuple[dict[str, Any], str | None]]:
    """What is new in each chunk of one choice, with the reason to finish in the last."""
    spoken = None if reply.text is None else ""
    yield {"role": "assistant", "content": spoken, "refusal": None}, None
    for piece in reply.pieces or pieces(reply.text or ""):
        yield {"content": piece}, None
    for piece in pieces(reply.refusal or ""):
        yield {"refusal": piece}, None
    for index, call in enumerate(reply.tool_calls):
        opening = {
            "index": index,
            "id": f"call_{mint.letters(24)}",
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        yield {"tool_calls": [opening]}, None
        for piece in pieces(arguments_of(call.arguments)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None
    yield {}, _finish(reply)


def _padded(delta: dict[str, Any], padding: str) -> dict[str, str]:
    """The field that OpenAI adds so that the size of a chunk does not tell the size of its text."""
    return {"obfuscation": padding[len(delta.get("content") or "") % 12 :]} if padding else {}


def _sse(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _model(ask: Ask, reply: Reply) -> str:
    return reply.model or snapshot(ask.model)


def _finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _fingerprint(ask: Ask) -> str | None:
    """Of the backend that served: the same for each answer of a model. Reasoning models have none."""
    return None if ask.thinks else f"fp_{blake2b(ask.model.encode(), digest_size=5).hexdigest()}"


def _usage(used: Tokens) -> dict[str, Any]:
    written = {"cache_write_tokens": used.written} if used.written else {}
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, **written, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


CHAT = Endpoint("chat", "model", "POST", path("/chat/completions"), _read, _whole, _events)
