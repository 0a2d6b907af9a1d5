"""``agentrace path``: where the store is."""

from __future__ import annotations

import click

from agentrace.cli.escaping import plain
from agentrace.cli.opening import settings
from agentrace.cli.terminal import write


@click.command()
def command() -> None:
    """Print the store directory that is used here.

    It is AGENTRACE_HOME, else the nearest .agentrace directory upward, else one in the user's data directory.

    \b
    Example:
      du -sh "$(agentrace path)"
    """
    write([plain(str(settings().home))])
