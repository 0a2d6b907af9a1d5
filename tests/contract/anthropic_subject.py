"""The anthropic client as a subject of the contract: its scenarios, and what each leaves in the record."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import anthropic._base_client as base

from agentrace.testing import Reply, StubProvider, Usage
from tests.contract import anthropic_scenarios as does
from tests.contract.anthropic_json import told_by
from tests.contract.far_end import Canned, canned, stopping, stub
from tests.contract.scenarios import Expected, Scenario, Subject, available

MESSAGES, COUNT = "messages", "messages/count_tokens"
USAGE = Usage(input=2400, output=80, cached=1024, written=256, reasoning=64)
LONG = Reply(text="one two three four five six seven", usage=USAGE)
ALICE: dict[str, Any] = {"name": "Alice", "age": 7}


def step(operation: str, outcome: str = "ok", *statuses: int, kind: str = "model", last: str = "exhausted") -> Expected:
    """The one step that a call of ``operation`` leaves."""
    name = f"anthropic.{operation.partition(':')[0].replace('/', '.')}"
    return Expected(kind, name, operation, outcome, statuses or (200,), last)


def whole(name: str, call: Any, operation: str = MESSAGES, **options: Any) -> Scenario:
    """A scenario of one call that is answered whole."""
    kind = options.pop("kind", "model")
    return Scenario(name, call, (step(operation, kind=kind),), **options)


def stream(name: str, call: Any, **options: Any) -> Scenario:
    """A scenario of one call whose answer is a stream that is read to its end."""
    return Scenario(name, call, (step(f"{MESSAGES}:stream", "exhausted"),), **options)


def left(name: str, call: Any, **options: Any) -> Scenario:
    """A scenario of a stream that is not read to its end."""
    closed = step(f"{MESSAGES}:stream", "closed_by_consumer", last="closed_by_consumer")
    return Scenario(name, call, (closed,), tell=lambda s: s.answer(LONG), leaves=True, **options)


def fails(name: str, call: Any, tell: Any, *statuses: int, last: str = "exhausted", **options: Any) -> Scenario:
    """A scenario of one call that raises."""
    return Scenario(name, call, (step(MESSAGES, "error", *statuses, last=last),), tell=tell, **options)


def breaks(name: str, call: Any, tell: Any, **options: Any) -> Scenario:
    """A scenario of a stream in which the connection breaks."""
    return Scenario(name, call, (step(f"{MESSAGES}:stream", "error", last="error"),), tell=tell, **options)


def _call(name: str, arguments: Any) -> Any:
    return lambda s: s.tool_calls((name, arguments), reasoning="Which tool?")


WHOLE = (
    whole("message", does.message, tell=lambda s: s.reply("Hi.", usage=USAGE)),
    whole("message-tools", does.message_with_tools),
    whole("message-two-tools", does.message, tell=lambda s: s.tool_calls(("weather", {"city": "Rome"}), ("time", {}))),
    whole("message-refused", does.message, tell=lambda s: s.refusal("I will not.")),
    whole("message-cut-short", does.message, tell=lambda s: s.reply("Hi.", finish_reason="length")),
    whole("message-thinking", does.message_with_thinking, tell=lambda s: s.reply("Hi.", usage=USAGE, reasoning="Hm.")),
    whole("message-arguments", does.message_leaves_its_arguments_alone),
    whole("message-iterator", does.message_of_an_iterator),
    whole("message-extras", does.message_with_extras),
    whole("beta-message", does.beta_message),
    whole("parse", does.parse, tell=lambda s: s.reply(ALICE), needs="messages.parse"),
    whole(
        "completion",
        does.completion,
        "complete",
        app=lambda: canned({"POST /v1/complete": Canned(json.dumps(_COMPLETION).encode())}),
        needs="completions",
    ),
    whole("count-tokens", does.count_tokens, COUNT, kind="tool", needs="messages.count_tokens"),
    whole("beta-count-tokens", does.beta_count_tokens, COUNT, kind="tool"),
    Scenario(
        "tool-loop",
        does.tool_loop,
        (step(MESSAGES), step(MESSAGES)),
        tell=lambda s: s.tool_calls(("weather", {"city": "Rome"})).reply("Take an umbrella."),
        verdict="exact_with_caveats",  # the messages tell of a tool that nobody recorded
    ),
    whole("raw-message", does.raw_message),
    whole("gzip", does.raw_message, encoding="gzip", same_bytes=False),
)
_COMPLETION = {
    "type": "completion",
    "id": "compl_1",
    "completion": " Hi.",
    "stop_reason": "stop_sequence",
    "model": "claude-2.1",
}

STREAMS = (
    stream("stream", does.stream, tell=lambda s: s.answer(LONG)),
    stream("stream-object", does.stream_as_object),
    stream("stream-tools", does.stream, tell=_call("weather", {"city": "Rome"})),
    stream("stream-bad-tools", does.stream, tell=_call("weather", "{bad")),
    stream("stream-thinking", does.stream, tell=lambda s: s.reply("Hi.", usage=USAGE, reasoning="Well, well.")),
    stream("helper", does.stream_helper, tell=lambda s: s.answer(LONG)),
    stream("helper-final", does.stream_helper_final, tell=_call("weather", {"city": "Rome"})),
    stream("helper-texts", does.stream_helper_texts, tell=lambda s: s.answer(LONG)),
    stream("raw-stream", does.raw_message_stream),
    stream("gzip-stream", does.stream, encoding="gzip", same_bytes=False),
    Scenario("streamed-lines", does.streamed_response_lines, (step(MESSAGES, "exhausted"),)),
    Scenario("streamed-parsed", does.streamed_response_parsed, (step(MESSAGES, "exhausted"),)),
    Scenario(
        "streamed-unread",
        does.streamed_response_unread,
        (step(MESSAGES, "closed_by_consumer", last="closed_by_consumer"),),
    ),
    left("stream-left", does.stream_left),
    left("stream-closed", does.stream_closed),
    left("stream-closed-unread", does.stream_closed_unread),
    left("helper-left", does.stream_helper_left),
    Scenario("two-streams", does.two_streams, (step(f"{MESSAGES}:stream", "exhausted"),) * 2),
)


def _page(kind: str, ids: tuple[str, ...], more: bool, **rest: Any) -> Canned:
    data = [{"id": one, "type": kind, "created_at": "2025-09-29T00:00:00Z", **rest} for one in ids]
    return Canned(json.dumps({"data": data, "has_more": more, "first_id": ids[0], "last_id": ids[-1]}).encode())


_COUNTS = {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
_BATCH = {
    "processing_status": "ended",
    "request_counts": _COUNTS,
    "ended_at": None,
    "expires_at": "2025-09-30T00:00:00Z",
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": "/v1/messages/batches/msgbatch_1/results",
}
_RESULTS = tuple(
    json.dumps({"custom_id": name, "result": {"type": "canceled"}}).encode() + b"\n" for name in ("one", "two")
)


def _batch() -> Any:
    one = {"id": "msgbatch_1", "type": "message_batch", "created_at": "2025-09-29T00:00:00Z", **_BATCH}
    return Canned(json.dumps(one).encode())


OTHERS = (
    whole("models", does.models, "models", kind="tool", needs="models"),
    Scenario(
        "model-pages",
        does.model_pages,
        (step("models", kind="tool"),) * 2,
        app=lambda: canned(
            {
                "GET /v1/models?limit=2": _page("model", ("m-1", "m-2"), True, display_name="M"),
                "GET /v1/models?limit=2&after_id=m-2": _page("model", ("m-3",), False, display_name="M"),
            }
        ),
        needs="models",
    ),
    Scenario(
        "batches",
        does.batches,
        (step("messages/batches", kind="tool"),) * 2,
        app=lambda: canned(
            {
                "GET /v1/messages/batches?limit=2": _page("message_batch", ("b-1", "b-2"), True, **_BATCH),
                "GET /v1/messages/batches?limit=2&after_id=b-2": _page("message_batch", ("b-3",), False, **_BATCH),
            }
        ),
        needs="messages.batches",
    ),
    whole(
        "batch-made",
        does.batch_made,
        "messages/batches",
        kind="tool",
        app=lambda: canned({"POST /v1/messages/batches": _batch()}),
        needs="messages.batches",
    ),
    Scenario(
        "batch-results",
        does.batch_results,
        (
            step("messages/batches/msgbatch_1", kind="tool"),
            step("messages/batches/msgbatch_1/results:stream", "exhausted", kind="tool"),
        ),
        app=lambda: canned(
            {
                "GET /v1/messages/batches/msgbatch_1": _batch(),
                "GET /v1/messages/batches/msgbatch_1/results": Canned(
                    _RESULTS, headers=(("content-type", "application/x-jsonl"),)
                ),
            }
        ),
        needs="messages.batches",
    ),
)


def _retried(stub: StubProvider) -> None:
    stub.error(429, retry_after_ms=1).error(529, retry_after_ms=1).reply("At last.", usage=USAGE)


_OVERLOADED: dict[str, Any] = {"of": LONG, "after_chunks": 4}

FAILURES = (
    *(
        fails(f"error-{status}", does.message, lambda s, status=status: s.error(status), status, only=only)
        for status, only in ((400, ""), (401, "sync"), (404, "async"), (429, ""), (500, ""), (502, "sync"), (529, ""))
    ),
    fails("error-coded", does.message, lambda s: s.error(400, code="tool_name_conflict"), 400, only="sync"),
    Scenario("retried", does.raw_message_with_retries, (step(MESSAGES, "ok", 429, 529, 200),), tell=_retried),
    fails(
        "retried-in-vain", does.message_with_retries, lambda s: s.when("").error(529, retry_after_ms=1), 529, 529, 529
    ),
    Scenario(
        "retried-by-chance",
        does.message_with_retries,
        (step(MESSAGES, "ok", 500, 0, 200),),
        tell=lambda s: s.error(500).drop().reply("At last."),
    ),
    fails("dropped", does.message, lambda s: s.drop(), 0, last="error"),
    fails("dropped-in-the-body", does.message, lambda s: s.drop(after_bytes=20, how="close"), 200, last="error"),
    fails("too-slow", does.message_too_slow, lambda s: s.reply("Late.", delay=5), 0, last="error"),
    breaks("stream-reset", does.stream_that_breaks, lambda s: s.drop(4, of=LONG)),
    breaks("stream-cut", does.stream_that_breaks, lambda s: s.drop(4, how="close", of=LONG)),
    breaks("helper-cut", does.helper_that_breaks, lambda s: s.drop(6, how="close", of=LONG)),
    stream("stream-ends-early", does.stream_that_breaks, tell=lambda s: s.drop(4, how="end", of=LONG)),
    Scenario(
        "stream-error-event",
        does.stream_that_breaks,
        (step(f"{MESSAGES}:stream", "closed_by_consumer", last="closed_by_consumer"),),
        tell=lambda s: s.error(529, **_OVERLOADED),
    ),
    Scenario(
        "helper-error-event",
        does.helper_that_breaks,
        (step(f"{MESSAGES}:stream", "closed_by_consumer", last="closed_by_consumer"),),
        tell=lambda s: s.error(529, **_OVERLOADED),
    ),
)

CANCELLED = (
    Scenario(
        "cancelled",
        does.message_cancelled,
        (step(MESSAGES, "cancelled", 0, last="error"),),
        tell=lambda s: s.reply("Late.", delay=5),
        only="async",
    ),
    Scenario(
        "stream-cancelled",
        does.stream_cancelled,
        (step(f"{MESSAGES}:stream", "cancelled", last="error"),),
        app=lambda: stopping(stub(lambda s: s.answer(LONG)), 4),
        only="async",
    ),
)

MANY = (
    Scenario("many-at-once", does.many_at_once, (step(MESSAGES),) * 6, only="async", racing=True),
    Scenario(
        "many-after-a-stream",
        does.many_after_a_stream,
        (step(f"{MESSAGES}:stream", "closed_by_consumer", last="closed_by_consumer"), step(MESSAGES), step(MESSAGES)),
        only="async",
    ),
    Scenario("many-threads", does.many_threads, (step(MESSAGES),) * 6, only="sync", racing=True),
)

ANTHROPIC = Subject(
    "anthropic",
    getattr(base, "httpx2", None) or base.httpx,
    does.client,
    available((*WHOLE, *STREAMS, *OTHERS, *FAILURES, *CANCELLED, *MANY), anthropic.Anthropic(api_key=does.KEY)),
    key=does.KEY,
    told=told_by,
)
