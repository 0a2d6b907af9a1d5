"""A real Celery worker with forked processes: each execution of a task is a run, below whoever sent it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Done, Place, status, told
from tests.e2e.servers import by_name, killed, lines_until, seen, serving, text_of, tree, until

TASKS = """
    import os, pathlib, time
    import agentrace
    from celery import Celery

    agentrace.init()
    for folder in ("queue", "results"):
        pathlib.Path(folder).mkdir(exist_ok=True)
    app = Celery("shop", broker="filesystem://", backend=f"file://{os.getcwd()}/results")
    app.conf.broker_transport_options = {
        "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "queue", "polling_interval": 0.01
    }
    app.conf.worker_prefetch_multiplier = 1

    @agentrace.tool
    def note(what):
        return what

    @app.task
    def add(a, b):
        note([a, b])
        return a + b

    @app.task
    def fail():
        note("before")
        raise KeyError("no")

    @app.task(bind=True)
    def again(self):
        note(self.request.retries)
        if self.request.retries == 0:
            raise self.retry(exc=LookupError("not yet"), countdown=0)

    @app.task
    def above(n):
        return [add.delay(n, i).id for i in range(2)]

    @app.task
    def hang():
        note("hanging")
        pathlib.Path("hanging").write_text(f"{os.getpid()}\\n")
        time.sleep(600)
"""
SEND = """
    import agentrace, tasks

    def result(sent):
        return sent.get(timeout=60, interval=0.01, propagate=False)

    with agentrace.run("checkout"):
        with agentrace.step("send"):
            sums = [tasks.add.delay(n, 1) for n in range(20)]
        others = [tasks.fail.delay(), tasks.again.delay(), tasks.above.delay(9)]
        tasks.add.apply((50, 50))
    print([result(one) for one in sums])
    print([repr(result(one)) for one in others[:2]])
    for task_id in result(others[2]):
        print(result(tasks.add.AsyncResult(task_id)))
    with agentrace.run("hangs"):
        tasks.hang.delay()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("tasks"))
    for name, text in (("tasks.py", TASKS), ("send.py", SEND)):
        place.write(name, text)
    return place


@pytest.fixture(scope="module")
def sent(place: Place) -> Done:
    """What the sender saw. One process of the worker is killed in the middle of a task, then the others as well."""
    apart = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    worker = (PYTHON, "-m", "celery", "-A", "tasks", "worker", "-P", "prefork", "-c", "2", "-l", "INFO", *apart)
    with serving(place, *worker) as process:
        lines_until(process, "ready.")
        done = place.do(PYTHON, "send.py")
        killed(int(until(lambda: text_of(place.root / "hanging"))))
    return done


def test_each_execution_is_a_run_below_the_step_that_sent_it(place: Place, sent: Done) -> None:
    assert sent.out.splitlines() == [str([n + 1 for n in range(20)]), "[\"KeyError('no')\", 'None']", "9", "10"], (
        sent.err
    )
    roots = {name: (state, steps, below) for name, state, steps, below in tree(place)}

    assert sorted(roots) == ["checkout", "hangs"]  # a worker that does nothing by itself is no run
    added: Any = ("tasks.add", "completed", 1, [])
    assert roots["checkout"] == (
        "completed",
        2,  # what is called at once is no execution by a worker: its step belongs to the run that calls it
        [
            ("tasks.above", "completed", 0, [added, added]),
            *[added] * 20,
            ("tasks.again", "failed", 1, [("tasks.again", "completed", 1, [])]),
            ("tasks.fail", "failed", 1, []),
        ],
    )


def test_nothing_that_was_finished_is_missing(place: Place, sent: Done) -> None:
    records = by_name(place)

    assert sorted(seen(record)[0][2] for record in records["tasks.add"]) == sorted(
        [*([n, 1] for n in range(20)), [9, 0], [9, 1]]
    )
    (send,) = [step for step in told(records["checkout"][0]) if step.kind == "task"]
    below = {record.trace.run.parent.step_id for record in records["tasks.add"][:20]}
    assert (send.name, below) == ("send", {1})
    assert place.do(AGENTRACE, "verify", "--all").code == 0


def test_how_a_task_ended_is_told(place: Place, sent: Done) -> None:
    records = by_name(place)

    (fail,), (retried, _), (hung,) = records["tasks.fail"], records["tasks.again"], records["tasks.hang"]
    failures = [record.trace.run.failure for record in (fail, retried)]
    assert [failure and failure.type for failure in failures] == ["builtins:KeyError", "builtins:LookupError"]
    assert (status(hung), [step.status for step in told(hung)]) == ("interrupted", ["ok"])
