"""Real servers and workers in processes of their own, with all that they start, gone when a test is over."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from agentrace.query import RunRecord, input_of, output_of
from tests.e2e.place import SECONDS, Done, Place, ended, status, steps_of

T = TypeVar("T")


@contextmanager
def serving(place: Place, *command: object, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own; nothing of the group is left when the block ends."""
    with place.started(*command, **options) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def lines_until(process: subprocess.Popen[bytes], *words: str) -> list[str]:
    """What a server writes on stderr, until each of ``words`` was in a line of its own, in any order."""
    assert process.stderr is not None
    missing, seen = list(words), list[str]()
    while missing:
        line = process.stderr.readline().decode()
        assert line, f"it ended without {missing}:\n{''.join(seen)}"
        seen.append(line)
        found = next((word for word in missing if word in line), None)
        if found is not None:
            missing.remove(found)
    return seen


def stopped(process: subprocess.Popen[bytes]) -> Done:
    """Ask a server to end, and wait until it has."""
    process.terminate()
    return ended(process)


def until(found: Callable[[], T | None]) -> T:
    """What ``found`` gives once it gives something; asked again every few milliseconds."""
    deadline = time.monotonic() + SECONDS
    while (value := found()) is None:
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)
    return value


def text_of(path: Path) -> str | None:
    """What another process has written to a file; ``None`` until it ends in a line break."""
    text = path.read_text() if path.exists() else ""
    return text.strip() if text.endswith("\n") else None


def killed(pid: int) -> None:
    """Kill one process at once; it is gone when this returns."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: True if _is_gone(pid) else None)


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def seen(record: RunRecord) -> list[tuple[str, Any, Any]]:
    """Name, input and output of each step that was finished, in dispatch order."""
    return [
        (step.name, input_of(record, step), output_of(record, step))
        for step in steps_of(record)
        if step.status not in ("running", "interrupted")
    ]


def by_name(place: Place) -> dict[str, list[RunRecord]]:
    """The runs of the store, the oldest first, under what they are called."""
    found: dict[str, list[RunRecord]] = {}
    for record in place.runs():
        found.setdefault(record.trace.run.name, []).append(record)
    return found


def tree(place: Place) -> list[Any]:
    """Every root run as ``(name, status, steps, children)``, the children in the order of their names."""
    records = place.runs()
    ids = {record.run_id for record in records}

    def node(record: RunRecord) -> tuple[str, str, int, list[Any]]:
        below = [node(one) for one in records if one.trace.run.parent.run_id == record.run_id]
        return record.trace.run.name, status(record), len(steps_of(record)), sorted(below)

    return [node(one) for one in records if one.trace.run.parent.run_id not in ids]
