"""``agentrace completion``, and what a shell is answered when a tab is pressed: commands, options, runs, trace files.

Pressing a tab changes nothing: no store is made, nothing is sealed, and no lane is read.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)
from click.types import StringParamType

from agentrace.cli.tab import PLAIN, VARIABLE
from agentrace.errors import AgentraceError


class _Bash(BashComplete):
    """Takes the line itself: bash takes words apart at ``@`` and ``:``, which references to runs contain."""

    source_template = r"""%(complete_func)s() {
    local IFS=$'\n' completion kind value
    for completion in $(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
        %(complete_var)s=bash_complete "$1"); do
        IFS=',' read -r kind value <<< "$completion"
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def source(self) -> str:
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        if line[-1:].isspace() or len(words) < 2:
            return words[1:], ""
        return words[1:-1], words[-1]

    def format_completion(self, item: CompletionItem) -> str:
        _, typed = self.get_completion_args()
        breaks = os.environ.get("COMP_WORDBREAKS", "")
        # What stands behind the last break is replaced; a word may begin with those of readline's special prefixes.
        ends = (typed.rfind(char) + (char not in "$@") for char in breaks if char in typed and not char.isspace())
        kept = max(ends, default=0)
        return f"{item.type},{item.value[kept:]}"


_SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_SHELLS)), required=False)
def command(shell: str | None) -> None:
    """Print the script that lets SHELL complete commands, options, runs and trace files; by default for $SHELL.

    One line makes it permanent, in ~/.bashrc, in ~/.zshrc (after compinit), or in ~/.config/fish/config.fish.

    \b
    Example:
      eval "$(agentrace completion bash)"
      eval "$(agentrace completion zsh)"
      agentrace completion fish | source
    """
    named = shell or Path(os.environ.get("SHELL", "")).name
    if named not in _SHELLS:
        raise click.UsageError(f"Name the shell: {', '.join(_SHELLS)}.")
    click.echo(_completing(click.get_current_context().find_root().command, named).source())


def answer(cli: click.Command, environ: Mapping[str, str]) -> None:
    """Tell the shell that asks, in the words of its script, what can stand where the cursor is."""
    warnings.simplefilter("ignore")
    shell, _, _ = environ[VARIABLE].partition("_")
    if shell in _SHELLS:
        click.echo(_completing(cli, shell).complete())


def _completing(cli: click.Command, shell: str) -> ShellComplete:
    return _SHELLS[shell](cli, {}, "agentrace", VARIABLE)


def teach(command: click.Command) -> None:
    """Let the arguments of a command be completed by what their names say they are."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and (parameter.name or "") in _MEANT:
            parameter.type = _MEANT[parameter.name or ""]


# --- what arguments are -------------------------------------------------------------------------------------


class _Run(StringParamType):
    """A reference to a run, or a trace file."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """What the text may become."""
        if incomplete[:1] in ("/", ".", "~"):
            return [CompletionItem(incomplete, type="file")]
        try:
            # Loaded by name: completing commands and options does not pay for reading runs.
            references = importlib.import_module("agentrace.cli.references").references
            return [*references(ctx.params.get("home"), incomplete), *_trace_files(incomplete)]
        except (AgentraceError, OSError):
            return list(_trace_files(incomplete))


class _TraceFile(StringParamType):
    """A trace file."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """What the text may become."""
        if "/" in incomplete:
            return [CompletionItem(incomplete, type="file")]
        return list(_trace_files(incomplete)) or [CompletionItem(incomplete, type="file")]


class _Program(StringParamType):
    """A part of a program's command line."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """A file, for all that is known."""
        return [CompletionItem(incomplete, type="file")]


_MEANT: Final[dict[str, StringParamType]] = {"run": _Run(), "file": _TraceFile(), "command": _Program()}


def _trace_files(incomplete: str) -> Iterator[CompletionItem]:
    found = sorted(path.name for path in Path().glob("*.agentrace") if path.is_file())
    return (CompletionItem(name) for name in found if name.startswith(incomplete) and PLAIN.issuperset(name))
