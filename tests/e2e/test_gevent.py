"""Programs on gevent, with the real library, its monkey patching early, late or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

import agentrace
from tests.e2e.place import PYTHON, Place, steps_of

SAME: Final = {"PYTHONPATH": str(Path(agentrace.__file__).parents[1])}
"""Programs import the agentrace that the tests do, which may be a copy."""
HEAD = """
    import sys
    mode = sys.argv[1]
    if mode == "early":
        from gevent import monkey; monkey.patch_all()
    import os, random, threading, time
    import gevent
    from gevent.pool import Pool
    from gevent.threadpool import ThreadPool
    import agentrace

    chance = random.Random()

    @agentrace.tool
    def ask(n):
        gevent.sleep(chance.random() * 0.003)
        return [n, chance.random()]

    if mode == "late":
        agentrace.init()
        ask("before")
        from gevent import monkey; monkey.patch_all()
"""
EVERY_WAY = """
    agentrace.init()

    @agentrace.agent
    def agent(n):
        return [ask(n), ask(n)]

    class Own(gevent.Greenlet):
        def _run(self):
            ask("own")

    with agentrace.run("first"):
        ask("main")
        left = gevent.spawn(agent, "spawned")
        gevent.joinall([left, gevent.spawn(agent, "other")])
        Pool(2).map(ask, ["pool"] * 4)
        gevent.Greenlet.spawn(ask, "class").join()
        one = Own(); one.start(); one.join()
        gevent.spawn_later(0.001, ask, "later").join()
        gevent.spawn_raw(ask, "raw"); gevent.sleep(0.02)
        ThreadPool(2).map(ask, ["threads"] * 3)
        if mode != "none":
            thread = threading.Thread(target=ask, args=("thread",)); thread.start(); thread.join()
        with agentrace.run("second"):
            ask("second")
        with gevent.Timeout(0.01, False):
            while True:
                ask("timed")
    pid = os.fork()
    if not pid:
        ask("child"); gevent.spawn(ask, "child").join()
        sys.exit()
    os.waitpid(pid, 0)
    agentrace.shutdown()
    print("done")
"""
"""Greenlets in every way to start one, in one run of several, and in a forked child."""
COMMAND = pytest.mark.parametrize("mode", ["none", "early"])
MODES = pytest.mark.parametrize("mode", ["none", "early", "late"])


@MODES
def test_everything_is_there_in_the_right_run(tmp_path: Path, mode: str) -> None:
    place = Place(tmp_path, SAME)
    program = place.write(
        "program.py",
        HEAD + EVERY_WAY,
    )

    done = place.do(PYTHON, program, mode)

    assert (done.code, done.out, done.own_words) == (0, "done\n", []), done.err
    runs = {record.trace.run.name: record for record in place.runs() if not record.trace.run.parent.run_id}
    first = steps_of(runs["first"])
    asked = [step.path for step in first if "timed" not in str(bytes(step.dispatched.input))]
    assert len(asked) == 1 + 2 * 3 + 4 + 1 + 1 + 1 + 1 + 3 + (mode != "none")
    assert asked[0] == "/ask#0"
    assert {"/task:0/agent#0/ask#0", "/task:0/agent#0/ask#1", "/task:1/agent#0/ask#1"} <= set(asked)
    assert len({step.path for step in first}) == len(first)
    assert [step.path for step in steps_of(runs["second"])] == ["/ask#0"]
    assert all(step.ended is not None for step in first)
    assert first[-1].status == "cancelled"
    (child,) = [record for record in place.runs() if record.trace.run.parent.run_id]
    assert len(steps_of(child)) == 2


@COMMAND
def test_a_sequential_program_is_replayed_exactly(tmp_path: Path, mode: str) -> None:
    place = Place(tmp_path, SAME)
    program = place.write(
        "program.py",
        HEAD
        + """
    log = [ask(n) for n in range(3)]
    gevent.spawn(lambda: log.append(ask("one"))).join()
    with gevent.Timeout(0.02, False):
        while True:
            log.append(ask("timed"))
    print(log)
    """,
    )
    recorded = place.run(PYTHON, program, mode)

    again = place.replay("@last", "--", PYTHON, program, mode)

    assert again.out == recorded.out, again.err
    assert "replay exact:" in again.err


@COMMAND
def test_of_several_greenlets_the_trace_says_that_their_order_is_a_matter_of_timing(tmp_path: Path, mode: str) -> None:
    place = Place(tmp_path, SAME)
    program = place.write(
        "program.py",
        HEAD
        + """
    log = []
    def agent(n):
        for _ in range(3):
            log.append([n, ask("same")])
    gevent.joinall([gevent.spawn(agent, n) for n in range(4)])
    print(log)
    """,
    )
    recorded = place.run(PYTHON, program, mode)
    shown = place.do(PYTHON, "-m", "agentrace", "show")

    again = place.replay("@last", "--", PYTHON, program, mode)

    assert "a matter of timing" in shown.out
    assert again.out == recorded.out, again.err
    assert "exact_with_caveats" in again.err


def test_the_journal_works_in_threads_and_is_no_point_at_which_greenlets_take_turns(tmp_path: Path) -> None:
    place = Place(tmp_path, SAME)
    program = place.write(
        "program.py",
        HEAD
        + """
    agentrace.init(durability="power")

    @agentrace.tool
    def big(n):
        return str(n) * 200

    ran = []
    def other():
        while True:
            ran.append(1)
            gevent.sleep(0)
    gevent.spawn(other)
    for n in range(4000):
        big(n)  # fills files, which are synced and sealed meanwhile
    print(len(sys._current_frames()) > 1, len(ran))
    agentrace.flush()
    agentrace.shutdown()
    """,
    )

    done = place.do(PYTHON, program, "early")

    assert (done.code, done.out) == (0, "True 0\n"), done.err
    assert len(steps_of(place.the_run())) == 4000
