"""The messages in requests and answers, as the integrations read them from what the wire carried, however odd that is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrace.integrations.catalogue import integration, library_names
from agentrace.integrations.declaration import Dialogue, Media, Message, ServedCall, ToolCall
from agentrace.store import MALFORMED

PNG = "data:image/png;base64,iVBORw0KGgo="


def dialogue(name: str) -> Dialogue:
    """How an integration reads messages."""
    found = integration(name)
    assert found is not None
    assert found.dialogue is not None
    return found.dialogue


OF_OPENAI, OF_ANTHROPIC = dialogue("openai"), dialogue("anthropic")


def said(role: str, text: str = "", reasoning: str = "", calls: Sequence[ToolCall] = (), **more: Any) -> Message:
    """A message with what it holds as an integration holds it."""
    held: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in more.items()}
    return Message(role, text, reasoning, tuple(calls), **held)


def asked(of: Dialogue, request: Any) -> list[Message]:
    """All messages of a request."""
    return [m for role, items in of.asked(request).parts for item in items for m in of.messages(role, item)]


# --- chat completions ---------------------------------------------------------------------------------------


def test_the_messages_of_a_chat() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}
    request = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "name": "ann",
                "content": [{"type": "text", "text": "See"}, {"type": "text", "text": " it?"}],
            },
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Hm."},
            {"role": "tool", "tool_call_id": "c1", "content": "found"},
            {"role": "assistant", "content": "", "refusal": "No."},
        ]
    }

    assert asked(OF_OPENAI, request) == [
        said("developer", "Be brief."),
        said("user", "See it?", name="ann"),
        said("assistant", reasoning="Hm.", calls=[ToolCall("c1", "find", {"q": 1})]),
        said("tool", "found", tool_call_id="c1"),
        said("assistant", refusal="No."),
    ]


def test_what_is_no_text_is_told_without_its_bytes() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": "https://x.example/cat.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAAAAAA", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-7"}},
        {"type": "hologram", "id": "h-1"},
    ]

    (told,) = asked(OF_OPENAI, {"messages": [{"role": "user", "content": parts}]})

    assert list(told.media) == [
        Media("image", "image/png", 8),
        Media("image", source="https://x.example/cat.png"),
        Media("audio", "audio/wav", 3),
        Media("file", "application/pdf", 6, "a.pdf"),
        Media("file", source="file-7"),
        Media("hologram", source="h-1"),
    ]


def test_a_streamed_chat_is_put_together_choice_by_choice() -> None:
    deltas: list[tuple[int, dict[str, Any]]] = [
        (0, {"role": "assistant", "content": "Hel"}),
        (1, {"content": "By"}),
        (0, {"content": "lo", "reasoning_content": "a"}),
        (1, {"content": "e"}),
        (0, {"reasoning_content": "b", "tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f"}}]}),
        (0, {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        (0, {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]}),
    ]
    events = [{"object": "chat.completion.chunk", "choices": [{"index": i, "delta": delta}]} for i, delta in deltas]

    assert OF_OPENAI.answer([*events, {"choices": [], "usage": {}}]) == [
        said("assistant", "Hello", "ab", [ToolCall("c1", "f", {"a": 1})]),
        said("assistant", "Bye"),
    ]


def test_a_chat_answer_refers_to_what_it_cites() -> None:
    notes = [{"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "X"}}] * 2
    body = {"choices": [{"message": {"role": "assistant", "content": "So.", "annotations": notes}}]}

    assert OF_OPENAI.answer([body]) == [said("assistant", "So.", citations=["https://x.example"])]


# --- responses ----------------------------------------------------------------------------------------------


def test_the_items_of_a_response_request() -> None:
    request = {
        "model": "m",
        "instructions": "Be brief.",
        "previous_response_id": "resp_1",
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": PNG}],
            },
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Think."}]},
            {"type": "reasoning", "encrypted_content": "x"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "done"}]},
            {"type": "custom_tool_call", "call_id": "c2", "name": "sh", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "a b"},
            {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}},
            {"type": "item_reference", "id": "msg_9"},
        ],
    }

    assert OF_OPENAI.asked(request).continues == "resp_1"
    assert asked(OF_OPENAI, request) == [
        said("system", "Be brief."),
        said("user", "Hi", media=[Media("image", "image/png", 8)]),
        said("assistant", reasoning="Think."),
        said("assistant", calls=[ToolCall("c1", "f", {})]),
        said("tool", "done", tool_call_id="c1"),
        said("assistant", calls=[ToolCall("c2", "sh", "ls")]),
        said("tool", "a b", tool_call_id="c2"),
        said("assistant", served=[ServedCall("ws_1", "web_search", {"type": "search", "query": "q"})]),
        said("assistant", media=[Media("item_reference", source="msg_9")]),
    ]


OUTPUT: list[dict[str, Any]] = [
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Think."}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "First."}]},
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Then."}]},
]


def test_the_items_of_a_response_are_one_message_for_each_text() -> None:
    answers = [
        said("assistant", "First.", "Think.", [ToolCall("c1", "f", {"a": 1})]),
        said("assistant", "Then."),
    ]

    assert OF_OPENAI.answer([{"object": "response", "output": OUTPUT}]) == answers
    assert OF_OPENAI.answer([{"type": "x"}, {"type": "response.completed", "response": {"output": OUTPUT}}]) == answers


def test_a_response_whose_stream_broke_off_is_told_as_far_as_it_came() -> None:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"object": "response", "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": OUTPUT[0]},
        {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "content": []}},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Fi"},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "rs"},
    ]

    assert OF_OPENAI.answer(events) == [said("assistant", "Firs", "Think.")]


@pytest.mark.parametrize(
    ("request_json", "texts"),
    [
        ({"input": "one"}, ["one"]),
        ({"input": ["one", "two"]}, ["one", "two"]),
        ({"input": [[1, 2], [3]]}, ["", ""]),
        ({"input": [{"type": "text", "text": "one"}]}, ["one"]),
        ({"prompt": ["Say"]}, ["Say"]),
    ],
)
def test_what_is_embedded_or_looked_at_is_text_of_the_user(request_json: Any, texts: list[str]) -> None:
    assert [(m.role, m.text) for m in asked(OF_OPENAI, request_json)] == [("user", text) for text in texts]


def test_pictures_that_were_made_are_told() -> None:
    told = OF_OPENAI.answer([{"created": 1, "data": [{"b64_json": "AAAA"}, {"url": "https://x.example/1.png"}]}])

    assert told == [said("assistant", media=[Media("image", size=3), Media("image", source="https://x.example/1.png")])]
    assert OF_OPENAI.answer([{"object": "list", "data": [{"embedding": [0.1]}]}]) == []


# --- messages -----------------------------------------------------------------------------------------------


def test_the_blocks_of_messages() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    request = {
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "text", "text": "Look:"},
                    {"type": "tool_use", "id": "t1", "name": "find", "input": {"q": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral"}},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [{"type": "text", "text": "no"}, image],
                    },
                ],
            },
        ],
    }

    assert asked(OF_ANTHROPIC, request) == [
        said("system", "Be brief."),
        said("user", "Hi"),
        said("assistant", "Look:", "Hm.", [ToolCall("t1", "find", {"q": 1})]),
        said("tool", "no", tool_call_id="t1", failed=True, media=[Media("image", "image/png", 3)]),
        said("user", "Go on."),
    ]


def test_tools_that_ran_at_the_provider_are_no_calls_of_the_program() -> None:
    result = [{"type": "web_search_result", "url": "https://x.example", "title": "X"}]
    blocks: list[dict[str, Any]] = [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": result},
        {
            "type": "text",
            "text": "So.",
            "citations": [{"type": "web_search_result_location", "url": "https://x.example"}],
        },
        {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "abc"}},
    ]

    assert OF_ANTHROPIC.answer([{"type": "message", "content": blocks}]) == [
        said(
            "assistant",
            "So.",
            citations=["https://x.example"],
            media=[Media("document", "text/plain", 3, "Notes")],
            served=[ServedCall("s1", "web_search", {"query": "q"}, result)],
        )
    ]


def test_thoughts_and_citations_of_a_stream() -> None:
    def came(kind: str, **delta: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": delta.pop("at"), "delta": {"type": kind, **delta}}

    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        came("thinking_delta", at=0, thinking="Let "),
        came("thinking_delta", at=0, thinking="me."),
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        came("citations_delta", at=1, citation={"type": "char_location", "document_title": "Notes"}),
        came("text_delta", at=1, text="So."),
    ]

    assert OF_ANTHROPIC.answer(events) == [said("assistant", "So.", "Let me.", citations=["Notes"])]


# --- whatever it is -----------------------------------------------------------------------------------------

FIELD_NAMES = (
    "role content text type messages input prompt system instructions tool_calls function arguments name id call_id"
    " choices message delta index output item output_index response data image_url input_audio url source citations"
    " annotations audio summary tool_use_id content_block thinking completion b64_json partial_json"
)
FIELDS: st.SearchStrategy[str] = st.sampled_from(FIELD_NAMES.split())
KIND_NAMES = (
    "message text input_text output_text tool_use tool_result thinking image image_url file function_call reasoning"
    " function_call_output web_search_call message_start content_block_start content_block_delta text_delta"
    " citations_delta input_json_delta response.output_text.delta assistant user tool"
)
KINDS: st.SearchStrategy[str] = st.sampled_from(KIND_NAMES.split())
ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | KINDS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=25,
)
OF_ALL = [found.dialogue for name in library_names() if (found := integration(name)) is not None and found.dialogue]


@settings(deadline=None, max_examples=250)
@given(st.sampled_from(OF_ALL), ANY, st.lists(ANY, max_size=4), KINDS)
def test_a_body_that_is_none_is_read_or_fails_as_it_may(of: Dialogue, request: Any, answer: Any, role: str) -> None:
    told: list[Sequence[Message]] = []
    for read in (lambda: asked(of, request), lambda: of.messages(role, request), lambda: of.answer(answer)):
        with suppress(*MALFORMED):
            told.append(read())

    for message in (message for messages in told for message in messages):
        assert isinstance(message.text + message.reasoning + message.role + message.name + message.tool_call_id, str)
        assert all(isinstance(one.kind + one.mime + one.source, str) for one in message.media)
        assert all(isinstance(call.id + call.name, str) for call in message.tool_calls)


def test_arguments_that_are_nested_past_all_bounds_are_their_text() -> None:
    deep = "[" * 100_000
    body = {"choices": [{"message": {"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": deep}}]}}]}

    (told,) = OF_OPENAI.answer([json.loads(json.dumps(body))])

    assert list(told.tool_calls) == [ToolCall("c1", "f", deep)]
