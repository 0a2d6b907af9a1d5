"""The settings and the store that a command works on: those of the directory and environment it is called in."""

from __future__ import annotations

import os
from pathlib import Path

import click

from agentrace import config
from agentrace.config import Settings
from agentrace.query import Runs

home_option = click.option(
    "--home", type=click.Path(path_type=Path), help="The store directory, instead of `agentrace path`."
)


def settings(home: Path | None = None) -> Settings:
    """What is in force here. Raises ``ConfigError``."""
    return config.load({"home": home}, environ=os.environ, cwd=working_directory())


def runs(home: Path | None = None) -> Runs:
    """The runs of the store. Raises ``ConfigError``."""
    return Runs(settings(home).home)


def working_directory() -> Path:
    """The current directory; the root if it was removed."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")
