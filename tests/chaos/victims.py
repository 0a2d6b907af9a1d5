"""Programs that record and acknowledge each event on stdout, until somebody kills them.

    python -m tests.chaos.victims NAME STORE

An acknowledgement is eight bytes: the index of the run (0, 1) and the seq of an event that had been written.
"""

from __future__ import annotations

import os
import re
import struct
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

from agentrace.journal import Journal, RunWriter
from tests.unit.journal_samples import OTHER, RUN, digest, event, journal

ACKNOWLEDGEMENT = struct.Struct("<II")
RUNS = (RUN, OTHER)
TEXT = "the tool said that the answer is forty-two. " * 20


def text_of(seq: int) -> str:
    """The text of an event: of many lengths, so that files fill up at every place of a frame."""
    return TEXT[: seq * 37 % 800]


def acknowledge(run: int, seq: int) -> None:
    """Tell whoever watches that the event was written: one write, which is whole or not at all."""
    os.write(1, ACKNOWLEDGEMENT.pack(run, seq))


def write(writer: RunWriter, run: int, seq: int) -> None:
    """Write and acknowledge one event."""
    writer.event(event(seq, text_of(seq)))
    acknowledge(run, seq)


def main_thread(made: Journal) -> None:
    """Events as fast as they go."""
    writer = made.writer(RUN)
    for seq in count(1):
        write(writer, 0, seq)


def four_threads(made: Journal) -> None:
    """Four threads that write one run, as fast as they go."""
    writer, seqs = made.writer(RUN), count(1)

    def work() -> None:
        for seq in seqs:
            write(writer, 0, seq)

    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    work()


def forked_child(made: Journal) -> None:
    """A process and its forked child, which opens a journal of its own; both write."""
    writer, run = made.writer(RUN), 0
    root = Path(sys.argv[2])
    if os.fork() == 0:
        writer, run = journal(root).writer(OTHER), 1
    for seq in count(1):
        write(writer, run, seq)


def c_code_holds_the_gil(made: Journal) -> None:
    """Between the events no other thread comes to run for a long time."""
    writer = made.writer(RUN)
    for seq in count(1):
        write(writer, 0, seq)
        re.match(r"(a+)+$", "a" * 16 + "b")


def payloads(made: Journal) -> None:
    """Each event refers to a payload that was written before it; files rotate and are sealed all the time."""
    writer = made.writer(RUN)
    for seq in count(1):
        data = seq.to_bytes(4, "little") * 5000
        writer.payload(digest(data), data)
        write(writer, 0, seq)


def exits_at_once(made: Journal) -> None:
    """Leaves by os._exit: no finalizer, no atexit function, no close()."""
    writer = made.writer(RUN)
    for seq in range(1, 3001):
        write(writer, 0, seq)
    os._exit(0)


def ends_without_closing(made: Journal) -> None:
    """Ends by an exception that nobody catches, without close()."""
    writer = made.writer(RUN)
    for seq in range(1, 3001):
        write(writer, 0, seq)
    raise SystemExit(3)


VICTIMS: dict[str, Callable[[Journal], None]] = {
    victim.__name__: victim
    for victim in (
        main_thread,
        four_threads,
        forked_child,
        c_code_holds_the_gil,
        payloads,
        exits_at_once,
        ends_without_closing,
    )
}

if __name__ == "__main__":
    VICTIMS[sys.argv[1]](journal(Path(sys.argv[2])))
