"""The anthropic client with a tracer of OpenTelemetry, whose spans it emits beside what we record."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import count
from typing import Any

import anthropic
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from tests.contract import anthropic_scenarios as does
from tests.contract.anthropic_subject import ANTHROPIC
from tests.contract.scenarios import Scenario, Subject, World


class _Counting(IdGenerator):
    """The same ids in every run, so that what is sent can be compared."""

    def __init__(self) -> None:
        self._ids = count(1)

    def generate_span_id(self) -> int:
        return next(self._ids)

    def generate_trace_id(self) -> int:
        return next(self._ids)


class _Kept(SpanProcessor):
    """The names of the spans that ended."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.names.append(span.name)


def client(world: World) -> Any:
    """A client that traces, and notes its spans for whoever compares."""
    kept = _Kept()
    provider = TracerProvider(id_generator=_Counting(), shutdown_on_exit=False)
    provider.add_span_processor(kept)
    world.notes["spans"] = kept.names
    traced = {"tracer_provider": provider, "traces": {"enabled": True, "content_mode": "content"}}
    made = anthropic.AsyncAnthropic if world.asynchronous else anthropic.Anthropic
    options: dict[str, Any] = {"open_telemetry": traced, "max_retries": 0, "timeout": 5.0}
    http = world.http_client(follow_redirects=True)
    return made(base_url=world.url, api_key=does.KEY, http_client=http, **options)


def _with_spans_ended(scenario: Scenario) -> Scenario:
    return replace(scenario, name=f"traced-{scenario.name}", does=_looking_at_spans(scenario.does))


def _looking_at_spans(does: Callable[[World], Coroutine[Any, Any, Any]]) -> Callable[[World], Coroutine[Any, Any, Any]]:
    async def looking(world: World) -> Any:
        return [await does(world), list(world.notes["spans"])]

    return looking


_TRACED = {
    *("message", "tool-loop", "count-tokens", "raw-message", "stream-object", "helper", "helper-final"),
    *("streamed-lines", "helper-left", "two-streams", "retried", "model-pages"),
}
_FAILING = {"error-529", "stream-cut", "stream-error-event", "cancelled"}
_TRACES = "open_telemetry" in inspect.signature(anthropic.Anthropic).parameters

TRACED = Subject(
    "anthropic-traced",
    ANTHROPIC.http,
    client,
    tuple(
        scenario if scenario.name in _FAILING else _with_spans_ended(scenario)
        for scenario in ANTHROPIC.scenarios
        if _TRACES and scenario.name in _TRACED | _FAILING
    ),
    key=does.KEY,
    told=ANTHROPIC.told,
)
