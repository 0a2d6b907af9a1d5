"""Options whose values are some of a few words, given several times or with commas between them; ``--kind`` is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import click

KINDS: Final = ("model", "embedding", "tool", "retriever", "planner", "validator", "safety", "agent", "task")

Command = TypeVar("Command", bound=Callable[..., Any])
_Callback: TypeAlias = Callable[[click.Context, click.Parameter, Sequence[str]], tuple[str, ...]]
_Completion: TypeAlias = Callable[[click.Context, click.Parameter, str], list[str]]


def some_of(words: Sequence[str]) -> _Callback:
    """Some of a few words, the option given several times or with commas between them."""

    def convert(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
        given = [word.strip() for value in values for word in value.split(",")]
        for word in given:
            if word not in words:
                raise click.BadParameter(f"{word!r} is none. Possible are {', '.join(words)}.")
        return tuple(dict.fromkeys(given))

    return convert


def completed_of(words: Sequence[str]) -> _Completion:
    """What a tab makes of some of a few words with commas between them."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        given = before.split(",")
        return [f"{before}{comma}{word}" for word in words if word.startswith(last) and word not in given]

    return complete


def kinds_option(told: str, kinds: Sequence[str] = KINDS) -> Callable[[Command], Command]:
    """The option ``--kind``: some of the kinds of steps; ``told`` says what for."""
    return click.option(
        "--kind",
        "kinds",
        multiple=True,
        metavar="KIND",
        callback=some_of(kinds),
        shell_complete=completed_of(kinds),
        help=f"{told}; several with commas: {', '.join(kinds)}.",
    )
