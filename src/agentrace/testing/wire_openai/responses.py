"""OpenAI's responses, in one piece and as the named, numbered events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec

from agentrace.testing.answers import Failure, Reply, ToolCall
from agentrace.testing.mint import Mint, estimate, pieces
from agentrace.testing.wire import Ask, Endpoint, Tokens, arguments_of, tokens

from .errors import NO_MODEL, error, missing
from .models import path, snapshot, thinks
from .reading import first_missing, must_call, schema_of, size_of, text_of, tools_of

Event = dict[str, Any]

_UNFINISHED = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""What the finish reasons of a script are called in an incomplete response."""

_SETTINGS: dict[str, Any] = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response says of its own request: these, or what the request set."""


def _read(body: dict[str, Any], groups: dict[str, str | None]) -> Ask | Failure:
    model = body.get("model") or groups.get("deployment")
    given = body.get("input")
    if not model:
        return NO_MODEL
    if given is None:
        return missing("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    tools = tools_of(body.get("tools"))
    forced = must_call(body.get("tool_choice"), tools)
    if isinstance(forced, Failure):
        return forced
    last = items[-1] if items else {}
    read = len(body.get("instructions") or "") + size_of(body.get("tools"))
    resumed = bool(body.get("previous_response_id")) or any(_spoken(item) for item in items)
    return _unanswered(items) or Ask(
        body=body,
        model=str(model),
        stream=bool(body.get("stream")),
        text=text_of(last.get("content", last.get("output"))),
        role="tool" if last.get("type") == "function_call_output" else last.get("role", ""),
        tools=tools,
        must_call=forced,
        schema=schema_of((body.get("text") or {}).get("format")),
        limit=body.get("max_output_tokens"),
        thinks=thinks(str(model)),
        resumed=resumed,
        input_tokens=estimate(read) + sum(4 + estimate(_size(item)) for item in items),
    )


def _spoken(item: dict[str, Any]) -> bool:
    return item.get("role") == "assistant" or item.get("type") == "function_call"


def _size(item: dict[str, Any]) -> int:
    said = text_of(item.get("content")) + text_of(item.get("output"))
    return len(said) + len(item.get("arguments") or "")


def _unanswered(items: list[dict[str, Any]]) -> Failure | None:
    """The error for a function call in the input whose output is not."""
    calls = [item.get("call_id", "") for item in items if item.get("type") == "function_call"]
    outputs = [item.get("call_id", "") for item in items if item.get("type") == "function_call_output"]
    lost = first_missing(calls, outputs)
    return (
        None
        if lost is None
        else Failure(status=400, param="input", message=f"No tool output found for function call {lost}.")
    )


class _Answer:
    """One response while it is made: its ids, its frame, and its items as they get done."""

    def __init__(self, ask: Ask, reply: Reply, mint: Mint) -> None:
        self.ask, self.reply, self.mint = ask, reply, mint
        self._stem = f"{mint.hex(16)}00{mint.now:08x}"
        self.id = self.named("resp")

    def named(self, kind: str) -> str:
        """An id of this response's family: ``msg_``, ``fc_``, ``rs_`` or ``resp_`` and 50 digits."""
        return f"{kind}_{self._stem}{self.mint.hex(24)}"

    def items(self) -> list[Event]:
        """The finished output: thoughts, then words, then calls."""
        reply, items = self.reply, []
        if reply.reasoning is not None or self.ask.thinks:
            summary = [{"type": "summary_text", "text": reply.reasoning}] if reply.reasoning else []
            items.append({"id": self.named("rs"), "type": "reasoning", "summary": summary})
        if reply.refusal is not None:
            items.append(self._message({"type": "refusal", "refusal": reply.refusal}))
        elif reply.text is not None or not reply.tool_calls:
            items.append(self._message(_spoken_part(reply.text or "")))
        return items + [self._call(call) for call in reply.tool_calls]

    def _message(self, part: Event) -> Event:
        return {
            "id": self.named("msg"),
            "type": "message",
            "status": "completed",
            "content": [part],
            "role": "assistant",
        }

    def _call(self, call: ToolCall) -> Event:
        return {
            "id": self.named("fc"),
            "type": "function_call",
            "status": "completed",
            "arguments": arguments_of(call.arguments),
            "call_id": f"call_{self.mint.letters(24)}",
            "name": call.name,
        }

    def frame(self, status: str, output: list[Event], failed: Event | None = None) -> Event:
        """The response object in one of its states; only at its end it has usage."""
        body = self.ask.body
        ended = status in ("completed", "incomplete")
        why = _UNFINISHED.get(self.reply.finish_reason or "")
        text = body.get("text") or {}
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.mint.now,
            "status": status,
            "billing": {"payer": "developer"},
            "completed_at": self.mint.now if status == "completed" else None,
            "error": failed,
            "incomplete_details": {"reason": why} if status == "incomplete" else None,
            "model": self.reply.model or snapshot(self.ask.model),
            "output": output,
            "moderation": None,
            "reasoning": {"context": None, "effort": None, "summary": None, **(body.get("reasoning") or {})},
            "service_tier": "default" if ended else "auto",
            "text": {"verbosity": "medium", **text, "format": text.get("format") or {"type": "text"}},
            "usage": _usage(tokens(self.ask, [self.reply], self.mint)) if ended else None,
            **{name: body.get(name, usual) for name, usual in _SETTINGS.items()},
        }

    def ending(self) -> str:
        """The state it ends in."""
        return "incomplete" if self.reply.finish_reason in _UNFINISHED else "completed"


def _whole(ask: Ask, reply: Reply, mint: Mint) -> Event:
    answer = _Answer(ask, reply, mint)
    return answer.frame(answer.ending(), answer.items())


def _events(ask: Ask, reply: Reply, mint: Mint, broken: Failure | None) -> Iterator[bytes]:
    answer = _Answer(ask, reply, mint)
    if broken is None:
        yield from map(_sse, _happy(answer), count())
        return
    begun = list(_happy(answer))[:-1][: broken.after_chunks]  # it does not come to its end in any case
    yield from map(_sse, begun, count())
    yield from _broken(answer, broken, len(begun))


def _broken(answer: _Answer, broken: Failure, number: int) -> Iterator[bytes]:
    told = error(broken, answer.ask)
    code = told["code"] or "server_error"
    yield _sse({"type": "error", "error": {**told, "code": code}}, number)
    failed = answer.frame("failed", [], {"code": code, "message": told["message"]})
    yield _sse({"type": "response.failed", "response": failed}, number + 1)


def _happy(answer: _Answer) -> Iterator[Event]:
    started = answer.frame("in_progress", [])
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    output = answer.items()
    for index, item in enumerate(output):
        begun = {"status": "in_progress"} if "status" in item else {}
        emptied = {**item, **begun, **{key: type(item[key])() for key in _FILLED[item["type"]]}}
        yield {"type": "response.output_item.added", "output_index": index, "item": emptied}
        where = {"item_id": item["id"], "output_index": index}
        yield from _FILLINGS[item["type"]](answer, item, where)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    ending = answer.ending()
    yield {"type": f"response.{ending}", "response": answer.frame(ending, output)}


def _message_events(answer: _Answer, item: Event, where: Event) -> Iterator[Event]:
    part = item["content"][0]
    where = {**where, "content_index": 0}
    refused = part["type"] == "refusal"
    name, field = ("refusal", "refusal") if refused else ("output_text", "text")
    extra: Event = {} if refused else {"logprobs": []}
    yield {"type": "response.content_part.added", **where, "part": {**part, field: ""}}
    for piece in (not refused and answer.reply.pieces) or pieces(part[field]):
        yield {"type": f"response.{name}.delta", **where, "delta": piece, **extra, **_padding(answer, piece)}
    yield {"type": f"response.{name}.done", **where, field: part[field], **extra}
    yield {"type": "response.content_part.done", **where, "part": part}


def _call_events(answer: _Answer, item: Event, where: Event) -> Iterator[Event]:
    for piece in pieces(item["arguments"]):
        yield {
            "type": "response.function_call_arguments.delta",
            **where,
            "delta": piece,
            **_padding(answer, piece),
        }
    yield {"type": "response.function_call_arguments.done", **where, "arguments": item["arguments"]}


def _reasoning_events(answer: _Answer, item: Event, where: Event) -> Iterator[Event]:
    for index, part in enumerate(item["summary"]):
        where = {**where, "summary_index": index}
        yield {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}}
        for piece in pieces(part["text"]):
            yield {
                "type": "response.reasoning_summary_text.delta",
                **where,
                "delta": piece,
                **_padding(answer, piece),
            }
        yield {"type": "response.reasoning_summary_text.done", **where, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **where, "part": part}


_FILLED = {"message": ("content",), "function_call": ("arguments",), "reasoning": ("summary",)}
"""The fields of an item that are empty when it is added, and filled by the events after it."""

_FILLINGS = {"message": _message_events, "function_call": _call_events, "reasoning": _reasoning_events}


def _spoken_part(text: str) -> Event:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _padding(answer: _Answer, piece: str) -> Event:
    """The field that OpenAI adds so that the size of an event does not tell the size of its text."""
    wanted = (answer.ask.body.get("stream_options") or {}).get("include_obfuscation", True)
    return {"obfuscation": answer.id[-16:][len(piece) % 12 :]} if wanted else {}


def _sse(event: Event, number: int) -> bytes:
    numbered = {"type": event["type"], "sequence_number": number, **event}
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), msgspec.json.encode(numbered))


def _usage(used: Tokens) -> Event:
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.written},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }


RESPONSES = Endpoint("responses", "model", "POST", path("/responses"), _read, _whole, _events)
