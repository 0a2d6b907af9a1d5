"""A directory with programs and a store of its own, where the real commands run in processes of their own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agentrace.fold import StepState
from agentrace.query import RunRecord, Runs, input_of, output_of, status_of

PYTHON = sys.executable
AGENTRACE = str(Path(PYTHON).parent / "agentrace")
SECONDS = 180
"""How long any one process may take before it counts as hanging."""


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    code: int
    """As ``subprocess`` tells it: negative for a signal."""
    out: str
    err: str
    pid: int = field(default=0, compare=False)

    @property
    def own_words(self) -> list[str]:
        """The lines that agentrace itself wrote."""
        return [line for line in self.err.splitlines() if line.startswith("agentrace: ")]


@dataclass(frozen=True)
class Place:
    """Programs, a store, and the environment in which commands run."""

    root: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """The store of everything that is recorded here."""
        return Path(self.variables.get("AGENTRACE_HOME", self.root / "store"))

    @cached_property
    def environ(self) -> dict[str, str]:
        """The caller's environment without what is agentrace's or would change what Python imports.

        ``TESTED_SOURCE`` names a copy of the source that is tested in place of the installed one.
        """
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("AGENTRACE_", "PYTHON"))}
        kept["PATH"] = os.pathsep.join([str(Path(PYTHON).parent), kept.get("PATH", os.defpath)])
        if "TESTED_SOURCE" in kept:
            kept["PYTHONPATH"] = kept.pop("TESTED_SOURCE")
        return {**kept, "AGENTRACE_HOME": str(self.store), "AGENTRACE_DEBUG": "1", **self.variables}

    def write(self, name: str, text: str) -> Path:
        """A file of this directory; its text may be indented as a whole."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    @contextmanager
    def started(self, *command: object, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A process with pipes at all three ends, in a process group of its own; gone when the block ends."""
        variables = options.pop("env", {})
        env = {name: text for name, text in {**self.environ, **variables}.items() if text is not None}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(
            [str(part) for part in command],
            **{"cwd": self.root, "env": env, "start_new_session": True, **pipes, **options},
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def do(self, *command: object, stdin: bytes = b"", **options: Any) -> Done:
        """Run a command to its end. ``env`` adds variables, or takes away those that are ``None``."""
        with self.started(*command, **options) as process:
            return ended(process, stdin)

    def run(self, *command: object, **options: Any) -> Done:
        """``agentrace run ...``."""
        return self.do(AGENTRACE, "run", *command, **options)

    def replay(self, *arguments: object, **options: Any) -> Done:
        """``agentrace replay ...``."""
        return self.do(AGENTRACE, "replay", *arguments, **options)

    def runs(self) -> list[RunRecord]:
        """The records of the store, in the order in which they began."""
        found = Runs(self.store)
        return [found.record(run_id) for run_id in reversed(found.ids)]

    def the_run(self) -> RunRecord:
        """The record of the one run that there is."""
        (record,) = self.runs()
        return record

    def digest(self, record: RunRecord) -> str:
        """Of every file that belongs to a sealed run, by name and bytes."""
        parts = sorted((self.store / "segments" / record.run_id.hex()).iterdir())
        assert parts, "the run is not sealed"
        return hashlib.sha256(b"".join(part.name.encode() + part.read_bytes() for part in parts)).hexdigest()


def ended(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Done:
    """Wait for a process, with what it wrote."""
    out, err = process.communicate(stdin, timeout=SECONDS)
    return Done(process.returncode, out.decode(), err.decode(), process.pid)


@dataclass(frozen=True)
class Told:
    """A step as a reader sees it."""

    kind: str
    name: str
    status: str
    input: Any = None
    output: Any = None


def told(record: RunRecord, *, kinds: Sequence[str] = ()) -> list[Told]:
    """The steps of a run in dispatch order, with their values."""
    return [
        Told(step.kind, step.name, step.status, input_of(record, step), output_of(record, step))
        for step in steps_of(record)
        if not kinds or step.kind in kinds
    ]


def steps_of(record: RunRecord) -> list[StepState]:
    """The steps of a run in dispatch order."""
    return list(record.trace.steps.values())


def names_of(record: RunRecord) -> list[str]:
    """What its steps are called."""
    return [step.name for step in steps_of(record)]


def status(record: RunRecord) -> str:
    """Of a run, as ``ls`` shows it."""
    return status_of(record.trace.run, record.interrupted)
