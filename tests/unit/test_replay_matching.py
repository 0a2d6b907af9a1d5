"""Which recorded call answers which live one: the same call at the same place, and nothing else."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

import agentrace
from agentrace.canonical import Reader
from agentrace.errors import ReplayDivergence
from agentrace.replay.calls import taped
from agentrace.replay.causes import Circumstances
from agentrace.replay.differences import differences
from agentrace.replay.tape import Divergence, ExactTape
from tests.contract.recording import Memory, Recording
from tests.unit.replays import Replayed, exact, record_of, replayed

_counter = itertools.count()


def draw(given: Any = None) -> int:
    """Another number at each call, so that only the right answer is equal."""
    return next(_counter)


ask = agentrace.tool(draw, name="ask")
tell = agentrace.tool(draw, name="tell")
search = agentrace.retriever(draw, name="search")


@agentrace.tool(name="look")
async def look(given: Any) -> int:
    await pause()
    return next(_counter)


async def pause() -> None:
    """Let others go first, or not: another schedule every time."""
    await asyncio.sleep(random.choice([0, 0, random.random() / 200]))


@agentrace.agent
def think(call: Callable[..., Any], *given: Any) -> list[Any]:
    return [call(one) for one in given]


def test_calls_in_turn_are_answered_in_turn() -> None:
    def program() -> Any:
        return [ask("a"), ask("a"), tell("a"), search("a"), ask("b"), ask("a")]

    seen = exact(program)

    assert len(set(seen)) == 6


# --- another program ----------------------------------------------------------------------------------------


def recorded_calls() -> list[int]:
    return [ask("one two three"), ask("b"), tell("b"), ask("c")]


CHANGES: dict[str, tuple[Callable[[], Any], str, int, int]] = {
    "a word": (lambda: [ask("one too three"), ask("b")], "CALL_CHANGED", 1, 1),
    "a later word": (lambda: [ask("one two three"), ask("B")], "CALL_CHANGED", 2, 2),
    "added at the front": (lambda: [ask("new"), *recorded_calls()], "CALL_CHANGED", 1, 1),
    "added at the end": (lambda: [*recorded_calls(), ask("d")], "CALL_EXTRA", 5, 0),
    "dropped in the middle": (lambda: [ask("one two three"), tell("b"), ask("c")], "CALL_OUT_OF_ORDER", 2, 2),
    "dropped at the end": (lambda: [ask("one two three"), ask("b"), tell("b")], "CALL_MISSING", 0, 4),
    "swapped": (lambda: [ask("b"), ask("one two three"), tell("b"), ask("c")], "CALL_OUT_OF_ORDER", 1, 1),
    "duplicated": (lambda: [ask("one two three"), ask("one two three"), ask("b")], "CALL_EXTRA", 2, 2),
    "duplicated at the end": (lambda: [*recorded_calls(), ask("c"), ask("c")], "CALL_EXTRA", 5, 0),
    "another tool": (lambda: [ask("one two three"), tell("z")], "CALL_MISSING", 2, 2),
    "another kind": (lambda: [search("one two three")], "CALL_EXTRA", 1, 1),
    "moved into a step": (lambda: think(ask, "one two three"), "CALL_MOVED", 2, 1),
    "moved into a task": (lambda: asyncio.run(in_a_task()), "CALL_MOVED", 1, 1),
    "nothing": (list, "CALL_MISSING", 0, 1),
}


async def in_a_task() -> Any:
    async def inside() -> Any:
        return ask("one two three")

    return await asyncio.create_task(inside())


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_at_its_place(change: str) -> None:
    program, code, observed, expected = CHANGES[change]
    _, record = record_of(recorded_calls)

    again = replayed(record, program)

    assert again.verdict == "diverged"
    assert again.divergence == Divergence(code, again.report, observed, expected)


def test_a_report_says_what_where_and_how() -> None:
    _, record = record_of(recorded_calls)

    report = replayed(record, lambda: ask("one too three")).report

    assert report.splitlines()[0] == "the program calls ask with other arguments than the recorded run"
    assert "expected: tool ask (step 1) at " in report
    assert f"{__file__}:" in report
    assert "observed: tool ask (step 1) in /ask#0" in report
    assert "$.given: 'one [-two-][+too+] three'" in report


def test_a_call_that_is_made_twice_is_told_so() -> None:
    _, record = record_of(recorded_calls)

    report = replayed(record, CHANGES["duplicated"][0]).report

    assert report.splitlines()[0] == "the program makes a call of ask again that the recorded run does not repeat here"


@pytest.mark.parametrize("program", [lambda: ask("other"), list], ids=["changed", "missing"])
def test_a_divergence_stands_even_if_it_cannot_be_told(
    program: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, record = record_of(recorded_calls)
    monkeypatch.delenv("AGENTRACE_DEBUG")

    def cannot_be_told() -> Sequence[str]:
        raise OSError("the disk is gone")

    memory = Memory()
    tape = ExactTape(
        taped(record),
        Reader(memory.payloads.__getitem__),
        circumstances=Circumstances(changed_modules=cannot_be_told),
        on_divergence=lambda *_: None,
        give_up=lambda: None,
    )
    made = Recording(tape, memory)
    made.start()
    try:
        with suppress(ReplayDivergence):
            program()
        found = tape.finish()
    finally:
        made.end()

    assert found is not None
    assert (tape.verdict()[0], found.expected_step) == ("diverged", 1)
    assert found.report.startswith("the program ")


@pytest.mark.parametrize("word", ["x", "x ", "one two three "])
def test_a_text_that_repeats_itself_is_told_in_no_time(word: str) -> None:
    text = word * (19_000 // len(word))
    _, record = record_of(lambda: [ask(f"{number} {text}") for number in range(20)])

    began = time.perf_counter()
    report = replayed(record, lambda: ask(f"other {text}changed {text}"[:19_900])).report

    assert "nearest recorded calls:" in report
    assert time.perf_counter() - began < 2


def test_a_changed_word_is_told_with_what_is_around_it() -> None:
    def told(one: str, other: str) -> str:
        return differences(one, other)[0].removeprefix("$: ")

    assert told("a b c", "a x c") == "'a [-b-][+x+] c'"
    assert told("a b", "a b c") == "'a b [+c+]'"
    assert told("a a b", "a b") == "'a [-a-] b'"
    assert told("a", "b") == "'[-a-][+b+]'"
    assert told("a b c d", "x b y d") == "'[-a-][+x+] b [-c-][+y+] d'"
    assert told("a " * 2000 + "b", "c " + "a " * 2000) == repr(f"[-{'a ' * 2000}b-][+c {'a ' * 2000}+]")


def test_a_missing_call_is_named() -> None:
    _, record = record_of(recorded_calls)

    report = replayed(record, lambda: ask("one two three")).report

    assert "the recorded run went on with 3 more call(s)" in report
    assert "next recorded: tool ask (step 2) at " in report


class Colour(enum.Enum):
    RED = "red"


class Unequal:
    """Has nothing that could be compared."""


ALIKE: list[list[Any]] = [
    [1, 1.0, True, "1", b"1", 1 + 0j, decimal.Decimal("1"), [1]],
    [None, 0, 0.0, -0.0, False, "", b"", "None", "\x00", [None]],
    [[], (), {}, set(), frozenset()],
    [[1], (1,), {1}, [1.0], [[1]]],
    [{"1": 1}, {1: 1}, {"1": 1.0}, {"1": 1, "2": None}, [["1", 1]]],
    ["red", Colour.RED, "Colour.RED", {"name": "RED"}],
    ["2026-11-20", datetime.date(2026, 11, 20), datetime.datetime(2026, 11, 20)],
]
"""Values that are easily taken for one another; each is another argument."""


@pytest.mark.parametrize("values", ALIKE, ids=repr)
def test_values_that_look_alike_are_different_arguments(values: list[Any]) -> None:
    records = [record_of(lambda value=value: ask(value))[1] for value in values]

    codes = [[replayed(record, lambda value=value: ask(value)).code for value in values] for record in records]

    changed = ["CALL_CHANGED"] * (len(values) - 1)
    assert codes == [[*changed[:n], "", *changed[n:]] for n in range(len(values))]


def test_not_a_number_is_itself() -> None:
    exact(lambda: ask(float("nan")))


@pytest.mark.parametrize("value", [{"a": 1, "b": 2}, ["x" * 10_000], bytearray(b"1"), range(3), 10**400])
def test_the_same_value_is_the_same_argument(value: Any) -> None:
    exact(lambda: ask(value))


def test_an_argument_that_cannot_be_told_is_a_caveat() -> None:
    _, record = record_of(lambda: ask(Unequal()))

    again = replayed(record, lambda: ask(Unequal()))

    assert again.verdict == "exact_with_caveats"
    assert len(again.caveats) == 1
    assert "an argument of step 1 (tool ask) is only described" in again.caveats[0]


# --- at the same time ---------------------------------------------------------------------------------------


def test_equal_calls_under_gather_get_their_own_answers() -> None:
    async def program() -> Any:
        async def branch(n: int) -> list[int]:
            await pause()
            first = await look("same")
            await pause()
            return [first, n, await look("same")]

        return await asyncio.gather(*map(branch, range(8)))

    for _ in range(5):
        exact(program)


def test_equal_calls_in_a_task_group_get_their_own_answers() -> None:
    async def program() -> Any:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(late("same")) for _ in range(8)]
        nested = [asyncio.create_task(inner()) for _ in range(3)]
        return [task.result() for task in tasks], [await task for task in reversed(nested)]

    async def inner() -> Any:
        return await asyncio.gather(look("x"), late("x"))

    async def late(word: str) -> int:
        await pause()
        return await look(word)

    for _ in range(5):
        exact(program)


def test_equal_calls_in_threads_get_their_own_answers() -> None:
    def program() -> Any:
        seen: dict[int, list[int]] = {}
        gate = threading.Barrier(6)

        def work(n: int) -> None:
            gate.wait()
            seen[n] = [ask("same") for _ in range(5)]

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with ThreadPoolExecutor(3) as pool:
            jobs = list(pool.map(ask, ["same"] * 12))
        return sorted(seen.items()), jobs

    for _ in range(3):
        exact(program)


def test_calls_handed_to_threads_by_a_loop_get_their_own_answers() -> None:
    async def program() -> Any:
        loop = asyncio.get_running_loop()
        handed = [asyncio.to_thread(ask, "same") for _ in range(6)]
        return await asyncio.gather(*handed, *(loop.run_in_executor(None, ask, "same") for _ in range(6)))

    for _ in range(3):
        exact(program)


def test_a_branch_that_changes_is_told_apart_from_its_siblings() -> None:
    async def ask_each(words: list[str]) -> Any:
        return await asyncio.gather(*map(look, words))

    async def program() -> Any:
        return await ask_each(["a", "b", "c"])

    async def changed() -> Any:
        return await ask_each(["a", "z", "c"])

    _, record = record_of(program)
    again = replayed(record, changed)

    assert (again.code, again.divergence and again.divergence.expected_step) == ("CALL_CHANGED", 2)
    assert "$.given: '[-b-][+z+]'" in again.report


# --- within each other --------------------------------------------------------------------------------------


def test_what_a_tool_does_inside_is_not_asked_for() -> None:
    done: list[str] = []

    @agentrace.tool(name="outer")
    def outer(what: str) -> list[int]:
        done.append(what)
        return [ask(what), tell(what)]

    def program() -> Any:
        return [outer("x"), ask("y"), outer("x")]

    seen, record = record_of(program)
    again = replayed(record, program)

    assert (again.seen, again.verdict, done) == (seen, "exact", ["x", "x"])
    assert [step.name for step in again.record.trace.steps.values()] == ["outer", "ask", "outer"]


def test_what_is_no_boundary_is_done_again() -> None:
    done: list[int] = []

    @agentrace.tool(replay="reexecute")
    def counted(n: int) -> int:
        done.append(n)
        return ask(n) + n

    def program() -> Any:
        with agentrace.step("plan", kind="planner"):
            first = think(ask, 1, 1)
        return first, counted(3), think(counted, 4)

    seen, record = record_of(program)
    again = replayed(record, program)

    assert (again.seen, again.verdict, done) == (seen, "exact", [3, 4, 3, 4])


def test_a_replay_of_a_replay_is_the_same() -> None:
    def program() -> Any:
        return [ask(1), think(ask, 2, 2), tell(None)]

    seen, record = record_of(program)
    for _ in range(3):
        again: Replayed = replayed(record, program)
        assert (again.seen, again.verdict) == (seen, "exact")
        record = again.record
