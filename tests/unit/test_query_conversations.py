"""Each message of a run is told once, by the step that added it, however agents send their histories again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agentrace.query import Added, Conversations, InputTexts, RunRecord, Runs
from tests.unit.recorded_runs import MODEL, Process, completion, result, streamed

Turn = tuple[list[dict[str, Any]], Any]
"""The messages of a request, and the body of its answer."""
SYSTEM = {"role": "system", "content": "You are an agent."}


def user(text: str) -> dict[str, Any]:
    """What a user says."""
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    """An answer as the program sends it back."""
    return {"role": "assistant", "content": text, **more}


def recorded(root: Path, requests: Sequence[tuple[dict[str, Any], Any]], **about: Any) -> RunRecord:
    """A run of model calls: the JSON of each request, and the body of its answer."""
    process = Process(root)
    run = process.run("agent")
    run.encoder.encode = run.encoder.encode_json  # type: ignore[method-assign]
    for number, (request, body) in enumerate(requests):
        step = run.step("model", "call", number * 10 + 1, request, **(about or MODEL))
        run.exchange(step, number * 10 + 2, number * 10 + 3, 200, body)
        run.answered(step, number * 10 + 4)
    run.end(1_000_000)
    process.close()
    return Runs(root).record(run.id)


def chat(root: Path, turns: Sequence[Turn]) -> RunRecord:
    """A run of chat completions."""
    return recorded(root, [({"model": "m", "messages": messages}, body) for messages, body in turns])


def added(record: RunRecord, seen: Sequence[bytes] = (), after: int = 0) -> list[Added]:
    """What the steps of a run add, from one on."""
    conversations = Conversations(record, seen)
    steps = [step for step in record.trace.steps.values() if step.id > after]
    return [found for step in steps if (found := conversations.added(step)) is not None]


def told(found: Sequence[Added]) -> list[tuple[list[tuple[int, str]], list[str]]]:
    """Of each step the position and text of what was asked, and the texts of the answer."""
    return [([(p.position, p.message.text) for p in one.asked], [m.text for m in one.answer]) for one in found]


# --- a history that is sent again ---------------------------------------------------------------------------


def loop(turns: int, back: Callable[[str], dict[str, Any]]) -> list[Turn]:
    """An agent's loop; ``back`` makes of an answer what is sent with the next request."""
    history: list[dict[str, Any]] = [SYSTEM]
    made: list[Turn] = []
    for number in range(turns):
        history.append(user(f"question {number} " + "word " * 200))
        made.append((copy.deepcopy(history), completion(f"answer {number}")))
        history.append(back(f"answer {number}"))
    return made


DUMP = {"refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None}


def test_a_last_message_that_is_marked_while_it_is_the_last_is_told_once(tmp_path: Path) -> None:
    turns = loop(12, assistant)
    for messages, _ in turns:
        messages[-1] = user("yes " * 100) | {"cache_control": {"type": "ephemeral"}}
        messages[1:-1] = [user("yes " * 100) if m["role"] == "user" else m for m in messages[1:-1]]

    found = added(chat(tmp_path, turns))

    assert [[p.message.text for p in one.asked][-1:] for one in found] == [["yes " * 100]] * 12
    assert sum(len(one.asked) for one in found) == 13


@pytest.mark.parametrize(
    "back",
    [
        assistant,
        lambda text: assistant(text, **DUMP),
        lambda text: assistant("", content=[{"type": "text", "text": f"{text}\n"}]),
        lambda text: assistant(text, name="bot", reasoning_content="Because."),
    ],
    ids=["as text", "as the library dumps it", "as parts", "with more"],
)
def test_a_loop_tells_each_message_once(tmp_path: Path, back: Callable[[str], dict[str, Any]]) -> None:
    record = chat(tmp_path, loop(40, back))

    found = added(record)

    assert [[p.position for p in one.asked] for one in found] == [[0, 1], *([2 * n + 1] for n in range(1, 40))]
    assert [p.message.text[:11].strip() for one in found for p in one.asked][1:] == [f"question {n}" for n in range(40)]
    assert [m.text for one in found for m in one.answer] == [f"answer {n}" for n in range(40)]
    assert [one.length for one in found] == [2 * n + 2 for n in range(40)]


def test_a_run_that_goes_on_is_read_on(tmp_path: Path) -> None:
    record = chat(tmp_path, loop(12, assistant))
    whole = added(record)
    marks = [mark for one in whole[:5] for mark in one.seen]

    rest = added(RunRecord(record._source), marks, after=5)

    assert rest == whole[5:]


def test_tools_and_their_results_are_told_once_by_their_ids(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{ "q":1 }'}}
    asking = completion("", [("c1", "find", {"q": 1})])
    history = [user("Find it."), {"role": "assistant", "content": None, "tool_calls": [call]}, result("c1", "found")]

    first, second, third = added(
        chat(tmp_path, [(history[:1], asking), (history, completion("Done.")), (history, completion("Done."))])
    )

    assert [call.id for call in first.answer[0].tool_calls] == ["c1"]
    assert [(p.position, p.message.role, p.message.tool_call_id) for p in second.asked] == [(2, "tool", "c1")]
    assert third.asked == []
    assert [m.text for m in third.answer] == ["Done."]


# --- what is the same, and what is not ----------------------------------------------------------------------


def test_what_is_said_twice_in_a_conversation_is_told_twice(tmp_path: Path) -> None:
    history = [user("Go on?"), assistant("yes"), user("Go on?"), assistant("yes"), user("Go on?")]
    turns: list[Turn] = [(history[:n], completion("yes")) for n in (1, 3, 5)]

    found = added(chat(tmp_path, turns))

    assert told(found) == [([(n, "Go on?")], ["yes"]) for n in (0, 2, 4)]


def test_conversations_that_run_beside_each_other_are_kept_apart(tmp_path: Path) -> None:
    def turns(who: str) -> list[Turn]:
        history = [SYSTEM, user(f"{who} 0"), assistant(f"to {who} 0"), user(f"{who} 1")]
        return [(history[:2], completion(f"to {who} 0")), (history, completion(f"to {who} 1"))]

    one, other = turns("ann"), turns("bob")

    found = added(chat(tmp_path, [one[0], other[0], one[1], other[1]]))

    assert [asked for asked, _ in told(found)] == [
        [(0, "You are an agent."), (1, "ann 0")],
        [(1, "bob 0")],
        [(3, "ann 1")],
        [(3, "bob 1")],
    ]


def test_what_an_agent_rewrites_in_its_history_is_new(tmp_path: Path) -> None:
    before = [SYSTEM, user("a"), assistant("b"), user("c")]
    after = [SYSTEM, user("summary of a"), assistant("b"), user("c"), user("d")]

    found = added(chat(tmp_path, [(before, completion("x")), (after, completion("y"))]))

    assert told(found)[1] == ([(1, "summary of a"), (4, "d")], ["y"])


def test_a_mark_for_the_cache_that_moves_makes_no_other_message(tmp_path: Path) -> None:
    def block(text: str, **more: Any) -> dict[str, Any]:
        return {"role": "user", "content": [{"type": "text", "text": text, **more}]}

    cached = {"cache_control": {"type": "ephemeral"}}
    answers = [{"type": "message", "content": [{"type": "text", "text": text}]} for text in ("one", "two")]
    request = {"model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "Be brief.", **cached}]}
    sent = [[block("a", **cached)], [block("a"), assistant("one"), block("b", **cached)]]
    about = {"operation": "messages", "integration": "anthropic"}

    found = added(
        recorded(tmp_path, [({**request, "messages": m}, a) for m, a in zip(sent, answers, strict=True)], **about)
    )

    assert told(found) == [([(0, "Be brief."), (1, "a")], ["one"]), ([(3, "b")], ["two"])]


def test_the_items_of_a_response_that_are_sent_back_are_known(tmp_path: Path) -> None:
    output: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Think."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"},
        {"type": "web_search_call", "id": "ws_1", "action": {"query": "q"}},
    ]
    done = {"type": "function_call_output", "call_id": "c1", "output": "found"}
    about = {"operation": "responses", "integration": "openai"}
    requests = [
        ({"model": "m", "input": "Find it."}, {"object": "response", "output": output}),
        ({"model": "m", "input": [user("Find it."), *output, done]}, {"object": "response", "output": output[1:2]}),
    ]

    found = added(recorded(tmp_path, requests, **about))

    assert [p.message.role for p in found[1].asked] == ["tool"]


def test_what_the_provider_keeps_is_said_and_not_compared(tmp_path: Path) -> None:
    answer = {"object": "response", "output": [{"type": "message", "content": [{"type": "output_text", "text": "ok"}]}]}
    request = {"model": "m", "instructions": "Be brief.", "input": "yes"}
    about = {"operation": "responses", "integration": "openai"}
    ids = ["", "resp_1", "resp_2", "resp_2"]

    found = added(recorded(tmp_path, [({**request, "previous_response_id": i or None}, answer) for i in ids], **about))

    assert [one.continues for one in found] == ids
    assert [[p.message.text for p in one.asked] for one in found] == [["Be brief.", "yes"], ["yes"], ["yes"], []]


def test_several_answers_to_one_request_are_several_messages(tmp_path: Path) -> None:
    body = {"choices": [{"index": n, "message": assistant(f"choice {n}")} for n in range(2)]}

    found = added(
        chat(tmp_path, [([user("a")], body), ([user("a"), assistant("choice 1"), user("b")], streamed(["x"]))])
    )

    assert told(found) == [([(0, "a")], ["choice 0", "choice 1"]), ([(2, "b")], ["x"])]


def test_bodies_that_are_no_messages_add_none(tmp_path: Path) -> None:
    odd: list[Any] = [
        {},
        {"messages": 3},
        {"messages": [3, None, {"role": 4}]},
        {"messages": [user("a")]},
        {"input": {}},
    ]

    found = added(recorded(tmp_path, [(request, {"choices": [7, {"message": 7}]}) for request in odd]))

    assert [p.message.text for one in found for p in one.asked if p.message.text] == ["a"]
    assert [one.answer for one in found] == [()] * 5


def test_steps_that_have_no_messages_are_passed_over(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.done(run.step("tool", "find", 1), 2)
    run.done(run.step("model", "own", 3), 4)
    run.end(9)
    process.close()

    assert added(Runs(tmp_path).record(run.id)) == []


# --- at a cost in proportion to what is new -----------------------------------------------------------------


def test_what_was_read_before_is_not_read_again(tmp_path: Path) -> None:
    record = chat(tmp_path, loop(100, assistant))
    resolved: list[bytes] = []
    payload = record._source.payload
    record.shared._resolve = lambda digest: resolved.append(digest) or payload(digest)  # type: ignore[func-returns-value]

    found = added(record)
    histories = [record.shared.json(step.dispatched.input)["messages"] for step in record.trace.steps.values()]

    assert sum(len(one.asked) + len(one.answer) for one in found) == 201
    assert len(resolved) == len(set(resolved)) <= 2 * 100 + 100 // 32
    pairs = pairwise(histories[3:])
    assert all(one is other for before, after in pairs for one, other in zip(before, after, strict=False))


def test_texts_of_a_loop_are_told_once(tmp_path: Path) -> None:
    record = chat(tmp_path, loop(100, assistant))
    texts = InputTexts(record)

    found = [texts.new(step) for step in record.trace.steps.values()]

    together = "".join(one.text for one in found)
    assert all(together.count(f"question {n} word") == 1 for n in range(100))
    assert len(together) < 1.2 * 100 * len("question 10 " + "word " * 200)
    resumed = InputTexts(RunRecord(record._source), [mark for one in found[:50] for mark in one.seen])
    assert [resumed.new(step) for step in list(record.trace.steps.values())[50:]] == found[50:]
