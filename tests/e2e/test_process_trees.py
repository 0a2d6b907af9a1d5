"""Processes that a run starts, in every way and to any depth: each is a run below it, also when one is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentrace.events import CallbacksRun
from tests.e2e.place import AGENTRACE, PYTHON, Place, status
from tests.e2e.servers import by_name, seen, tree

PROGRAM = """
    import concurrent.futures, multiprocessing, os, signal, subprocess, sys
    import agentrace

    @agentrace.tool
    def note(what):
        return what

    def work(what, then=None):
        note(what)
        note([what])
        if then == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if then == "start":
            subprocess.run([sys.executable, __file__, "child"], check=True)

    def start(method):
        context = multiprocessing.get_context(method)
        for then in (None, "die", "start"):
            process = context.Process(target=work, args=(method, then))
            process.start()
            process.join()
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            list(pool.map(work, [f"{method} pool"] * 2))

    def main():
        for method in ("fork", "spawn", "forkserver"):
            with agentrace.run(method), agentrace.step("start"):
                start(method)
        with agentrace.run("programs"):
            subprocess.run([sys.executable, __file__, "child", "start"], check=True)
            subprocess.run([sys.executable, __file__, "child", "die"])

    if __name__ == "__main__":
        if sys.argv[1:]:
            work(*sys.argv[1:])
        else:
            agentrace.init()
            main()
            agentrace.shutdown()
            print("done")
"""
METHODS = ("fork", "spawn", "forkserver")


@pytest.mark.parametrize("command", [(PYTHON,), (AGENTRACE, "run", PYTHON)], ids=["init", "run"])
def test_each_process_is_a_run_below_the_step_that_started_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    place = Place(tmp_path)
    program = place.write("program.py", PROGRAM)

    done = place.do(*command, program)

    assert (done.code, done.out, done.own_words) == (0, "done\n", [])
    leaf: Any = ("program", "completed", 2, [])
    dead: Any = ("program", "interrupted", 2, [])
    below = [("program", "completed", 2, [leaf]), leaf, ("program", "completed", 4, []), dead]
    expected = [(method, "completed", 1, sorted(below)) for method in METHODS]
    expected.append(("programs", "completed", 0, sorted([("program", "completed", 2, [leaf]), dead])))
    found = tree(place)
    own = [("program", "completed", 0, [])] if "run" in command else []
    assert found == own + expected
    records = by_name(place)
    for method in METHODS:
        children = [one for one in records["program"] if one.trace.run.parent.run_id == records[method][0].run_id]
        assert [one.trace.run.parent.step_id for one in children] == [1] * 4
        assert [[what for _, _, what in seen(one)] for one in children] == [
            *[[method, [method]]] * 3,
            [f"{method} pool", [f"{method} pool"]] * 2,
        ]
        assert [status(one) for one in children] == ["completed", "interrupted", "completed", "completed"]


QUIET = """
    import asyncio, ctypes.util, platform, sys, threading, time
    import agentrace

    agentrace.init()

    @agentrace.tool
    def note(what):
        return what

    async def wait():
        await asyncio.gather(*(asyncio.sleep(0.001 * n) for n in range(5)))
        await asyncio.to_thread(time.sleep, 0.001)

    for _ in range(3):
        asyncio.run(wait())
    platform.processor()
    ctypes.util.find_library("c")
    if sys.argv[1:]:
        note("said")
"""


def test_a_process_that_has_nothing_to_say_leaves_no_run(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.write("program.py", QUIET)

    done = place.do(PYTHON, program)
    assert (done.code, done.err, place.runs()) == (0, "", [])

    place.do(PYTHON, program, "say")
    record = place.the_run()
    loops = [event.loop for event in record.events if isinstance(event, CallbacksRun) and event.over]
    assert (loops, seen(record)) == ([1, 2, 3], [("note", {"what": "said"}, "said")])
    assert "agentrace: replay exact" in place.replay("@last", "--", PYTHON, program, "say").err


CUT = """
    import threading
    import agentrace

    agentrace.init()

    @agentrace.tool
    def note(what):
        return what

    def work(name):
        with agentrace.run(name):
            note(name)
            begun.release()
            if name == "endless":
                threading.Event().wait()

    begun = threading.Semaphore(0)
    for name in ("whole", "endless"):
        thread = threading.Thread(target=work, args=(name,), daemon=True)
        thread.start()
        begun.acquire()
        if name == "whole":
            thread.join()
    note("main")
"""


def test_what_is_in_the_middle_of_a_run_when_the_process_ends_has_not_completed_it(tmp_path: Path) -> None:
    place = Place(tmp_path)

    done = place.do(PYTHON, place.write("program.py", CUT))

    assert (done.code, done.err) == (0, "")
    assert sorted((one.trace.run.name, status(one), len(seen(one))) for one in place.runs()) == [
        ("endless", "aborted", 1),
        ("program", "completed", 1),
        ("whole", "completed", 1),
    ]


SERVED = """
    import os, subprocess, sys
    import agentrace

    @agentrace.tool
    def note(what):
        return what

    def answer(environ, start_response):
        subprocess.run([sys.executable, __file__, "started"], check=True)
        if not os.fork():
            note("forked")
            os._exit(0)
        os.wait()
        start_response("200 OK", [])
        return []

    if sys.argv[1:] == ["started"]:
        note("started")
    elif sys.argv[1:] == ["worker"]:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
        agentrace.WSGIMiddleware(answer)(environ, lambda status, headers: None)
    else:
        subprocess.run([sys.executable, __file__, "worker"], check=True)
"""


def test_what_a_request_starts_before_its_first_step_is_below_the_request(tmp_path: Path) -> None:
    place = Place(tmp_path)

    done = place.run(PYTHON, place.write("program.py", SERVED))

    assert (done.code, done.err) == (0, "")
    assert tree(place) == [
        ("program", "completed", 0, []),
        ("GET /", "completed", 0, [("program", "completed", 1, []), ("program", "interrupted", 1, [])]),
    ]
