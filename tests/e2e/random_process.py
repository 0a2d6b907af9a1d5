"""A random agent program as a process, with child processes: prints the digest of what all of them saw."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.property.random_agents import Node
from tests.property.random_loops import seen
from tests.property.random_maker import Maker
from tests.property.random_world import World, reaching

WORLD = "RANDOM_WORLD"
"""The variable that says that there is a world; a replay has none."""
SCHEDULE = "RANDOM_SCHEDULE"
"""The variable with the number of the schedule."""


def saw(seed: int) -> Any:
    """What a program sees that starts no child process."""
    return _saw(Maker(seed, size=8).program(), seed)


def _saw(program: Node, seed: int) -> Any:
    with reaching(World(seed) if WORLD in os.environ else None):
        return seen(program, seed + int(os.environ.get(SCHEDULE, "0")))


def _processes(seed: int) -> Any:
    """Two that run at the same time, started as programs."""
    command = [sys.executable, "-m", "tests.e2e.random_process"]
    started = [
        subprocess.Popen([*command, str(child), "alone"], stdout=subprocess.PIPE)
        for child in (seed + 1000, seed + 2000)
    ]
    return [(process.communicate()[0], process.returncode) for process in started]


def _program(seed: int) -> Any:
    """One that is started and waited for."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.random_process", str(seed + 1000), "alone"],
        stdout=subprocess.PIPE,
        check=False,
    )
    return done.stdout, done.returncode


def _multiprocessing(method: str) -> Callable[[int], Any]:
    def one(seed: int) -> Any:
        context: Any = multiprocessing.get_context(method)
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=_told, args=(sending, seed + 1000))
        process.start()
        sending.close()
        found = receiving.recv()
        process.join()
        return found, process.exitcode

    return one


def _told(sending: Any, seed: int) -> None:
    sending.send(saw(seed))


CHILDREN: list[Callable[[int], Any]] = [_processes, _multiprocessing("spawn"), _multiprocessing("fork"), _program]
"""How a program starts others, by its number."""


def main(seed: int, alone: bool) -> int:
    """The exit code: neither 0 nor one of agentrace's own."""
    found = [saw(seed)] if alone else [saw(seed), CHILDREN[seed % len(CHILDREN)](seed), saw(seed + 500)]
    digest = hashlib.sha256(repr(found).encode())
    print(digest.hexdigest())
    return 10 + digest.digest()[0] % 100


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), "alone" in sys.argv))
