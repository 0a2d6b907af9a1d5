"""``agentrace export``: runs with all that they need, in one file, and what was taken out of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from agentrace.archive import Emptying, Exported, export, redacting, with_children
from agentrace.archive.changing import Changing, Unchanged
from agentrace.cli.choosing import check_choice, found_by
from agentrace.cli.escaping import json_text, plain
from agentrace.cli.filtering import filter_options
from agentrace.cli.opening import home_option, named, settings
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import write
from agentrace.cli.units import counted, size
from agentrace.cli.verify import AWAY
from agentrace.config import Settings
from agentrace.export import Payloads, Pictured, picture, place
from agentrace.index.filters import BADLY, Filter
from agentrace.query import Runs
from agentrace.redact import Profile, environment_secrets, redactor
from agentrace.store import Store


@click.command()
@click.argument("run", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The file to write: NAME.agentrace, or NAME.json for a time line; one that is there is replaced.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["agentrace", "perfetto"]),
    default="agentrace",
    show_default=True,
    help="A trace file, or a time line that ui.perfetto.dev shows.",
)
@click.option("--all", "everything", is_flag=True, help="Take every run of the store.")
@filter_options
@click.option("--only-failed", is_flag=True, help="Of these, take the runs that failed, or started one that did.")
@click.option("--without-payloads", is_flag=True, help="Leave out what was said: arguments, results, messages, bodies.")
@click.option("--with-payloads", is_flag=True, help="With perfetto: all of what was said, not how it begins.")
@click.option("--redact", type=click.Choice(["default", "strict"]), help="Take out the secrets of this profile.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON what was written.")
def command(
    run: tuple[str, ...],
    wanted: Filter,
    output: Path,
    home: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write each RUN, with the runs of the processes it started, into one file.

    Without RUN, filters say which: those that `agentrace ls` lists with the same filters; or --all. Runs whose archive
    is away are then left out, which is said on stderr, and the exit code is 3.

    A trace file has to be called NAME.agentrace, and a time line must not be: commands know it by that name.

    The same runs make the same bytes. The file can be read in place by every command that takes a RUN. What is
    recorded was redacted when it was; --redact strict takes out personal data as well.

    --format perfetto writes a time line for ui.perfetto.dev: runs as processes, tasks and threads as threads, steps and
    requests as slices, tokens as a counter. Of arguments and results it tells how they begin.

    \b
    Example:
      agentrace export @last -o shop.agentrace
      agentrace export --all --only-failed --redact strict -o failures.agentrace
      agentrace export @last --format perfetto -o shop.json
    """
    asked = _Asked(**options)
    check_choice(run, wanted, all=asked.everything)
    _refuse_what_clashes(asked, output)
    runs, found = _chosen(run, wanted, home)
    away = [] if run else [run_id for run_id in found if _is_away(runs, run_id)]
    chosen = [run_id for run_id in found if run_id not in set(away)]
    if away:
        told_away = f"left out: {counted(len(away), 'run')} whose archive is away"
        click.echo(f"{click.style('warning', fg='yellow')}: {told_away}", err=True)
    kept = [run_id for run_id in chosen if not asked.only_failed or _failed(runs, run_id)]
    if not kept:
        raise click.UsageError("None of these runs failed." if chosen else "There are no such runs to export.")
    left_out = len(chosen) - len(kept)
    if asked.form == "perfetto":
        pictured = _picture(runs, kept, asked)
        size_of = place(output, pictured.parts(), replace=True)
        told = {"path": str(output), "format": asked.form, "size": size_of, "runs": pictured.runs}
        told |= {"slices": pictured.slices, "left_out": left_out}
        write([json_text(told)] if as_json else _pictured_lines(told))
    else:
        changing = _changing(settings(None), asked.without_payloads, asked.redact)
        with Progress("exporting", "run", len(with_children(runs, kept))) as progress:
            done = export(runs, kept, output, changing, progress.advance)
        write([json_text(_exported_json(done, left_out))] if as_json else exported_lines(done, left_out))
    if away:
        click.get_current_context().exit(AWAY)


class _Asked(Struct, frozen=True):
    """The options that say what is written, as they were given."""

    form: str
    everything: bool
    only_failed: bool
    without_payloads: bool
    with_payloads: bool
    redact: str | None


def _refuse_what_clashes(asked: _Asked, output: Path) -> None:
    if asked.without_payloads and asked.redact:
        raise click.UsageError("--without-payloads leaves nothing to redact: say one of them.")
    if asked.with_payloads and asked.form != "perfetto":
        raise click.UsageError("--with-payloads is of use with --format perfetto only: a trace file has them.")
    if asked.with_payloads and asked.without_payloads:
        raise click.UsageError("--with-payloads and --without-payloads: say one of them.")
    if asked.redact and asked.form == "perfetto":
        raise click.UsageError(
            "--redact goes with trace files: export one with it, then that file with --format perfetto."
        )
    told = plain(output.name)
    if asked.form == "agentrace" and output.suffix != ".agentrace":
        more = ", or say --format perfetto" if output.suffix == ".json" else ""
        raise click.UsageError(f"{told!r} is no name for a trace file: end it in .agentrace{more}.")
    if asked.form == "perfetto" and output.suffix == ".agentrace":
        raise click.UsageError(f"{told!r} is no name for a time line: end it in .json.")


def _picture(runs: Runs, kept: Sequence[bytes], asked: _Asked) -> Pictured:
    payloads: Payloads = "none" if asked.without_payloads else "whole" if asked.with_payloads else "beginning"
    return picture(map(runs.tree, with_children(runs, kept)), runs.record, payloads)


def _pictured_lines(told: Mapping[str, Any]) -> Iterator[str]:
    holds = f"{counted(told['runs'], 'run')}, {counted(told['slices'], 'slice')}, {size(told['size'])}"
    yield f"{plain(told['path'])}: {holds}; open it at https://ui.perfetto.dev"
    if told["left_out"]:
        yield f"left out: {counted(told['left_out'], 'run')} that did not fail"


def _exported_json(done: Exported, left_out: int) -> dict[str, Any]:
    members, removed = done.manifest.runs, done.manifest.removed
    told: dict[str, Any] = {"path": str(done.path), "format": "agentrace", "size": done.size, "runs": len(members)}
    told |= {"events": sum(run.events for run in members), "payloads": sum(run.payloads for run in members)}
    told |= {"left_out": left_out, "missing": sum(len(run.missing) for run in members)}
    without = {"payloads": removed.payloads, "redaction": removed.redaction or None, "events": removed.events}
    return told | {"removed": {**without, "secrets": {kind: n for kind, n in removed.secrets.items() if n > 0}}}


def exported_lines(done: Exported, left_out: int) -> Iterator[str]:
    """What is in the file, and what is not."""
    members, removed = done.manifest.runs, done.manifest.removed
    events, payloads = sum(run.events for run in members), sum(run.payloads for run in members)
    holds = ", ".join((counted(len(members), "run"), counted(events, "event"), counted(payloads, "payload")))
    yield f"{plain(str(done.path))}: {holds}, {size(done.size)}"
    missing = sum(len(run.missing) for run in members)
    taken = [f"{count:,} {kind}" for kind, count in removed.secrets.items() if count > 0]
    told = [
        f"{counted(left_out, 'run')} that did not fail" if left_out else "",
        "all arguments, results, messages and bodies" if removed.payloads else "",
        f"{', '.join(taken) or 'no secrets'} ({removed.redaction})" if removed.redaction else "",
        f"{counted(removed.events, 'event')} of a newer agentrace" if removed.events else "",
    ]
    yield f"removed: {'; '.join(filter(None, told)) or 'nothing'}"
    if missing and not removed.payloads:
        yield f"missing: {counted(missing, 'payload')} that the record refers to and that cannot be read"


def _chosen(names: Sequence[str], wanted: Filter, home: Path | None) -> tuple[Runs, list[bytes]]:
    if not names:
        runs = open_runs(home)
        if wanted == Filter():
            return runs, [head.run_id for head in runs.roots()]
        return runs, found_by(runs, wanted, up_to_date=False)
    found = [named(name, home) for name in names]
    runs = found[0][0]
    if any(other.store.root != runs.store.root for other, _, _ in found):
        raise click.UsageError("All runs of one export have to be in the same store, or in the same file.")
    return runs, list(dict.fromkeys(run_id for _, run_id, _ in found))


def _is_away(runs: Runs, run_id: bytes) -> bool:
    """Whether a run, or one that it started, is in an archive that cannot be reached."""
    if not isinstance(runs.store, Store):
        return False
    return any(runs.store.is_away(one) for one in with_children(runs, [run_id]))


def _failed(runs: Runs, run_id: bytes) -> bool:
    return any(runs.summary(one).status in BADLY for one in with_children(runs, [run_id]))


def _changing(given: Settings, without_payloads: bool, redact: str | None) -> Changing:
    if without_payloads:
        return Emptying
    if redact is None:
        return Unchanged
    profile: Profile = "strict" if redact == "strict" else "default"
    return redacting(redactor(profile, given.redact_patterns, environment_secrets(os.environ)))
