"""One run with everything in it that a developer wants to recognise at a glance."""

from __future__ import annotations

from typing import Any

from agentrace import events
from tests.unit.recorded_runs import MODEL, STREAM, Process, Writing, completion, result, streamed

QUESTION = {"question": "Three days in Rome, what should I pack?"}
WEATHER = ("call_1", "get_weather", {"city": "Rome"})
HOTELS = ("call_2", "search_hotels", {"city": "Rome", "nights": 3})
POLICY = ("call_3", "luggage_policy", {"airline": "ITA"})


def travel(process: Process) -> Writing:
    """An async agent: a retried model call, two tools at once, a retriever, a failed call, a tool that nothing
    intercepted, a process of its own, a streamed answer."""
    run = process.run("travel", argv=["python", "travel.py", "--city", "Rome"])
    agent = run.step("agent", "plan_trip", 3, QUESTION)
    said = _planned(run, agent)
    _gathered(run, agent)
    _tried(run, agent)
    worker = run.step("task", "render_map", 1480, {"city": "Rome"}, parent=agent, ordinal=3)
    _child(process, run, worker)
    run.done(worker, 1960, "map.png")
    _answered(run, agent, said)
    run.done(agent, 3120, "Pack light: 24 degrees and sun.")
    described = {"git_commit": "1a2b3c4d5e6f", "libraries": {"openai": "3.52.0"}}
    run.event(events.WorkflowDescribed, 0, 3125, **described)
    run.end(3130)
    return run


def _planned(run: Writing, agent: int) -> list[dict[str, Any]]:
    """The first model call: turned away once, then it asks for three tools."""
    messages = [{"role": "system", "content": "You plan trips."}, {"role": "user", "content": QUESTION["question"]}]
    asked = {"model": "gpt-5-mini", "messages": messages}
    model = run.step("model", "openai.chat.completions", 5, asked, parent=agent, **MODEL)
    run.exchange(model, 6, 48, 429, {"error": {"message": "Rate limit reached"}})
    run.exchange(model, 150, 810, 200, completion(None, [WEATHER, HOTELS, POLICY], (1204, 96), cached=1024))
    run.answered(model, 812)
    calls = [{"id": i, "type": "function", "function": {"name": n, "arguments": str(a)}} for i, n, a in _ASKED]
    return [*messages, {"role": "assistant", "content": None, "tool_calls": calls}]


_ASKED = (WEATHER, HOTELS, POLICY)


def _gathered(run: Writing, agent: int) -> None:
    """Two tools and a retriever at the same time, in tasks of their own."""
    weather = run.step("tool", "get_weather", 815, WEATHER[2], parent=agent, flow="task:0", task=2, loop=1)
    hotels = run.step("tool", "search_hotels", 816, HOTELS[2], parent=agent, flow="task:1", task=3, loop=1)
    found = run.step("retriever", "find_notes", 817, QUESTION, parent=agent, flow="task:2", task=4, loop=1)
    run.done(found, 930, ["Romans dress well."], tick=3)
    run.done(weather, 1216, {"degrees": 24, "sky": "sunny"}, tick=4)
    run.done(hotels, 1449, [{"name": "Albergo Roma", "price": 120.0}], tick=5)


def _tried(run: Writing, agent: int) -> None:
    """A step that fails with what failed inside of it, and one that is cancelled."""
    check = run.step("validator", "check_visa", 1452, {"country": "IT"}, parent=agent, ordinal=1)
    lookup = run.step("tool", "visa_office", 1453, {"country": "IT"}, parent=check)
    run.failed(lookup, 1470, "travel.errors:OfficeClosed", "the visa office is closed on Fridays")
    run.failed(check, 1471, "travel.errors:OfficeClosed", "the visa office is closed on Fridays")
    slow = run.step("tool", "train_times", 1472, {"to": "Rome"}, parent=agent, ordinal=2)
    run.failed(slow, 1478, "asyncio.exceptions:CancelledError", "", "cancelled")


def _child(process: Process, run: Writing, worker: int) -> None:
    """A process that the step started, with a step of its own."""
    child = process.run("render", after_ms=1500, number=77, parent=run.parent(worker), argv=["python", "render.py"])
    drawn = child.step("tool", "draw", 20, {"size": [640, 480]})
    child.done(drawn, 400, b"\x89PNG")
    child.end(430)


def _answered(run: Writing, agent: int, said: list[dict[str, Any]]) -> None:
    """The last model call: it is told the results, and streams its answer."""
    told = [
        result("call_1", "24 degrees"),
        result("call_2", "Albergo Roma"),
        result("call_3", "one bag of 8 kg"),
    ]
    asked = {"model": "gpt-5-mini", "messages": [*said, *told], "stream": True}
    model = run.step("model", "openai.chat.completions", 1965, asked, parent=agent, ordinal=4, **STREAM)
    words = ["Pack", " light", ":", " 24", " degrees", " and", " sun", "."]
    run.exchange(model, 1966, 3110, 200, streamed(words, (2310, 412)))
    run.answered(model, 3112, outcome="exhausted", chunks=10, first_chunk_ns=573_000_000)
