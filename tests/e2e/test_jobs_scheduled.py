"""Jobs of libraries that agentrace does not know: a decorator makes runs of them, and a text says who sent them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.place import PYTHON, Place, status, told
from tests.e2e.servers import by_name, killed, seen, serving, text_of, tree, until

SCHEDULED = """
    import asyncio, datetime, os, pathlib, signal, sys, threading, time
    import agentrace
    from apscheduler.executors.pool import ProcessPoolExecutor
    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from apscheduler.schedulers.background import BackgroundScheduler

    agentrace.init()
    SOON = datetime.timedelta(milliseconds=5)

    @agentrace.tool
    def note(what):
        return what

    @agentrace.run("nightly")
    def nightly(n):
        note(n)
        if n == 13:
            raise ValueError(n)

    @agentrace.run()
    async def hourly(n):
        await asyncio.gather(*(asyncio.to_thread(note, n) for _ in range(2)))

    @agentrace.run("endless")
    def endless():
        note("begun")
        pathlib.Path("hanging").write_text(f"{os.getpid()}\\n")
        time.sleep(600)

    def ended(scheduler, count):
        over = threading.Semaphore(0)
        scheduler.add_listener(lambda event: over.release(), 4096 | 8192)  # executed or raised
        return lambda: [over.acquire() for _ in range(count)]

    def in_threads():
        scheduler = BackgroundScheduler(job_defaults={"misfire_grace_time": None})
        for n in (*range(10), 13):
            scheduler.add_job(nightly, args=[n])
        wait = ended(scheduler, 11)
        scheduler.start()
        wait()
        scheduler.shutdown()

    async def in_a_loop():
        scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": None})
        for n in range(10):
            scheduler.add_job(hourly, args=[n])
        wait = ended(scheduler, 10)
        scheduler.start()
        await asyncio.to_thread(wait)
        scheduler.shutdown()

    @agentrace.run("risky")
    def risky(n):
        note(n)
        if n == 13:
            os.kill(os.getpid(), signal.SIGKILL)

    def in_processes():
        # A pool that is broken is replaced by the library, which tells nobody of the job that broke it.
        executor = ProcessPoolExecutor(2)
        scheduler = BackgroundScheduler(executors={"default": executor}, job_defaults={"misfire_grace_time": None})
        scheduler.start()
        for numbers in (range(6), [13], range(6, 9)):
            wait = ended(scheduler, len(numbers))
            for n in numbers:
                scheduler.add_job(risky, args=[n])
            while 13 in numbers and not executor._pool._broken:
                time.sleep(0.005)
            13 in numbers or wait()
        scheduler.shutdown()

    def for_ever():
        scheduler = BackgroundScheduler()
        scheduler.add_job(endless)
        scheduler.start()
        time.sleep(600)

    if __name__ == "__main__":
        in_threads()
        in_processes()
        asyncio.run(in_a_loop())
        for_ever()
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_each_execution_of_a_scheduled_job_is_a_run(place: Place) -> None:
    place.write("scheduled.py", SCHEDULED)

    with serving(place, PYTHON, "scheduled.py") as process:
        killed(int(until(lambda: text_of(place.root / "hanging"))))
        process.communicate(timeout=60)

    assert process.returncode == -9
    records = by_name(place)
    nightly, hourly, endless = records["nightly"], records["hourly"], records["endless"]
    assert sorted(seen(one)[0][2] for one in nightly) == [*range(10), 13]
    assert [status(one) for one in nightly].count("completed") == 10
    (failed,) = [one for one in nightly if status(one) == "failed"]
    assert failed.trace.run.failure is not None
    assert failed.trace.run.failure.type == "builtins:ValueError"
    assert sorted([output for _, _, output in seen(one)] for one in hourly) == [[n, n] for n in range(10)]
    assert [status(one) for one in hourly] == ["completed"] * 10
    assert sorted((seen(one)[0][2], status(one)) for one in records["risky"]) == [
        *((n, "completed") for n in range(9)),
        (13, "interrupted"),
    ]
    assert [(status(one), seen(one)) for one in endless] == [
        ("interrupted", [("note", {"what": "begun"}, "begun")]),
    ]


QUEUE = """
    import json, os, pathlib, signal, subprocess, sys
    import agentrace

    agentrace.init()

    @agentrace.tool
    def note(what):
        return what

    def send(n):
        return json.dumps({"n": n, "sent_from": agentrace.carry()})

    def work(message):
        with agentrace.run("job", parent=message["sent_from"]):
            note(message["n"])
            if message["n"] == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    if sys.argv[1] == "work":
        for line in sys.stdin:
            work(json.loads(line))
    else:
        with agentrace.run("sender"):
            with agentrace.step("first"):
                print(send(0))
            with agentrace.step("second"):
                print(send(1))
                print(send(2))
"""


def test_a_job_is_shown_below_the_step_that_sent_it(place: Place) -> None:
    place.write("queue_.py", QUEUE)

    sent = place.do(PYTHON, "queue_.py", "send")
    worked = place.do(PYTHON, "queue_.py", "work", stdin=sent.out.encode())

    assert (sent.code, worked.code, worked.err) == (0, -9, "")
    done = ("job", "completed", 1, [])
    assert tree(place) == [("sender", "completed", 2, [done, done, ("job", "interrupted", 1, [])])]
    sender, *jobs = place.runs()
    steps = {step.id: step.name for step in sender.trace.steps.values()}
    assert sorted((steps[job.trace.run.parent.step_id], told(job)[0].output) for job in jobs) == [
        ("first", 0),
        ("second", 1),
        ("second", 2),
    ]
    assert len({job.trace.run.parent.flow for job in jobs}) == 3


UNRECORDED = """
    import agentrace

    @agentrace.run("block", parent=agentrace.carry())
    def job(n):
        return n + 1

    print(repr(agentrace.carry()), job(1))
    agentrace.init()
    with agentrace.run("badly", parent="no such place"):
        pass
"""


def test_without_a_recording_there_is_no_place_and_a_bad_one_is_none(place: Place) -> None:
    done = place.do(PYTHON, place.write("program.py", UNRECORDED))

    assert (done.code, done.out, done.err) == (0, "'' 2\n", "")
    assert tree(place) == [("badly", "completed", 0, [])]
