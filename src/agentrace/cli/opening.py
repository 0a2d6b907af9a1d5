"""The settings and the store that a command works on: those of the directory and environment it is called in."""

from __future__ import annotations

import os
from pathlib import Path

import click

from agentrace import archive, config
from agentrace.cli.escaping import plain
from agentrace.config import Settings
from agentrace.query import Runs

home_option = click.option(
    "--home", type=click.Path(path_type=Path), help="The store directory, instead of `agentrace path`."
)


def settings(home: Path | None = None) -> Settings:
    """What is in force here. Raises ``ConfigError``."""
    return config.load({"home": home}, environ=os.environ, cwd=working_directory())


def runs(home: Path | None = None) -> Runs:
    """The runs of the store, or of the trace file that is named in its place. Raises ``ConfigError``."""
    if home is not None and home.is_file():
        return told(archive.runs_at(home))
    return Runs(settings(home).home)


def file_runs(text: str) -> Runs:
    """The runs of a trace file. Raises ``TraceFileError``."""
    return told(Runs(archive.TraceFile(Path(text))))


def named(reference: str, home: Path | None = None) -> tuple[Runs, bytes, int]:
    """Where the run of ``RUN``, ``RUN:STEP``, ``FILE`` or ``FILE@RUN:STEP`` is, its id, and the step or 0.

    Raises ``RunNotFound``, ``TraceFileError`` and ``ConfigError``.
    """
    file = archive.split_file(reference)
    if file is None:
        found = runs(home)
        return found, *found.find_step(reference)
    found = file_runs(str(file.path))
    return found, found.find(file.run) if file.run else archive.only_run(found), file.step


def told(found: Runs) -> Runs:
    """The same runs, after what is the matter with all of them was said on stderr."""
    for notice in found.store.notices:
        click.echo(f"{click.style('warning', fg='yellow')}: {plain(notice)}", err=True)
    return found


def working_directory() -> Path:
    """The current directory; the root if it was removed."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")
