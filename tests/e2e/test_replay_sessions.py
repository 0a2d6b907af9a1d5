"""A replay from its first line to its last: what it is compared with, how it ends, and that its source stays as it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import agentrace
from agentrace.errors import ReplayDivergence
from agentrace.query import RunRecord
from tests.e2e.place import AGENTRACE, PYTHON, Place, ended

AGENT = """
    import os, sys, time
    import agentrace

    @agentrace.tool
    def lookup(word):
        return {"word": word, "at": time.time_ns()}

    found = [lookup(word)["at"] for word in sys.argv[1:]]
    print(*found)
    exec(os.environ.get("THEN", ""))
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write("agent.py", AGENT)
    return made


def recorded(place: Place, *words: str, **variables: str) -> RunRecord:
    """The record of the agent."""
    place.run(PYTHON, "agent.py", *words, env=variables)
    return place.the_run()


def test_the_replay_is_linked_to_its_source_and_leaves_it_alone(place: Place) -> None:
    source = recorded(place, "a", "b")
    before = place.digest(source)

    done = place.replay("@last")

    assert done.code == 0
    assert "agentrace: replay exact: 2 calls answered" in done.err
    origin = place.runs()[-1].trace.run.origin
    assert (origin.mode, origin.source_run_id, origin.source_digest) == ("replay", source.run_id, source.chain)
    assert place.digest(source) == before


def test_another_command_line_is_told(place: Place) -> None:
    recorded(place, "a")

    same_calls = place.replay("@last", "--", PYTHON, "agent.py", "a", env={"THEN": "pass"})
    other = place.replay("agent", "--", PYTHON, "-u", "agent.py", "a")

    assert "ENTRY_INPUT_CHANGED" not in same_calls.err
    assert other.code == 0
    assert (
        "exact_with_caveats [ENTRY_INPUT_CHANGED: the command line is '-u agent.py a', and was 'agent.py a']"
        in other.err
    )


def test_what_differs_because_of_the_input_says_so(place: Place) -> None:
    recorded(place, "Oslo")

    done = place.replay("@last", "--", PYTHON, "agent.py", "Bergen")

    assert done.code == 3
    assert "CALL_CHANGED" in done.err
    assert "likely cause: the input changed (the command line is" in done.err


def test_what_differs_because_of_the_code_says_so(place: Place) -> None:
    recorded(place, "Oslo")
    place.write("agent.py", AGENT.replace("lookup(word)[", "lookup(word.lower())["))

    done = place.replay("@last")

    assert done.code == 3
    assert "likely cause: the code changed (the source of __main__ is not the recorded one)" in done.err


def test_another_standard_input_is_told(place: Place) -> None:
    one, other = place.write("one.txt", "one"), place.write("other.txt", "other")
    shell = f"exec {AGENTRACE} %s < %s"
    place.do("sh", "-c", shell % (f"run {PYTHON} agent.py b", one))

    same = place.do("sh", "-c", shell % ("replay agent", one))
    changed = place.do("sh", "-c", shell % (f"replay {place.runs()[0].run_id.hex()}", other))

    assert "replay exact:" in same.err
    assert "ENTRY_INPUT_CHANGED: standard input is another file" in changed.err


ENDS = {
    "raise": ("", "raise KeyError('lost')", "PROGRAM_ERROR", "builtins:KeyError: 'lost'"),
    "exit": ("", "sys.exit(4)", "PROGRAM_EXIT_DIFFERS", "with exit code 4, the recorded run with 0"),
    "no error": ("raise KeyError('lost')", "", "PROGRAM_EXIT_DIFFERS", "with exit code 0, the recorded run with 1"),
}


@pytest.mark.parametrize("name", ENDS)
def test_another_end_of_the_program_is_a_divergence(name: str, place: Place) -> None:
    before, now, code, told = ENDS[name]
    recorded(place, "a", THEN=before)

    done = place.replay("@last", env={"THEN": now})

    assert done.code == 3
    assert f"agentrace: the replay stops: {code}: " in done.err
    assert told in done.err


def test_the_same_end_is_the_same(place: Place) -> None:
    recorded(place, "a", THEN="sys.exit(4)")

    done = place.replay("@last", env={"THEN": "sys.exit(4)"})

    assert done.code == 4
    assert "agentrace: replay exact:" in done.err


def test_a_killed_replay_leaves_its_source_alone(place: Place) -> None:
    source = recorded(place, "a", "b")
    before, chain = place.digest(source), source.chain

    with place.started(
        AGENTRACE, "replay", "@last", env={"THEN": "print('here', flush=True); time.sleep(60)"}
    ) as replay:
        assert replay.stdout is not None
        while replay.stdout.readline() != b"here\n":
            pass
        os.killpg(replay.pid, signal.SIGKILL)
        ended(replay)

    assert place.digest(source) == before
    (again,) = [run for run in place.runs() if run.run_id == source.run_id]
    assert again.chain == chain


def test_all_divergences_can_be_observed(place: Place) -> None:
    recorded(place, "a", "b", "c", "d")

    done = place.replay("--observe", "@last", "--", PYTHON, "agent.py", "a", "B", "c", "D")

    assert done.code == 3
    assert done.err.count("agentrace: divergence: CALL_CHANGED: ") == 2
    assert "[-d-][+D+]" in done.err
    assert "(tainted: " in done.err
    assert len(done.out.split()) == 4


def test_streams_can_take_their_time_again(place: Place) -> None:
    place.write(
        "stream.py",
        """
        import time
        import agentrace

        @agentrace.tool
        def words():
            for word in "abc":
                time.sleep(0.1)
                yield word

        began = time.perf_counter()
        list(words())
        print(time.perf_counter() - began)
        """,
    )
    place.run(PYTHON, "stream.py")
    run = place.the_run().run_id.hex()

    took = [float(place.replay("--speed", speed, run).out) for speed in ("zero", "recorded", "2")]

    assert took[0] < 0.1 < took[2] < 0.29 < took[1]


def test_a_crashed_run_replays_up_to_its_crash(place: Place) -> None:
    recorded(place, "a", THEN="lookup('b'); os.kill(os.getpid(), 9)")

    done = place.replay("@last", "--", PYTHON, "agent.py", "a", env={"THEN": "lookup('b'); print('b'); lookup('c')"})

    assert done.code == 3
    assert "the replay stops: RECORD_INCOMPLETE: " in done.err
    assert done.out.endswith("b\n")


# --- in code ------------------------------------------------------------------------------------------------


@agentrace.tool
def draw(given: str) -> int:
    return time.time_ns()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONHASHSEED", "20")
    agentrace.init(home=tmp_path / "store")
    with agentrace.run("drawn"):
        kept_values.append([draw("a"), draw("b")])
    agentrace.shutdown()
    return tmp_path / "store"


kept_values: list[list[int]] = []


def test_a_block_is_answered_from_a_run(kept: Path) -> None:
    with agentrace.replay("drawn", home=kept) as session:
        seen = [draw("a"), draw("b")]

    assert seen == kept_values[-1]
    assert (session.verdict, session.caveats) == ("exact", [])
    assert draw("a") not in seen


def swallow(function: Callable[[str], object], given: str) -> None:
    """Call it, whatever comes of it."""
    with contextlib.suppress(BaseException):
        function(given)


def test_a_block_that_does_something_else_raises_at_its_end(kept: Path) -> None:
    session = agentrace.replay("drawn", home=kept)

    with pytest.raises(ReplayDivergence, match="CALL_CHANGED"), session:
        swallow(draw, "z")

    assert (session.verdict, session.caveats) == ("diverged", ["CALL_CHANGED"])


def test_a_block_that_leaves_calls_out_raises_at_its_end(kept: Path) -> None:
    with pytest.raises(ReplayDivergence, match="CALL_MISSING"), agentrace.replay("drawn", home=kept):
        draw("a")


def test_a_block_makes_no_connection_and_what_follows_may(kept: Path) -> None:
    async def connect() -> None:
        async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()

    with pytest.raises(ReplayDivergence, match="UNPATCHED_NETWORK"), agentrace.replay("drawn", home=kept):
        asyncio.run(connect())

    asyncio.run(connect())
