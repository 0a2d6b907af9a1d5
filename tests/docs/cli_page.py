"""docs/cli.md: every command with its help and its options, made of what click knows of them."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Sequence

import click

from agentrace.cli import COMMANDS, agentrace

WIDTH = 110

HEAD = """\
# The command line

`agentrace COMMAND --help` says the same in the terminal. Exit codes: 0, 1 where a check found something (`verify`,
`doctor`) or a run that was named is left (`rm`), 2 for a mistake in what was typed or an [error](errors.md), 3 where a
replay diverged, 130 after Ctrl-C.
`run` and `replay` otherwise end as the program does.

Output is plain text in 100 columns where it is no terminal, and the same for the same record; colours are for
terminals only, and `NO_COLOR` switches them off. `--json` prints JSON with times in nanoseconds. Whatever a record
holds, control characters and escape sequences in it are shown as escapes such as `\\x1b`. What takes longer than a
second shows on a terminal how far it is, and leaves nothing of that behind.

## Naming a run

| reference | means |
| --- | --- |
| `@last` | the newest run that no other run started |
| `@last~2` | the second before it |
| `01a1f910` | the run whose id begins like that (four digits or more, with or without hyphens) |
| `checkout` | the newest run of that name |
| `@last:7` | step 7 of a run named in one of these ways |
| `@last:200..300` | its steps 200 to 300 (`:200..` to the last, `:..300` from the first), for `show` |
| `shop.agentrace` | the run in a [trace file](trace-file.md) |
| `shop.agentrace:7` | its step 7 |
| `shop.agentrace@checkout` | of several runs in a file, the one that is named in one of these ways (`@last` for the newest) |

The tab key completes these, trace files, commands and options, once a shell was given its line:

| shell | line |
| --- | --- |
| bash | `eval "$(agentrace completion bash)"` in `~/.bashrc` |
| zsh | `eval "$(agentrace completion zsh)"` in `~/.zshrc`, after `compinit` |
| fish | `agentrace completion fish \\| source` in `~/.config/fish/config.fish` |

## Reading the tree

`agentrace show` draws one row for each step: its number (what `RUN:STEP` takes), a mark, its kind and name, how long
it took, tokens in and out, and a bar on a common time line. The thin part of a bar is the time before the first piece
of a streamed answer.

| mark | in ASCII | the step |
| --- | --- | --- |
| `∥` | `=` | was open at the same time as another one beside it |
| `✗` | `x` | failed; the exception is told once, where it came from |
| `⊘` | `-` | was cancelled |
| `▸` | `>` | is running |
| `…` | `~` | had not ended when its run did, or when the process died |
| `?` | `?` | was not recorded: a tool call that could only be read in the messages |

A tree of up to 500 rows is drawn whole. Of a larger one, long stretches of rows beside one another are folded, on a
terminal as in a pipe:

```text
 11   ├─ tool fetch         5.0 ms  ╺
      ├─ ⋯ 70 rows folded   485 ms  ╺━━╸
      │     1 agent, 1 model, 68 tool; 2 failed
      │     agentrace show 01a1f910f300:12..81
 82 ✗ ├─ tool fetch         4.0 ms     ╸
```

The line tells how many rows it stands for, from when the first of them began to when the last one ended, what kinds
they are, how many failed, were cancelled, have not ended or have notes, and the command that shows them. Of rows beside
one another the first ten and the last five stay, and up to ten each of those that failed, that have not ended, and that
have notes, in them or inside of them. Where that is still more than 500, fewer stay, and then levels are left out.
`--all` draws every row, `--depth N` folds what is deeper than N levels, `RUN:STEP` shows what is inside of a step, and
`RUN:FROM..TO` a stretch, 500 rows at a time. `--json` always has every row.

`--find TEXT` (or `--search`) keeps the rows whose names, arguments, results, errors or notes hold the text, `--kind` and
`--failed` those of a kind and those that failed, `--new` those that began, ended or got notes since the last time that
this user was shown the whole run. They are drawn below what they are inside of, which has no time and no bar; below a
row that was found, `»` (`>>` in ASCII) and the place where the text stands. `--json` has the same rows, with `matched`
false for those that are there as surroundings, `found` for the places, and the number of `matches`. What was seen is
kept as a small private file in the store; a store that cannot be written goes without, and says so.

On a terminal, what is longer than the screen goes through the command in `AGENTRACE_PAGER`, else `PAGER`, else
`less -FRX`; an empty one, `cat` or `--no-pager` prints it.
"""


def cli_page() -> str:
    """The page, without its first line."""
    return HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    context = click.Context(agentrace)
    for name, summary in COMMANDS.items():
        command = agentrace.get_command(context, name)
        assert command is not None
        yield f"\n## agentrace {name}\n\n{summary}\n\n{_usage(name, command)}\n\n"
        yield "\n\n".join(_told(command.help or "")) + "\n"
        yield _options([option for option in command.params if isinstance(option, click.Option)])


def _usage(name: str, command: click.Command) -> str:
    """How it is typed: ``agentrace show [OPTIONS] [RUN[:STEP]]``."""
    words = [f"agentrace {name}", "[OPTIONS]"]
    for argument in command.params:
        if isinstance(argument, click.Argument):
            word = (argument.metavar or (argument.name or "").upper()) + ("..." if argument.nargs == -1 else "")
            words.append(word if argument.required else f"[{word}]")
    return f"```text\n{' '.join(words)}\n```"


def _told(text: str) -> Iterator[str]:
    """The paragraphs of a help text; what click is told to leave as it is becomes a fence."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            title, *lines = paragraph.removeprefix("\b").strip("\n").split("\n")
            yield f"{title}\n\n```text\n{textwrap.dedent(chr(10).join(lines))}\n```"
        else:
            yield textwrap.fill(" ".join(paragraph.split()), WIDTH, break_on_hyphens=False)


def _options(options: Sequence[click.Option]) -> str:
    if not options:
        return ""
    rows = [f"| {_spelt(option)} | {option.help}{_default(option)} |" for option in options]
    return "\n".join(["", "| option | what it does |", "| --- | --- |", *rows, ""])


def _spelt(option: click.Option) -> str:
    """``-n, --number INTEGER``, with what it takes."""
    kinds = option.type.choices if isinstance(option.type, click.Choice) else ()
    taken = "\\|".join(map(str, kinds)) or option.metavar or option.type.name.partition(" ")[0].upper()
    return f"`{', '.join(option.opts)}{'' if option.is_flag else ' ' + taken}`"


def _default(option: click.Option) -> str:
    return f" Default: {option.default}." if option.show_default else ""
