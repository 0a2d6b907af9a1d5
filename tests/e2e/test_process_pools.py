"""Pools of processes, in every start method: each worker is a run below what made the pool, also when one is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Place, status
from tests.e2e.servers import by_name, seen, tree

POOLS = """
    import concurrent.futures, multiprocessing, os, signal, sys, time
    from concurrent.futures.process import BrokenProcessPool
    import agentrace

    @agentrace.tool
    def note(what):
        return what

    def work(what):
        note(what)
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return what

    def closed(context):
        with agentrace.step("pool"):
            pool = context.Pool(2)
            assert pool.map(work, range(6), chunksize=1) == [*range(6)]
            pool.close()
            pool.join()

    def replaced(context):
        # One task for each worker; what is killed is replaced, and its task is lost.
        with agentrace.step("pool"):
            pool = context.Pool(1, maxtasksperchild=1)
            assert pool.apply(work, (1,)) == 1
            pool.apply_async(work, ("die",))
            assert pool.apply(work, (2,)) == 2
            pool.close()
            pool.terminate()
            pool.join()

    def broken(context):
        with agentrace.step("pool"), concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            assert [pool.submit(work, n).result() for n in range(2)] == [0, 1]
            try:
                pool.submit(work, "die").result()
            except BrokenProcessPool:
                note("broken")

    if __name__ == "__main__":
        agentrace.init()
        context = multiprocessing.get_context(sys.argv[1])
        for scenario in (closed, replaced, broken):
            with agentrace.run(scenario.__name__):
                scenario(context)
        print("done")
"""


@pytest.mark.parametrize(
    ("method", "command"),
    [("fork", ()), ("spawn", ()), ("forkserver", ()), ("forkserver", (AGENTRACE, "run"))],
)
def test_what_the_workers_of_a_pool_did_is_below_what_made_it(
    tmp_path: Path, method: str, command: tuple[str, ...]
) -> None:
    place = Place(tmp_path)

    done = place.do(*command, PYTHON, place.write("pools.py", POOLS), method)

    assert (done.code, done.out, done.own_words) == (0, "done\n", []), done.err
    roots = {name: (state, steps, below) for name, state, steps, below in tree(place) if name != "pools"}
    assert {name: (state, steps) for name, (state, steps, _) in roots.items()} == {
        "closed": ("completed", 1),
        "replaced": ("completed", 1),
        "broken": ("completed", 2),
    }
    workers: Any = {
        name: [
            (status(one), [what for _, _, what in seen(one)], one.trace.run.parent.step_id)
            for one in below(place, name)
        ]
        for name in roots
    }
    assert {state for state, _, _ in workers["closed"]} == {"completed"}
    assert sorted(what for _, whats, _ in workers["closed"] for what in whats) == [*range(6)]
    *two, (ended, *last) = workers["replaced"]
    assert (two, last) == ([("completed", [1], 1), ("interrupted", ["die"], 1)], [[2], 1])
    assert ended in ("completed", "aborted")  # it was told to end while it was about to
    assert workers["broken"] == [("interrupted", [0, 1, "die"], 1)]
    assert place.do(AGENTRACE, "verify", "--all").code == 0


def below(place: Place, name: str) -> list[Any]:
    """The runs below the run of that name, the oldest first."""
    records = by_name(place)
    (above,) = records[name]
    return [one for one in records["pools"] if one.trace.run.parent.run_id == above.run_id]
