"""What is read from the JSON of messages: pure functions of what the wire carried, however odd that is."""

from __future__ import annotations

from typing import Any

import pytest

from agentrace.integrations.declaration import Facts, ToolCall, ToolResult, Usage
from agentrace.integrations.libraries.anthropic import facts

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "model": "m-1",
        "content": [],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1},
    },
}
DELTA: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 30}}


def started(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def came(index: int, kind: str, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def test_the_counts_of_a_stream_are_running_totals() -> None:
    later = {"output_tokens": 42, "input_tokens": 12, "cache_read_input_tokens": None}

    told = facts({}, [START, DELTA, {**DELTA, "usage": later}])

    assert told.usage == Usage(input_fresh=12, cache_read=5, output_visible=42)


@pytest.mark.parametrize(
    "usage",
    [
        {"cache_creation_input_tokens": 30},
        {"cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}},
        {
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        },
    ],
)
def test_what_is_written_to_the_cache_is_counted_once(usage: dict[str, Any]) -> None:
    told = facts({}, [{"type": "message", "usage": {"input_tokens": 4, "output_tokens": 2, **usage}}])

    assert told.usage == Usage(input_fresh=4, cache_write=30, output_visible=2)


def test_thoughts_are_a_part_of_the_output_and_a_compaction_is_none() -> None:
    usage = {
        "input_tokens": 4,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 15},
        "iterations": [
            {"type": "message", "input_tokens": 4, "output_tokens": 20},
            {"type": "compaction", "input_tokens": 900, "cache_read_input_tokens": 100, "output_tokens": 50},
        ],
    }

    told = facts({}, [{"type": "message", "usage": usage}])

    assert told.usage == Usage(input_fresh=904, cache_read=100, output_visible=55, reasoning=15)


def test_blocks_are_put_together_by_their_place() -> None:
    events = [
        START,
        *(started(n, type="text", text="") for n in range(10)),
        started(10, type="tool_use", id="t-1", name="weather", input={}),
        came(10, "input_json_delta", partial_json='{"city":'),
        *(came(n, "text_delta", text=str(n)) for n in reversed(range(10))),
        came(10, "input_json_delta", partial_json=' "Rome"}'),
        came(0, "citations_delta", citation={}),
        started(11, type="server_tool_use", id="s-1", name="web_search", input={}),
        DELTA,
        {"type": "message_stop"},
    ]

    told = facts({"model": "m"}, events)

    assert (told.text, told.model, told.finish_reason) == ("0123456789", "m-1", "end_turn")
    assert told.tool_calls == [ToolCall("t-1", "weather", {"city": "Rome"})]


def test_arguments_that_are_no_json_are_their_text() -> None:
    block = started(0, type="tool_use", id="t-1", name="weather", input={})

    told = facts({}, [START, block, came(0, "input_json_delta", partial_json="{bad")])

    assert told.tool_calls == [ToolCall("t-1", "weather", "{bad")]


def test_the_results_of_tools_are_in_the_request() -> None:
    content = [{"type": "text", "text": "Here:"}, {"type": "tool_result", "tool_use_id": "t-1", "content": "Rain."}]
    request = {"model": "m", "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": content}]}

    assert facts(request, []) == Facts(model="m", tool_calls=[], tool_results=[ToolResult("t-1", "Rain.")])


def test_a_completion_is_read_whole_and_in_events() -> None:
    whole = {"completion": " Hi there.", "stop_reason": "stop_sequence", "model": "m-2"}
    events = [{**whole, "completion": " Hi", "stop_reason": None}, {**whole, "completion": " there."}]

    assert facts({}, [whole]) == facts({}, events)
    assert facts({}, [whole]).text == " Hi there."


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [None, 3, "text", []],
        [{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}],
        [{"type": "message"}],
        [{"type": "message", "content": "text", "usage": "none"}],
        [{"type": "message_start"}, {"type": "content_block_delta"}, {"type": "message_delta"}],
    ],
)
def test_what_is_no_message_says_nothing(parts: list[Any]) -> None:
    told = facts({"model": "m"}, parts)

    assert told == Facts(model="m", tool_calls=[], tool_results=[])
