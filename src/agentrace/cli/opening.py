"""The settings and the store that a command works on: those of the directory and environment it is called in."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from agentrace import archive, config
from agentrace.cli.escaping import plain
from agentrace.config import Settings
from agentrace.errors import ConfigError
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
    store = settings(home).home
    if store.exists() and not store.is_dir():
        raise ConfigError(
            f"the store {plain(str(store))} is a file",
            do="name a directory with --home or AGENTRACE_HOME, or a trace file",
        )
    return Runs(store)


def file_runs(text: str) -> Runs:
    """The runs of a trace file. Raises ``TraceFileError``."""
    return told(Runs(archive.TraceFile(Path(text))))


def named(reference: str, home: Path | None = None) -> tuple[Runs, bytes, int]:
    """Where the run of ``RUN``, ``RUN:STEP``, ``FILE`` or ``FILE@RUN:STEP`` is, its id, and the step or 0.

    Raises ``RunNotFound``, ``TraceFileError`` and ``ConfigError``.
    """
    if re.search(r":0+\Z", reference):
        raise ConfigError(f"{plain(reference)!r} names no step", do="steps are numbered from 1", slug="run-not-found")
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
