"""A program that acknowledges each traced call when it has returned, until somebody kills it.

    python -m benchmarks.programs.killed WAY FD

WAY is one of WAYS. Each acknowledgement is one line on the file descriptor FD: the call's own name.
"""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import agentrace

MOST = 100_000
"""Calls after which a program ends that nobody kills."""
HELD = 20
"""Calls between two stretches of C code that hold the GIL."""


@agentrace.trace
def work(name: str) -> dict[str, str]:
    """What is called."""
    return {"done": name}


def _call(out: int, worker: str, number: int) -> None:
    name = f"{worker}-{number}"
    work(name)
    os.write(out, f"{name}\n".encode())


def _calls(out: int, worker: str) -> None:
    for number in range(MOST):
        _call(out, worker, number)


def main_thread(out: int) -> None:
    """Calls one after the other."""
    _calls(out, "main")


def four_threads(out: int) -> None:
    """Calls from four threads at once."""
    threads = [threading.Thread(target=_calls, args=(out, f"thread{number}")) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def forked_child(out: int) -> None:
    """A process that has recorded forks, and both go on."""
    _call(out, "before", 0)
    _calls(out, "child" if os.fork() == 0 else "parent")


def spawned_child(out: int) -> None:
    """A child process that multiprocessing starts afresh."""
    _call(out, "before", 0)
    child = multiprocessing.get_context("spawn").Process(target=_spawned, args=(os.getpid(), out))
    child.start()
    child.join()


def _spawned(parent: int, number: int) -> None:
    agentrace.init()
    _calls(os.open(f"/proc/{parent}/fd/{number}", os.O_WRONLY), "spawned")


def c_code_with_the_gil(out: int) -> None:
    """Now and then C code runs for a while and lets no other thread of Python come to work."""
    # PyDLL calls without giving up the GIL, and a call that nobody interrupts is one that no handler can follow.
    usleep: Callable[[int], Any] = ctypes.PyDLL(None).usleep
    for number in itertools.count():
        _call(out, "main", number)
        if number % HELD == HELD - 1:
            usleep(20_000)


WAYS = {way.__name__: way for way in (main_thread, four_threads, forked_child, spawned_child, c_code_with_the_gil)}

if __name__ == "__main__":
    agentrace.init()
    WAYS[sys.argv[1]](int(sys.argv[2]))
