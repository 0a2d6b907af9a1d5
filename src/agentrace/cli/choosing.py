"""Which runs are meant by a command that does something with them: named, or those that a filter lets through."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from agentrace.archive import split_file, with_children
from agentrace.cli.escaping import cells, plain
from agentrace.cli.indexed import index_of
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import age, counted, size
from agentrace.errors import RunNotFound
from agentrace.ids import run_started_ms
from agentrace.index.filters import Filter
from agentrace.index.finding import chosen_ids
from agentrace.query import Head, Runs
from agentrace.query.references import split_step
from agentrace.store import Store
from agentrace.store.removing import held

_SHOWN: Final = 20
WHY: Final = {True: "its process still runs", False: "its process died in this moment: try again"}
SHARED: Final = "keeps its copy: another store put it there, or relies on it"
"""What is said of an archive from which a run was not taken."""


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


def store_of(home: Path | None) -> tuple[Runs, Store]:
    """The store, which has to be one: a trace file is removed as any file is."""
    runs = open_runs(home)
    if not isinstance(runs.store, Store):
        raise click.UsageError(f"{plain(str(home))} is a trace file, and no store.")
    return runs, runs.store


def meant(runs: Runs, names: Sequence[str], wanted: Filter) -> list[bytes]:
    """The named runs, or those that a filter lets through now. Raises ``RunNotFound`` and ``StoreError``."""
    return [named_run(runs, text) for text in names] or found_by(runs, wanted, up_to_date=True)


def named_run(runs: Runs, text: str) -> bytes:
    """The run that a person names, which is one of the store. Raises ``RunNotFound``."""
    if split_file(text) is not None:
        raise click.UsageError(f"{plain(text)} names a trace file, and no run of the store.")
    if split_step(text)[1]:
        raise click.UsageError(f"{plain(text)} names a step: name the run as a whole.")
    return runs.find(text)


def check_choice(names: Sequence[str], wanted: Filter, **others: bool) -> None:
    """See that runs are named, or chosen by filters, or by one of the ``others``, and in one of these ways only.

    ``others`` are options by name, and whether they are given. Raises ``UsageError``.
    """
    if sum([bool(names), wanted != Filter(), *others.values()]) != 1:
        more = "".join(f", or say --{option}" for option in others)
        raise click.UsageError(f"Name runs, or say which with the filters of `agentrace ls`{more}: one of these.")


def found_by(runs: Runs, wanted: Filter, *, up_to_date: bool) -> list[bytes]:
    """The runs that ``agentrace ls`` lists with this filter, the oldest first.

    ``up_to_date`` is for what cannot be undone: raises ``StoreError`` where another program keeps the index as it was.
    """
    with index_of(runs, up_to_date=up_to_date) as session:
        found = chosen_ids(session, wanted)
    there = set(runs.ids)
    return [run_id for run_id in found if run_id in there]


def _age(head: Head) -> int:
    return time.time_ns() - (head.started_ts or run_started_ms(head.run_id) * 1_000_000)


def groups_of(runs: Runs, store: Store, chosen: Sequence[bytes]) -> list[Group]:
    """The chosen runs with what they started, each run once."""
    busy = held(store.root)
    groups: list[Group] = []
    seen: set[bytes] = set()
    below = {run_id: with_children(runs, [run_id]) for run_id in sorted(set(chosen))}
    inner = {member for run_id, members in below.items() for member in members if member != run_id}
    for run_id in sorted(below, key=lambda run_id: run_id in inner):  # first those that no other one of them started
        members = below[run_id]
        if run_id in seen:
            continue
        seen.update(members)
        there = [busy[member] for member in members if member in busy]
        is_held = any(there) if there else None
        with suppress(RunNotFound):  # removed since
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
