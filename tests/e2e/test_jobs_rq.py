"""A real RQ worker on a real Redis: each execution of a job is a run, below whoever enqueued it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Place, status, told
from tests.e2e.servers import by_name, killed, seen, serving, stopped, text_of, tree, until

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server on PATH")

JOBS = """
    import os, pathlib, time
    import agentrace, redis, rq

    agentrace.init()

    @agentrace.tool
    def note(what):
        return what

    def add(a, b):
        note([a, b])
        return a + b

    def fail():
        note("before")
        raise KeyError("no")

    def hang():
        note("hanging")
        pathlib.Path("hanging").write_text(f"{os.getpid()}\\n")
        time.sleep(600)

    def queue(**options):
        return rq.Queue(connection=redis.Redis(unix_socket_path="redis.sock"), **options)
"""
SEND = """
    import agentrace, jobs

    with agentrace.run("checkout"):
        with agentrace.step("send"):
            sent = [jobs.queue().enqueue(jobs.add, n, 1) for n in range(8)]
        jobs.queue().enqueue(jobs.fail)
        jobs.queue(is_async=False).enqueue(jobs.add, 50, 50)
    with agentrace.run("hangs"):
        jobs.queue().enqueue(jobs.hang)
    with agentrace.run("after"):
        after = jobs.queue().enqueue(jobs.add, 100, 1)
    print([one.latest_result(timeout=60).return_value for one in [*sent, after]])
"""
WORK = """
    import jobs, rq

    rq.Worker([jobs.queue()], connection=jobs.queue().connection).work(logging_level="ERROR")
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Programs beside a Redis of their own."""
    place = Place(tmp_path)
    for name, text in (("jobs.py", JOBS), ("send.py", SEND), ("work.py", WORK)):
        place.write(name, text)
    command = ("redis-server", "--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no")
    with serving(place, *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        until(lambda: True if (tmp_path / "redis.sock").exists() else None)
        yield place


def test_each_execution_is_a_run_below_what_enqueued_it_also_when_one_is_killed(place: Place) -> None:
    with serving(place, PYTHON, "work.py") as worker, place.started(PYTHON, "send.py") as sender:
        killed(int(until(lambda: text_of(place.root / "hanging"))))
        out, err = sender.communicate(timeout=60)
        stopped(worker)

    assert (out.decode(), err.decode()) == (f"{[*range(1, 9), 101]}\n", "")
    roots = {name: (state, steps, below) for name, state, steps, below in tree(place)}
    assert roots["checkout"] == (
        "completed",
        2,
        [*[("jobs.add", "completed", 1, [])] * 8, ("jobs.fail", "failed", 1, [])],
    )
    assert roots["hangs"] == ("completed", 0, [("jobs.hang", "interrupted", 1, [])])
    assert roots["after"] == ("completed", 0, [("jobs.add", "completed", 1, [])])
    records = by_name(place)
    assert sorted(seen(one)[0][2] for one in records["jobs.add"]) == [*([n, 1] for n in range(8)), [100, 1]]
    assert [one.trace.run.parent.step_id for one in records["jobs.add"]] == [1] * 8 + [0]
    (failed,), (hung,) = records["jobs.fail"], records["jobs.hang"]
    failure = failed.trace.run.failure
    assert (failure and failure.type, status(hung)) == ("builtins:KeyError", "interrupted")
    assert [(step.name, step.status) for step in told(hung)] == [("note", "ok")]
    assert place.do(AGENTRACE, "verify", "--all").code == 0
