"""``agentrace run``: start a program with recording switched on."""

from __future__ import annotations

import os

import click

from agentrace.cli.launch import command_line, environment, not_recorded_because
from agentrace.errors import AgentraceError
from agentrace.patterns import as_variable


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--name", help="What to call the run; its program's name by default.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Label the run, to be found by it. May be repeated.")
@click.option(
    "--tools",
    multiple=True,
    metavar="PATTERN",
    help="Record these functions as tools: NAME, MODULE:PATTERN such as shop.tools:*, or auto: those that requests "
    "offer to a model. May be repeated.",
)
@click.option("--retrievers", multiple=True, metavar="PATTERN", help="The same for functions that fetch documents.")
@click.option(
    "--patch",
    metavar="time,uuid,random",
    help="Record what the program's own code asks these for, so that a replay gives the same.",
)
@click.option(
    "--logs",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Keep what the program logs at this level and above, as notes of its steps.",
)
@click.option(
    "--output", type=click.Choice(["stdout", "stderr", "both"]), help="Keep what it prints, as notes of its steps."
)
@click.option(
    "--exclude-urls",
    multiple=True,
    metavar="PATTERN",
    help="Leave requests to these out: HOST, or HOST/PATH, with * for any characters. May be repeated.",
)
@click.option("--home", type=click.Path(), help="The store directory; see `agentrace path`.")
@click.option("--redact", type=click.Choice(["default", "strict", "off"]), help="Which secrets are taken out.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    name: str | None,
    tags: tuple[str, ...],
    tools: tuple[str, ...],
    retrievers: tuple[str, ...],
    patch: str | None,
    logs: str | None,
    output: str | None,
    exclude_urls: tuple[str, ...],
    home: str | None,
    redact: str | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND and record every model, tool and retriever call it makes.

    The program needs no change, and neither its output nor its exit code does: agentrace becomes the command.

    \b
    Example:
      agentrace run python agent.py
      agentrace run --tools auto python agent.py
      agentrace run --tools 'shop.tools:*' python -m shop.agent --verbose
    """
    argv = command_line(command)
    settings = {
        variable: value
        for variable, value in (
            ("AGENTRACE_NAME", name),
            ("AGENTRACE_TAGS", ",".join(tags)),
            ("AGENTRACE_TOOLS", as_variable("tools", tools)),
            ("AGENTRACE_RETRIEVERS", as_variable("retrievers", retrievers)),
            ("AGENTRACE_PATCH", patch),
            ("AGENTRACE_LOGS", logs),
            ("AGENTRACE_OUTPUT", output),
            ("AGENTRACE_EXCLUDE_URLS", ",".join(exclude_urls)),
            ("AGENTRACE_HOME", None if home is None else _absolute(home)),
            ("AGENTRACE_REDACT", redact),
        )
        if value
    }
    why = not_recorded_because(argv)
    if why:
        click.echo(f"agentrace: this run is not recorded: {why}", err=True)
    try:
        os.execvpe(argv[0], argv, environment(os.environ, settings))
    except FileNotFoundError as error:
        raise AgentraceError(
            f"there is no command {argv[0]!r}", do="check its spelling, or give its path", slug="no-command"
        ) from error
    except OSError as error:
        raise AgentraceError(
            f"{argv[0]!r} cannot be started: {error.strerror}", do="check the file's mode and format", slug="no-command"
        ) from error


def _absolute(path: str) -> str:
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
