"""The openai client as a subject of the contract: its scenarios, and what each leaves in the record."""

from __future__ import annotations

import json
from typing import Any

import httpx
import httpx2
import openai
import openai._base_client as base

from agentrace.testing import Reply, StubProvider, Usage
from tests.contract import openai_scenarios as does
from tests.contract import openai_transports as beneath
from tests.contract.far_end import Canned, canned, stopping, stub
from tests.contract.openai_json import told_by
from tests.contract.scenarios import Expected, Scenario, Subject, available

CHAT, RESPONSES, EMBEDDINGS = "chat/completions", "responses", "embeddings"
USAGE = Usage(input=1200, output=80, cached=1024, reasoning=64)
LONG = Reply(text="one two three four five six seven", usage=USAGE)
ALICE: dict[str, Any] = {"name": "Alice", "age": 7}


def step(operation: str, outcome: str = "ok", *statuses: int, kind: str = "model", last: str = "exhausted") -> Expected:
    """The one step that a call of ``operation`` leaves."""
    name = f"openai.{operation.partition(':')[0].replace('/', '.')}"
    return Expected(kind, name, operation, outcome, statuses or (200,), last)


def whole(name: str, call: Any, operation: str = CHAT, **options: Any) -> Scenario:
    """A scenario of one call that is answered whole."""
    kind = options.pop("kind", "model")
    return Scenario(name, call, (step(operation, kind=kind),), **options)


def stream(name: str, call: Any, operation: str = CHAT, **options: Any) -> Scenario:
    """A scenario of one call whose answer is a stream that is read to its end."""
    return Scenario(name, call, (step(f"{operation}:stream", "exhausted"),), **options)


def left(name: str, call: Any, **options: Any) -> Scenario:
    """A scenario of a stream that is not read to its end."""
    closed = step(f"{CHAT}:stream", "closed_by_consumer", last="closed_by_consumer")
    return Scenario(name, call, (closed,), tell=lambda s: s.answer(LONG), leaves=True, **options)


def fails(name: str, call: Any, tell: Any, *statuses: int, last: str = "exhausted", **options: Any) -> Scenario:
    """A scenario of one call that raises."""
    return Scenario(name, call, (step(CHAT, "error", *statuses, last=last),), tell=tell, **options)


def breaks(name: str, call: Any, tell: Any, operation: str = CHAT, **options: Any) -> Scenario:
    """A scenario of a stream in which the connection breaks."""
    return Scenario(name, call, (step(f"{operation}:stream", "error", last="error"),), tell=tell, **options)


WHOLE = (
    whole("chat", does.chat, tell=lambda s: s.reply("Hi.", usage=USAGE)),
    whole("chat-tools", does.chat_with_tools),
    whole("chat-two-tools", does.chat, tell=lambda s: s.tool_calls(("weather", {"city": "Rome"}), ("weather", "{bad"))),
    whole("chat-refused", does.chat, tell=lambda s: s.refusal("I will not.")),
    whole("chat-cut-short", does.chat, tell=lambda s: s.reply("Hi.", finish_reason="length")),
    whole("chat-parse", does.chat_parse, tell=lambda s: s.reply(ALICE), needs="chat.completions.parse"),
    whole("chat-arguments", does.chat_leaves_its_arguments_alone),
    whole("chat-extras", does.chat_with_extras),
    whole(
        "responses",
        does.responses,
        RESPONSES,
        tell=lambda s: s.reply("Hi.", usage=USAGE, reasoning="Hm."),
        needs="responses",
    ),
    whole("responses-parse", does.responses_parse, RESPONSES, tell=lambda s: s.reply(ALICE), needs="responses"),
    whole("embeddings", does.embeddings, EMBEDDINGS, kind="embedding"),
    whole("embeddings-numbers", does.embeddings_as_numbers, EMBEDDINGS, kind="embedding"),
    Scenario("conversation", does.conversation, (step(CHAT), step(CHAT))),
    whole("raw-chat", does.raw_chat),
    whole("raw-embeddings", does.raw_embeddings, EMBEDDINGS, kind="embedding"),
    whole("gzip", does.raw_chat, encoding="gzip", same_bytes=False),
    whole("deflate", does.raw_chat, encoding="deflate", same_bytes=False),
)

STREAMS = (
    stream("chat-stream", does.chat_stream, tell=lambda s: s.answer(LONG)),
    stream("chat-stream-usage", does.chat_stream_with_usage, tell=lambda s: s.answer(LONG)),
    stream("chat-stream-object", does.chat_stream_as_object),
    stream("chat-stream-tools", does.chat_stream, tell=lambda s: s.tool_calls(("weather", {"city": "Rome"}))),
    stream("chat-helper", does.chat_stream_helper, needs="chat.completions.stream"),
    stream(
        "chat-helper-parse",
        does.chat_stream_helper_parses,
        tell=lambda s: s.reply(ALICE),
        needs="chat.completions.stream",
    ),
    stream("responses-stream", does.responses_stream, RESPONSES, tell=lambda s: s.answer(LONG), needs="responses"),
    stream("responses-helper", does.responses_stream_helper, RESPONSES, needs="responses"),
    stream("raw-stream", does.raw_chat_stream),
    stream("gzip-stream", does.chat_stream, encoding="gzip", same_bytes=False),
    Scenario("streamed-lines", does.streamed_response_lines, (step(CHAT, "exhausted"),)),
    Scenario("streamed-parsed", does.streamed_response_parsed, (step(CHAT, "exhausted"),)),
    Scenario(
        "streamed-unread",
        does.streamed_response_unread,
        (step(CHAT, "closed_by_consumer", last="closed_by_consumer"),),
    ),
    left("stream-left", does.chat_stream_left),
    left("stream-closed", does.chat_stream_closed),
    left("stream-closed-unread", does.chat_stream_closed_unread),
    left("helper-left", does.chat_stream_helper_left, needs="chat.completions.stream"),
    Scenario(
        "two-streams",
        beneath.two_streams,
        (step(f"{CHAT}:stream", "exhausted"), step(f"{CHAT}:stream", "exhausted")),
    ),
)


def _page(ids: tuple[str, ...], more: bool) -> Canned:
    rest = {"object": "file", "bytes": 1, "created_at": 1, "filename": "f", "purpose": "batch", "status": "processed"}
    data = [{"id": one, **rest} for one in ids]
    return Canned(json.dumps({"object": "list", "data": data, "has_more": more}).encode())


_SOUND = (("content-type", "audio/mpeg"),)
_FILE = {"id": "f-1", "object": "file", "bytes": 9, "created_at": 1, "filename": "n", "purpose": "a", "status": "ok"}
_MOVED = (("location", "/v1/elsewhere"), ("content-type", "text/plain"))

OTHERS = (
    whole("models", does.models, "models", kind="tool"),
    Scenario(
        "pages",
        does.pages,
        (step("files", kind="tool"), step("files", kind="tool")),
        needs="responses",  # the limit of the list is as young as they are
        app=lambda: canned(
            {
                "GET /v1/files?limit=2": _page(("f-1", "f-2"), True),
                "GET /v1/files?limit=2&after=f-2": _page(("f-3",), False),
            }
        ),
    ),
    Scenario(
        "speech",
        does.speech,
        (step("audio/speech"),),
        app=lambda: canned({"POST /v1/audio/speech": Canned((bytes(range(256)) * 99, b"\0"), headers=_SOUND)}),
    ),
    Scenario(
        "upload",
        does.upload,
        (step("files", kind="tool"),),
        app=lambda: canned({"POST /v1/files": Canned(json.dumps(_FILE).encode())}),
    ),
    Scenario(
        "transcription",
        does.transcription,
        (step("audio/transcriptions"),),
        app=lambda: canned({"POST /v1/audio/transcriptions": Canned(b'{"text": "Hello."}')}),
    ),
    Scenario(
        "redirected",
        does.raw_chat,
        (step(CHAT, "ok", 307, 200),),
        app=lambda: canned(
            {
                "POST /v1/chat/completions": Canned(b"gone", 307, _MOVED),
                "POST /v1/elsewhere": Canned(beneath.canned_answer()),
            }
        ),
    ),
)


def _retried(stub: StubProvider) -> None:
    stub.error(429, retry_after_ms=1).error(503, retry_after_ms=1).reply("At last.", usage=USAGE)


FAILURES = (
    *(
        fails(f"error-{status}", does.chat, lambda s, status=status: s.error(status), status, only=only)
        for status, only in (
            (400, ""),
            (401, "sync"),
            (404, "async"),
            (429, "sync"),
            (500, ""),
            (502, ""),
            (529, "async"),
        )
    ),
    Scenario("retried", does.raw_chat_with_retries, (step(CHAT, "ok", 429, 503, 200),), tell=_retried),
    fails("retried-in-vain", does.chat_with_retries, lambda s: s.when("").error(429, retry_after_ms=1), 429, 429, 429),
    Scenario(
        "retried-by-chance",
        does.chat_with_retries,
        (step(CHAT, "ok", 500, 0, 200),),
        tell=lambda s: s.error(500).drop().reply("At last."),
    ),
    fails("dropped", does.chat, lambda s: s.drop(), 0, last="error"),
    fails("dropped-in-the-body", does.chat, lambda s: s.drop(after_bytes=20, how="close"), 200, last="error"),
    fails("too-slow", does.chat_too_slow, lambda s: s.reply("Late.", delay=5), 0, last="error"),
    breaks("stream-reset", does.chat_stream_that_breaks, lambda s: s.drop(2, of=LONG)),
    breaks("stream-cut", does.chat_stream_that_breaks, lambda s: s.drop(2, how="close", of=LONG)),
    stream("stream-ends-early", does.chat_stream_that_breaks, tell=lambda s: s.drop(2, how="end", of=LONG)),
    Scenario(
        "stream-error-event",
        does.chat_stream_that_breaks,
        (step(f"{CHAT}:stream", "closed_by_consumer", last="closed_by_consumer"),),
        tell=lambda s: s.error(500, after_chunks=2, of=LONG),
    ),
    breaks(
        "responses-stream-cut",
        does.responses_stream_that_breaks,
        lambda s: s.drop(4, of=LONG),
        RESPONSES,
        needs="responses",
    ),
    Scenario(
        "responses-stream-error-event",
        does.responses_stream_that_breaks,
        (step(f"{RESPONSES}:stream", "closed_by_consumer", last="closed_by_consumer"),),
        tell=lambda s: s.error(500, after_chunks=4, of=LONG),
        needs="responses",
    ),
)

CANCELLED = (
    Scenario(
        "cancelled",
        does.chat_cancelled,
        (step(CHAT, "cancelled", 0, last="error"),),
        tell=lambda s: s.reply("Late.", delay=5),
        only="async",
    ),
    Scenario(
        "stream-cancelled",
        does.chat_stream_cancelled,
        (step(f"{CHAT}:stream", "cancelled", last="error"),),
        app=lambda: stopping(stub(lambda s: s.answer(LONG)), 2),
        only="async",
    ),
    Scenario(
        "out-of-time",
        does.chat_out_of_time,
        (step(CHAT, "cancelled", 0, last="error"), step(RESPONSES)),
        tell=lambda s: s.reply("Late.", delay=5, on="chat"),
        only="async",
        needs="responses",
    ),
)


BENEATH = (
    whole("mock-transport", beneath.mock_transport, same_bytes=False),
    whole("mock-stream", beneath.mock_stream, f"{CHAT}:stream"),
    fails("mock-failure", beneath.mock_failure, lambda s: s, 0, last="error"),
    fails("mock-mistake", beneath.mock_mistake, lambda s: s, 0, last="error"),
    stream("http2", beneath.http2_transport),
    stream("bare-head", beneath.bare_transport),
    whole("event-hooks", beneath.event_hooks),
    Scenario("hook-asks", beneath.hook_that_asks, (step(f"{CHAT}:stream", "exhausted", 200, 200),)),
    Scenario("many-at-once", beneath.many_at_once, (step(CHAT),) * 6, only="async", racing=True),
    Scenario(
        "many-after-a-stream",
        beneath.many_after_a_stream,
        (step(f"{CHAT}:stream", "closed_by_consumer", last="closed_by_consumer"), step(CHAT), step(CHAT)),
        only="async",
    ),
    Scenario("many-threads", beneath.many_threads, (step(CHAT),) * 6, only="sync", racing=True),
)

SCENARIOS = available((*WHOLE, *STREAMS, *OTHERS, *FAILURES, *CANCELLED, *BENEATH), openai.OpenAI(api_key=does.KEY))
ON_HTTPX2 = hasattr(base, "httpx2")
"""Whether the installed version is built on the newer transport library, and takes clients of the older one too."""
OPENAI = Subject("openai", httpx2 if ON_HTTPX2 else httpx, does.client, SCENARIOS, key=does.KEY, told=told_by)
_OVER_ANY_TRANSPORT = {
    *("chat", "raw-chat", "chat-stream-object", "streamed-lines", "stream-left", "stream-closed", "upload"),
    *("redirected", "retried", "error-400", "dropped", "too-slow", "stream-cut", "cancelled", "stream-cancelled"),
    *("mock-transport", "bare-head", "event-hooks"),
}
_OVER_HTTPX = Subject(
    "openai-over-httpx",
    httpx,
    does.client,
    (
        *(scenario for scenario in SCENARIOS if scenario.name in _OVER_ANY_TRANSPORT),
        stream("zstd-stream", does.chat_stream, encoding="zstd", same_bytes=False),
        whole("zstd", does.raw_chat, encoding="zstd", same_bytes=False),
    ),
    key=does.KEY,
)
LEGACY = (_OVER_HTTPX,) if ON_HTTPX2 else ()
"""The same client with an ``http_client`` of the older transport library."""
