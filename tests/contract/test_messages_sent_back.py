"""Agents on the real clients send answers back as the clients give them: each message is told once all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from agentrace.query import Added, Conversations, InputTexts
from agentrace.testing import Reply, StubProvider, ToolCall
from tests.contract.recording import recording

TURNS = 6
FUNCTION = {"name": "find", "parameters": {"type": "object"}}

Loop = Callable[[str], None]
"""An agent, given the URL of its provider."""


def chat(back: Callable[[Any], Any], *, stream: bool = False) -> Loop:
    """Chat completions; ``back`` makes of a message what is sent with the next request."""

    def loop(url: str) -> None:
        history: list[Any] = [{"role": "system", "content": "Find things."}, {"role": "user", "content": "Begin."}]
        tools: Any = [{"type": "function", "function": FUNCTION}]
        with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
            for _ in range(TURNS):
                message = _message(client, history, tools, stream=stream)
                history.append(back(message))
                for call in message.tool_calls or ():
                    said = f"found {json.loads(call.function.arguments)['n']}"
                    history.append({"role": "tool", "tool_call_id": call.id, "content": said})

    return loop


def _message(client: openai.OpenAI, history: Any, tools: Any, *, stream: bool) -> Any:
    if not stream:
        return client.chat.completions.create(model="m", messages=history, tools=tools).choices[0].message
    with client.beta.chat.completions.stream(model="m", messages=history, tools=tools) as events:
        return events.get_final_completion().choices[0].message


def responses(url: str) -> None:
    """Responses: the items of the output are sent back as they came."""
    history: list[Any] = [{"role": "user", "content": "Begin."}]
    tools: Any = [{"type": "function", "strict": False, **FUNCTION}]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        for _ in range(TURNS):
            answer = client.responses.create(model="m", instructions="Find things.", input=history, tools=tools)
            history += answer.output
            for call in answer.output:
                if call.type == "function_call":
                    said = f"found {json.loads(call.arguments)['n']}"
                    history.append({"type": "function_call_output", "call_id": call.call_id, "output": said})


def messages(*, stream: bool = False) -> Loop:
    """Messages: the blocks of the answer are sent back as they came."""

    def loop(url: str) -> None:
        history: list[Any] = [{"role": "user", "content": "Begin."}]
        tools: Any = [{"name": "find", "input_schema": {"type": "object"}}]
        request: dict[str, Any] = {"model": "m", "max_tokens": 1000, "system": "Find things.", "tools": tools}
        with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
            for _ in range(TURNS):
                if stream:
                    with client.messages.stream(messages=history, **request) as events:
                        answer: Any = events.get_final_message()
                else:
                    answer = client.messages.create(messages=history, **request)
                history.append({"role": "assistant", "content": answer.content})
                results = [
                    {"type": "tool_result", "tool_use_id": block.id, "content": f"found {block.input['n']}"}
                    for block in answer.content
                    if block.type == "tool_use"
                ]
                history.append({"role": "user", "content": results})

    return loop


AGENTS: dict[str, Loop] = {
    "chat, the object": chat(lambda message: message),
    "chat, its dump": chat(lambda message: message.model_dump()),
    "chat, what is set of it": chat(lambda message: message.to_dict()),
    "chat, streamed": chat(lambda message: message.model_dump(exclude={"parsed"}), stream=True),
    "responses": responses,
    "messages": messages(),
    "messages, streamed": messages(stream=True),
}


def told(found: Added) -> list[tuple[str, str]]:
    """Roles and texts of what was added to a request."""
    return [(placed.message.role, placed.message.text) for placed in found.asked]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agents_loop_tells_each_message_once(agent: str) -> None:
    stub = StubProvider()
    for n in range(TURNS):
        calls = (ToolCall("find", {"n": n}), ToolCall("find", {"n": -n - 1}))
        stub.answer(Reply(text=f"Looking for {n}.", tool_calls=calls, reasoning="Hm."))
    with stub.serve() as url, recording() as recorded:
        AGENTS[agent](url)

    record = recorded.record
    conversations, texts = Conversations(record), InputTexts(record)
    steps = list(record.trace.steps.values())
    found = [added for step in steps if (added := conversations.added(step)) is not None]
    searched = [texts.new(step).text for step in steps]

    assert len(found) == len(steps) == TURNS
    assert told(found[0]) == [("system", "Find things."), ("user", "Begin.")]
    assert [told(one) for one in found[1:]] == [
        [("tool", f"found {n}"), ("tool", f"found {-n - 1}")] for n in range(TURNS - 1)
    ]
    for n, one in enumerate(found):
        (answer,) = one.answer
        assert (answer.role, answer.text) == ("assistant", f"Looking for {n}.")
        assert [(call.name, call.arguments) for call in answer.tool_calls] == [
            ("find", {"n": n}),
            ("find", {"n": -n - 1}),
        ]
    assert "".join(searched).count('"found 0"') <= 3
