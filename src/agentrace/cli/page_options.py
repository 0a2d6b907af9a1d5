"""The options of ``agentrace show --html``, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from agentrace.cli.escaping import plain

STDOUT: Final = "-"
NAMED: Final = "?"
"""Stands for a file that is named after the run."""


class Asked(Struct, frozen=True):
    """The page that is asked for."""

    file: str
    """A path, ``STDOUT`` or ``NAMED``."""
    payloads: bool
    force: bool


def page_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of the page, for a command that takes a run."""
    options = (
        click.option(
            "--html",
            metavar="[FILE]",
            is_flag=False,
            flag_value=NAMED,
            help="Write a page instead: FILE.html, - for standard output, or a file named after the run.",
        ),
        click.option("--without-payloads", is_flag=True, help="Leave out of the page what was said."),
        click.option("--force", is_flag=True, help="Replace a page that is there."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def asked_page(options: Mapping[str, Any], refused: Mapping[str, bool]) -> Asked | None:
    """The page that these options ask for, if they do; ``refused`` are options that go with no page."""
    file = options["html"]
    if file is None:
        for name in ("without_payloads", "force"):
            if options[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} is of use with --html only.")
        return None
    for name, given in refused.items():
        if given:
            raise click.UsageError(f"{name} goes with no page: say --html alone.")
    if file not in (STDOUT, NAMED) and Path(file).suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(
            f"{plain(file)!r} does not end in .html: write RUN first, as in `agentrace show RUN --html FILE.html`."
        )
    return Asked(file, not options["without_payloads"], options["force"])
