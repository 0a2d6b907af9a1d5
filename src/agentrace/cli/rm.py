"""``agentrace rm``: runs removed, with those that they started, after they were told and somebody said yes."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from agentrace.archive import split_file, with_children
from agentrace.cli.escaping import cells, json_text, plain
from agentrace.cli.ls import unique_digits
from agentrace.cli.opening import home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import age, counted, size
from agentrace.ids import format_run_id, run_started_ms
from agentrace.query import Head, Runs
from agentrace.query.references import split_step
from agentrace.store import Store
from agentrace.store.removing import Removal, held, remove

_SHOWN: Final = 20
_NS: Final = 1_000_000_000
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGE: Final = re.compile(r"(\d{1,9}) ?(s|min|h|d|w)")
_WHY: Final = {True: "its process still runs", False: "its process died in this moment: try again"}
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


@click.command()
@click.argument("run", nargs=-1)
@click.option(
    "--older-than", callback=nanoseconds, metavar="AGE", help="Runs that began longer ago: 90s, 15min, 12h, 30d, 8w."
)
@click.option("--status", type=click.Choice(_STATUSES), multiple=True, help="Runs that ended so; may be repeated.")
@click.option("--name", metavar="NAME", help="Runs of this name, in which * stands for anything.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run, one on each line.")
@click.pass_context
def command(
    ctx: click.Context,
    run: tuple[str, ...],
    older_than: int | None,
    status: tuple[str, ...],
    name: str | None,
    dry_run: bool,
    yes: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """Remove each RUN, with the runs of the processes and jobs that it started, after asking.

    Without RUN, options say which of the runs that `agentrace ls` lists; all that are given have to hold. What is
    removed cannot be brought back. A run that a process still writes is left; if it was named, the exit code is 1.

    \b
    Example:
      agentrace rm @last
      agentrace rm --older-than 30d --status failed --dry-run
      agentrace rm --name 'nightly*' --older-than 8w --yes
    """
    given = older_than is not None or bool(status) or name is not None
    if bool(run) == given:
        raise click.UsageError("Name runs, or say which with --older-than, --status or --name; one of the two.")
    if not yes and not dry_run and not sys.stdin.isatty():
        raise click.UsageError("There is nobody to ask here, so nothing is removed: say --yes, or --dry-run.")
    runs, store = _store(home)
    chosen = [_named(runs, text) for text in run] or list(_matching(runs, older_than, frozenset(status), name))
    groups = _groups(runs, store, chosen)
    click.echo("\n".join(told_lines(groups, unique_digits(runs.ids), terminal())), err=as_json)
    free = [group for group in groups if group.is_held is None]
    done = Removal([], {}, [])
    if free and not dry_run:
        if yes or click.confirm(f"Remove {counted(sum(len(group.members) for group in free), 'run')}?", err=True):
            done = _removed(store, free)
        freed = sum(group.size for group in free if group.head.run_id in done.removed)
        click.echo(f"{counted(len(done.removed), 'run')} removed, {size(freed)} freed", err=as_json)
    outcomes = list(_outcomes(groups, done))
    if as_json:
        write(json_text(_json(member, outcome)) for member, outcome in outcomes)
    if run and not dry_run and any(outcome in _WHY.values() for _, outcome in outcomes):
        ctx.exit(1)


def told_lines(groups: Sequence[Group], digits: int, to: Terminal) -> Iterator[str]:
    """What is to be removed, and what is left."""
    free = [group for group in groups if group.is_held is None]
    names = min(40, max((cells(plain(group.head.name)) for group in groups), default=0))
    for group in islice(free, _SHOWN):
        yield f"{_told(group, digits, names, to)}{_started(group)}, {size(group.size)}"
    if len(free) > _SHOWN:
        yield f"and {counted(len(free) - _SHOWN, 'run')} more"
    runs, bytes_ = sum(len(group.members) for group in free), sum(group.size for group in free)
    yield f"{counted(runs, 'run')}, {size(bytes_)}" if free else "no run is to be removed"
    for group in groups:
        if group.is_held is not None:
            yield f"{to.paint('left', 'yellow')}  {_told(group, digits, names, to)}: {_WHY[group.is_held]}"


def _told(group: Group, digits: int, names: int, to: Terminal) -> str:
    name = to.cut(plain(group.head.name) or "?", max(names, 1))
    return f"{group.head.run_id.hex()[:digits]}  {name}{' ' * (names - cells(name))}  {age(_age(group.head))} old"


def _started(group: Group) -> str:
    jobs = sum(head.is_job for head in group.started)
    kinds = ((len(group.started) - jobs, "process"), (jobs, "job"))
    return "".join(f" +{counted(count, what)}" for count, what in kinds if count)


def _store(home: Path | None) -> tuple[Runs, Store]:
    """The store, which has to be one: a trace file is removed as any file is."""
    runs = open_runs(home)
    if not isinstance(runs.store, Store):
        raise click.UsageError(f"{plain(str(home))} is a trace file: remove the file.")
    return runs, runs.store


def _named(runs: Runs, text: str) -> bytes:
    if split_file(text) is not None:
        raise click.UsageError(f"{plain(text)} names a trace file: remove the file.")
    if split_step(text)[1]:
        raise click.UsageError(f"{plain(text)} names a step: a run is removed as a whole.")
    return runs.find(text)


def _matching(runs: Runs, older_than: int | None, statuses: frozenset[str], name: str | None) -> Iterator[bytes]:
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


def _groups(runs: Runs, store: Store, chosen: Sequence[bytes]) -> list[Group]:
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


def _removed(store: Store, groups: Sequence[Group]) -> Removal:
    members = [[head.run_id for head in group.members] for group in groups]
    with Progress("removing", "run", sum(map(len, members))) as progress:
        found = remove(store.root, members, progress.advance)
    for path in found.damaged:
        told = f"{plain(str(path))} holds something of a removed run, and was left because of other runs in it"
        click.echo(f"{click.style('warning', fg='yellow')}: {told}", err=True)
    return found


def _outcomes(groups: Sequence[Group], done: Removal) -> Iterator[tuple[Head, str]]:
    """Each run, and what came of it."""
    removed = set(done.removed)
    for group in groups:
        for member in group.members:
            held_by = done.kept.get(member.run_id, group.is_held)
            left = "left" if held_by is None else _WHY[held_by]
            yield member, "removed" if member.run_id in removed else left


def _json(member: Head, outcome: str) -> dict[str, Any]:
    return {
        "id": format_run_id(member.run_id),
        "name": member.name,
        "started_by": format_run_id(member.parent) if member.parent else None,
        "outcome": outcome,
    }
