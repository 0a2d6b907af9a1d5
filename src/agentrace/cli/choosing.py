"""Which runs are meant by a command that removes or moves them: named, or chosen by age, status and name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from agentrace.archive import split_file, with_children
from agentrace.cli.escaping import cells, plain
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import age, counted, size
from agentrace.ids import run_started_ms
from agentrace.query import Head, Runs
from agentrace.query.references import split_step
from agentrace.store import Store
from agentrace.store.removing import held

_SHOWN: Final = 20
_NS: Final = 1_000_000_000
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGE: Final = re.compile(r"(\d{1,9}) ?(s|min|h|d|w)")
WHY: Final = {True: "its process still runs", False: "its process died in this moment: try again"}
SHARED: Final = "keeps its copy: another store put it there, or relies on it"
"""What is said of an archive from which a run was not taken."""
_STATUSES: Final = ("completed", "failed", "aborted", "interrupted", "unreadable")


def nanoseconds(_: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """``30d`` as nanoseconds."""
    found = _AGE.fullmatch(value or "")
    if value is not None and found is None:
        raise click.BadParameter(f"{value!r} is no age: 90s, 15min, 12h, 30d or 8w is one.", param=param)
    return None if found is None else int(found[1]) * _UNITS[found[2]] * _NS


class Group(Struct, frozen=True):
    """A run, and what it started: removed together."""

    head: Head
    started: list[Head]
    """The oldest first."""
    size: int
    """Bytes of all of them."""
    is_held: bool | None
    """None if it can be removed; else whether the process that has it lives."""

    @property
    def members(self) -> list[Head]:
        """What was started before what started it, so that a removal that is cut short leaves what is named."""
        return [*self.started[::-1], self.head]


class Chosen(Struct, frozen=True):
    """What the options of such a command say."""

    older_than: int | None = None
    """Nanoseconds."""
    statuses: frozenset[str] = frozenset()
    name: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether any of them was given."""
        return self != Chosen()


def choosing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options ``--older-than``, ``--status`` and ``--name``, which are given on as ``chosen``."""

    @click.option(
        "--older-than",
        callback=nanoseconds,
        metavar="AGE",
        help="Runs that began longer ago: 90s, 15min, 12h, 30d, 8w.",
    )
    @click.option("--status", type=click.Choice(_STATUSES), multiple=True, help="Runs that ended so; may be repeated.")
    @click.option("--name", metavar="NAME", help="Runs of this name, in which * stands for anything.")
    @wraps(function)
    def choosing(older_than: int | None, status: tuple[str, ...], name: str | None, **given: Any) -> Any:
        return function(chosen=Chosen(older_than, frozenset(status), name), **given)

    return choosing


def store_of(home: Path | None) -> tuple[Runs, Store]:
    """The store, which has to be one: a trace file is removed as any file is."""
    runs = open_runs(home)
    if not isinstance(runs.store, Store):
        raise click.UsageError(f"{plain(str(home))} is a trace file, and no store.")
    return runs, runs.store


def named_run(runs: Runs, text: str) -> bytes:
    """The run that a person names, which is one of the store. Raises ``RunNotFound``."""
    if split_file(text) is not None:
        raise click.UsageError(f"{plain(text)} names a trace file, and no run of the store.")
    if split_step(text)[1]:
        raise click.UsageError(f"{plain(text)} names a step: name the run as a whole.")
    return runs.find(text)


def matching(runs: Runs, chosen: Chosen) -> Iterator[bytes]:
    """The listed runs for which all that was chosen holds."""
    older_than, name, statuses = chosen.older_than, chosen.name, chosen.statuses
    tests: list[Callable[[Head], bool]] = []
    if older_than is not None:
        tests.append(lambda head: _age(head) > older_than)
    if name is not None:
        tests.append(lambda head: fnmatchcase(head.name, name))
    if statuses:  # last: it reads the whole run, if nobody did before
        tests.append(lambda head: runs.summary(head.run_id).status in statuses)
    with Progress("looking", "run", len(runs.ids)) as progress:
        for head in progress.over(runs.roots()):
            if all(test(head) for test in tests):
                yield head.run_id


def _age(head: Head) -> int:
    return time.time_ns() - (head.started_ts or run_started_ms(head.run_id) * 1_000_000)


def groups_of(runs: Runs, store: Store, chosen: Sequence[bytes]) -> list[Group]:
    """The chosen runs with what they started, each run once."""
    busy = held(store.root)
    groups: list[Group] = []
    seen: set[bytes] = set()
    for run_id in sorted(set(chosen)):  # whatever a run started has a later id
        if run_id not in seen:
            members = with_children(runs, [run_id])
            seen.update(members)
            there = [busy[member] for member in members if member in busy]
            is_held = any(there) if there else None
            bytes_ = sum(store.size_of(member) for member in members)
            started = [runs.head(member) for member in members if member != run_id]
            groups.append(Group(runs.head(run_id), started, bytes_, is_held))
    return groups


def told_lines(groups: Sequence[Group], digits: int, to: Terminal, done: str) -> Iterator[str]:
    """What is to be ``done``, such as removed, and what is left."""
    free = [group for group in groups if group.is_held is None]
    names = min(40, max((cells(plain(group.head.name)) for group in groups), default=0))
    for group in islice(free, _SHOWN):
        yield f"{_told(group, digits, names, to)}{_started(group)}, {size(group.size)}"
    if len(free) > _SHOWN:
        yield f"and {counted(len(free) - _SHOWN, 'run')} more"
    runs, bytes_ = sum(len(group.members) for group in free), sum(group.size for group in free)
    yield f"{counted(runs, 'run')}, {size(bytes_)}" if free else f"no run is to be {done}"
    for group in groups:
        if group.is_held is not None:
            yield f"{to.paint('left', 'yellow')}  {_told(group, digits, names, to)}: {WHY[group.is_held]}"


def _told(group: Group, digits: int, names: int, to: Terminal) -> str:
    name = to.cut(plain(group.head.name) or "?", max(names, 1))
    return f"{group.head.run_id.hex()[:digits]}  {name}{' ' * (names - cells(name))}  {age(_age(group.head))} old"


def _started(group: Group) -> str:
    jobs = sum(head.is_job for head in group.started)
    kinds = ((len(group.started) - jobs, "process"), (jobs, "job"))
    return "".join(f" +{counted(count, what)}" for count, what in kinds if count)
