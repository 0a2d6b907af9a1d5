"""Mutants of what runs at once: trio, gevent, threads that compete, runs that are left out."""

from __future__ import annotations

from tests.mutant import Mutant

CONCURRENCY = (
    Mutant(
        "tasks of trio have no flow of their own",
        "capture/trio_carriers.py",
        "        FLOW.set(flow)  # the task copies the current context when it is made\n",
        "",
        ("tests/contract/test_loops.py", "tests/e2e/test_trio.py"),
    ),
    Mutant(
        "a step that trio cancels has failed",
        "capture/call.py",
        '"Cancelled": "trio", ',
        "",
        ("tests/e2e/test_trio.py::test_a_call_that_was_cancelled_and_is_not_now_is_told",),
    ),
    Mutant(
        "nobody says that trio shuffles",
        "capture/trio_carriers.py",
        "return living > 0",
        "return False",
        ("tests/contract/test_loops.py::test_trio_tells_that_the_order_of_its_tasks_is_its_own_business",),
    ),
    Mutant(
        "greenlets have no flow of their own",
        "capture/gevent_carriers.py",
        "            _give(greenlet, flow)\n            self._living",
        "            self._living",
        ("tests/e2e/test_gevent.py::test_everything_is_there_in_the_right_run",),
    ),
    Mutant(
        "what agentrace does behind the program is done by greenlets",
        "native.py",
        'monkey = sys.modules.get("gevent.monkey")',
        "monkey: Any = None",
        ("tests/e2e/test_gevent.py",),
    ),
    Mutant(
        "a child of a run that is left out decides for itself",
        "runtime/assembly.py",
        "run.sampled = not isinstance(parent, Unwritten)",
        "run.sampled = True",
        ("tests/unit/test_sampling.py",),
    ),
    Mutant(
        "threads that compete for jobs are not told",
        "capture/competing.py",
        "                    _taken(self, flow)\n",
        "                    pass\n",
        ("tests/e2e/test_worker_pools.py::test_several_threads_that_take_jobs_are_told_to_compete",),
    ),
)
