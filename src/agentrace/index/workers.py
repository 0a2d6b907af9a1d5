"""Other processes that tell runs, where there is so much to tell that a second one is worth its start.

A worker reads tasks from its standard input and writes what it told to its standard output, each as the length of a
msgpack message (8 bytes, little-endian) and the message. It ends when its input does.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import msgspec

from agentrace.index.telling import Task, Told, tell_of
from agentrace.store import Store

_LENGTH: Final = struct.Struct("<Q")
_AHEAD: Final = 4
"""Tasks given out for each worker before the first of them is wanted."""

_encode = msgspec.msgpack.Encoder().encode
_decode_task = msgspec.msgpack.Decoder(Task).decode
_decode_told = msgspec.msgpack.Decoder(Told | None).decode


@contextmanager
def workers(root: Path, count: int) -> Generator[Workers]:
    """So many workers on the store at ``root``; they are gone when this is left."""
    team = Workers(root, count)
    try:
        yield team
    finally:
        team.close()


class Workers:
    """Processes that tell runs, each served by one thread."""

    def __init__(self, root: Path, count: int) -> None:
        self._root = root
        self._idle: deque[subprocess.Popen[bytes]] = deque(_started(root) for _ in range(count))
        self._all = list(self._idle)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="agentrace-index")

    def told(self, tasks: Iterable[Task]) -> Iterator[Told | None]:
        """What is told of each run, in order; ``None`` for one that is not there any more."""
        given: deque[Future[Told | None]] = deque()
        for task in tasks:
            given.append(self._threads.submit(self._one, task))
            if len(given) > _AHEAD * len(self._all):
                yield given.popleft().result()
        while given:
            yield given.popleft().result()

    def close(self) -> None:
        """End them."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            process.kill()
        self._threads.shutdown()
        for process in self._all:
            with suppress(OSError), process:  # closes its pipes, one of which may be broken
                pass
            process.wait()

    def _one(self, task: Task) -> Told | None:
        """What a worker tells; what this process does where the worker cannot, because it was killed."""
        try:
            process = self._idle.popleft()
        except IndexError:
            return tell_of(Store(self._root), task)
        try:
            answer = _asked(process, _encode(task))
        except OSError:
            answer = None
        if answer is None:
            return tell_of(Store(self._root), task)
        self._idle.append(process)
        told: Told | None = _decode_told(answer)
        return told


def _asked(process: subprocess.Popen[bytes], message: bytes) -> bytes | None:
    """What a worker answers; ``None`` if it is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    _send(process.stdin, message)
    return _receive(process.stdout)


def _started(root: Path) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "AGENTRACE_DISABLED": "1"}
    command = [sys.executable, "-m", __name__, os.fspath(root)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
    )


def _send(file: IO[bytes], message: bytes) -> None:
    file.write(_LENGTH.pack(len(message)) + message)
    file.flush()


def _receive(file: IO[bytes]) -> bytes | None:
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    message = file.read(size)
    return message if len(message) == size else None


def main(root: Path) -> None:
    """Tell runs until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is told, and ends us
    store = Store(root)
    while (message := _receive(sys.stdin.buffer)) is not None:
        _send(sys.stdout.buffer, _encode(tell_of(store, _decode_task(message))))


if __name__ == "__main__":
    import gc

    gc.disable()  # what it reads is many small objects without circles
    main(Path(sys.argv[1]))
