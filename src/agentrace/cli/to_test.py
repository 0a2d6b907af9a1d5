"""``agentrace to-test``: a recorded run as a trace file, and a test that runs its program against that file."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from agentrace.archive import export
from agentrace.cli.escaping import plain
from agentrace.cli.generated import Program, source_of_test
from agentrace.cli.launch import not_recorded_because
from agentrace.cli.opening import home_option, named, working_directory
from agentrace.cli.replay import refuse_unrecorded
from agentrace.cli.terminal import write
from agentrace.cli.units import counted
from agentrace.errors import ConfigError, ReplayError
from agentrace.fold import boundaries
from agentrace.ids import format_run_id
from agentrace.query import RunRecord, inferred, replayable

_REDACTED: Final = "⟨redacted:"


class _Files(Struct, frozen=True):
    """What is written."""

    test: Path
    trace: Path


@click.command(context_settings={"allow_interspersed_args": True})
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("tests"),
    metavar="DIR",
    show_default=True,
    help="The directory of the test; its trace is put into `traces` there.",
)
@click.option("--name", metavar="NAME", help="What the test is called; after the run by default.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@home_option
@click.argument("run")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def command(out: Path, name: str | None, force: bool, home: Path | None, run: str, command: tuple[str, ...]) -> None:
    """Write RUN as a test: a trace file, and a Python file that pytest runs.

    The test starts the recorded program, or COMMAND, against the trace file and without a network. It passes as long
    as the program makes the recorded calls and ends as it did. The file is yours to edit.

    \b
    Example:
      agentrace to-test @last
      agentrace to-test 01a1f903 --out tests/agents -- python agent.py Oslo
    """
    runs, run_id, _ = named(run, home)
    record = runs.record(run_id)
    refuse_unrecorded(record, allowed=False)
    obstacles = replayable(record, inferred(record)).because
    if obstacles:
        raise ReplayError(f"no test would pass with this run: {obstacles[0]}", do="take a run that can be replayed")
    started = record.trace.run.started
    called = name or ("" if started is None else started.name) or "run"
    identifier = re.sub(r"\W+", "_", called).strip("_").lower() or "run"
    files = _Files(out / f"test_{identifier}.py", out / "traces" / f"{identifier}.agentrace")
    program = _program(record, command, identifier)
    text = source_of_test(program, files.test.absolute(), record)
    there = [path for path in (files.test, files.trace) if path.exists()]
    if there and not force:
        raise ConfigError(
            f"{' and '.join(plain(str(path)) for path in there)} {'are' if len(there) > 1 else 'is'} there already",
            do="give the test another --name, or replace what is there with --force",
            slug="test-exists",
        )
    files.trace.parent.mkdir(parents=True, exist_ok=True)
    export(runs, [run_id], files.trace)
    files.test.write_text(text, encoding="utf-8")
    write(_told(files, record))


def _program(record: RunRecord, command: Sequence[str], identifier: str) -> Program:
    """What the test starts, and where."""
    run = record.trace.run
    given = list(command)
    argv = given or ([] if run.started is None else list(run.started.argv))
    if not argv:
        raise ConfigError("the run does not say how its program was started", do="write the command behind --")
    if any(_REDACTED in part for part in argv):
        raise ConfigError(
            f"a secret was taken out of the command line of the run: {plain(shlex.join(argv))}",
            do="write the command behind --, with a value that is none",
            slug="redacted-command",
        )
    why = not_recorded_because(argv)
    if why:
        raise ReplayError(f"the program cannot be replayed: {why}", do="write another command behind --")
    here = working_directory()
    recorded = Path("" if run.started is None else run.started.cwd)
    ended = 0 if run.ended is None else run.ended.exit_code
    directory = recorded if not given and recorded.is_absolute() and recorded.is_dir() else here
    return Program(identifier, argv, directory, ended)


def _told(files: _Files, record: RunRecord) -> Iterator[str]:
    answered = counted(len(boundaries(record.trace.steps)), "call")
    yield f"{plain(str(files.trace))}: run {format_run_id(record.run_id)}, {answered}"
    yield f"{plain(str(files.test))}: run it with `pytest {plain(shlex.quote(os.path.relpath(files.test)))}`"
    described = record.trace.run.described
    if described is not None and described.stdin_digest:
        yield "the program was given a file as standard input, which is not in the record: put it into the test"
