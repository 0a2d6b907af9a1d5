"""The ``agentrace`` command: each of its commands is the module of this package that has its name.

Nothing but click is loaded before it is known which command is meant, so that ``agentrace run`` starts at once.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from agentrace.cli.tab import VARIABLE
from agentrace.errors import AgentraceError, AgentraceWarning
from agentrace.version import VERSION

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "run": "Run a program and record it.",
    "replay": "Run a recorded program again, answered from its record.",
    "ls": "List the recorded runs.",
    "show": "Show a run as a tree, or one of its steps.",
    "tail": "Follow runs while they are recorded.",
    "search": "Look for a text in everything that was recorded.",
    "top": "Show what was slowest, used most tokens or failed most.",
    "stats": "Sum up the store: runs, steps, tokens, failures, its size.",
    "sql": "Ask the index in SQL.",
    "reindex": "Make the index again from the records.",
    "to-test": "Write a run as a test and its trace file.",
    "export": "Write runs into one file.",
    "import": "Take the runs of a file into the store.",
    "import-vcr": "Make runs of vcrpy's cassettes.",
    "rm": "Remove runs.",
    "gc": "Remove what is left over, and no run.",
    "archive": "Move runs into an archive, where they stay listed.",
    "restore": "Bring archived runs back.",
    "verify": "Check that records are whole and unchanged.",
    "doctor": "Tell whether recording works here, and with what settings.",
    "path": "Print the store directory.",
    "completion": "Print what lets a shell complete commands, options and runs.",
}
"""Every command with what it does, in the order of the help. Its module has its name and defines ``command``."""
_MODULES: Final = {"import": "import_", "import-vcr": "import_vcr", "to-test": "to_test", "gc": "gc_"}
"""Modules whose command's name is none that a module may have."""

INTERRUPTED: Final = 130


class Commands(click.Group):
    """The commands of the table, loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (the name is click's)
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"agentrace.cli.{_MODULES.get(cmd_name, cmd_name)}").command
        found.name = cmd_name
        if ctx.resilient_parsing:
            importlib.import_module("agentrace.cli.completion").teach(found)
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands of the table that begin so, without loading what is in it; or options."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=told) for name, told in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; a misspelt one is told the nearest right spelling."""
        if args and args[0] not in COMMANDS and not (args[0].startswith("-") or ctx.resilient_parsing):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"The commands are {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table, without loading what is in it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="agentrace", message="%(prog)s %(version)s")
def agentrace() -> None:
    """The flight recorder of LLM agents.

    \b
    Example:
      agentrace run python agent.py
      agentrace show @last
      agentrace replay @last -- python agent.py

    A RUN is @last, @last~2, the beginning of an id, or a name (the newest run of that name); RUN:7 is its step 7.
    A trace file stands for the run in it: shop.agentrace, shop.agentrace:7; of several, shop.agentrace@RUN.
    """


def main() -> int:
    """The entry point: run the command line of this process; its exit code."""
    gc.disable()  # a command is soon over, and what it reads is many small objects without circles
    _stop_recording()
    _be_a_filter()
    if VARIABLE in os.environ:
        importlib.import_module("agentrace.cli.completion").answer(agentrace, os.environ)
        return 0
    return execute()


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code. 2 is an error of usage or of agentrace, 130 an interrupt."""
    try:
        code = agentrace.main(arguments, prog_name="agentrace", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return 2
    except AgentraceError as error:
        _tell("error", str(error))
        return 2
    return code if isinstance(code, int) else 0


def _stop_recording() -> None:
    """A program that a recorded run started records itself, but looking at records is no part of the run."""
    runtime = sys.modules.get("agentrace.runtime")
    if runtime is not None:
        runtime.shutdown()


def _be_a_filter() -> None:
    """Behave in a pipeline as commands do: go quietly when nobody reads any more, and print what can be printed."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, AgentraceWarning):
        _tell("warning", str(message))


def _tell(kind: str, text: str) -> None:
    # The text may hold what a record says, and a record may hold anything.
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    colour = "red" if kind == "error" else "yellow"
    click.echo(f"{click.style(kind, fg=colour)}: {shown}", err=True)
