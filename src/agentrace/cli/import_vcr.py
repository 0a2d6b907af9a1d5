"""``agentrace import-vcr``: cassettes that vcrpy recorded, as runs of a trace file or of the store."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from agentrace.archive import TraceFile, export, import_file
from agentrace.cli.escaping import plain
from agentrace.cli.export import exported_lines
from agentrace.cli.import_ import imported_lines
from agentrace.cli.opening import home_option, settings
from agentrace.cli.progress import Progress
from agentrace.cli.terminal import write
from agentrace.cli.units import counted
from agentrace.config import Settings
from agentrace.errors import TraceFileError
from agentrace.query import Runs
from agentrace.redact import Redactor, environment_secrets, redactor
from agentrace.store import Store
from agentrace.vcr import Told, found_at, tell_all, told_in

_SHOWN: Final = 5


@click.command()
@click.argument("cassette", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the runs into this trace file, NAME.agentrace, and not into the store; with DIRECTORY/, each into a "
    "file there that has the cassette's name. Files that are there are replaced.",
)
@home_option
def command(cassette: tuple[Path, ...], output: str | None, home: Path | None) -> None:
    """Make a run of each CASSETTE that vcrpy recorded, in YAML or JSON, or of each in a directory.

    A request becomes the step that a recording of its client would hold: model, messages and tokens are read as always,
    and secrets are taken out. A cassette knows requests and answers, not where in the program they were made, nor when
    they ended: a replay finds calls by what they ask for, lets tools run, and says so.

    It is no error to import a cassette twice: it makes the same run. YAML needs PyYAML: pip install 'agentrace[vcr]'.

    \b
    Example:
      agentrace import-vcr tests/cassettes/refund.yaml -o refund.agentrace
      agentrace replay refund.agentrace -- python agent.py
      agentrace import-vcr tests/cassettes -o tests/traces/
    """
    if output is not None and home is not None:
        raise click.UsageError("The runs go into a trace file or into a store: say one of -o and --home.")
    loaded = settings(home)
    found = found_at(cassette)
    with Progress("importing", "cassette", len(found)) as progress:
        told = tell_all(found, _redactor(loaded), lambda: progress.advance(1))
    with told_in(told.runs) as runs:
        done = _imported(told, runs, loaded.home) if output is None else _written(told, runs, output)
    write(told_lines(told))
    write(done)


def _imported(told: Told, runs: Runs, home: Path) -> Iterator[str]:
    file = runs.store.root / "imported.agentrace"
    export(runs, [run.run_id for run in told.runs], file)
    return imported_lines(import_file(TraceFile(file), Store(home)), home)


def _written(told: Told, runs: Runs, output: str) -> Iterator[str]:
    place = Path(output)
    if not (output.endswith(os.sep) or place.is_dir()):
        return exported_lines(export(runs, [run.run_id for run in told.runs], place), 0)
    for run in told.runs:
        file = place / _file_name(run.name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            what = f"{file.parent} cannot be made: {failure.strerror or failure}"
            raise TraceFileError(what, do="name a directory in which you may write") from failure
        export(runs, [run.run_id], file)
    return iter([f"{counted(len(told.runs), 'trace file')} in {plain(output)}"])


def _file_name(cassette: str) -> str:
    """The trace file of a cassette: of a test's, ``test_x[a]``, where the plugin for pytest has it, ``test_x-a``."""
    name, bracket, variant = cassette.partition("[")
    return f"{name}-{variant.removesuffix(']')}.agentrace" if bracket else f"{name}.agentrace"


def _redactor(loaded: Settings) -> Redactor:
    return redactor(loaded.redact, loaded.redact_patterns, environment_secrets(os.environ))


def told_lines(told: Told) -> Iterator[str]:
    """What was in the cassettes, and what of it could not be taken as it stands."""
    runs = told.runs
    kinds = Counter(kind for run in runs for kind in run.kinds)
    requests = sum(run.requests for run in runs)
    of = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())) or "no calls"
    yield f"{counted(len(runs), 'cassette')}, {counted(requests, 'request')}: {of}"
    undated = requests - sum(run.dated for run in runs)
    if undated:
        yield f"times: {undated:,} of {requests:,} requests have none of their own"
    for count, what in _remarks(told):
        if count:
            yield f"{counted(count, what[0])} {what[1]}"
    yield from _left_out(told.left_out)


def _remarks(told: Told) -> Iterator[tuple[int, tuple[str, str]]]:
    runs = told.runs
    yield sum(run.changed for run in runs), ("answer", "with a length or coding that was not the body's: corrected")
    yield sum(run.assumed for run in runs), ("request", "taken for repetitions by a client, though nothing says so")
    yield sum(run.unseen for run in runs), ("body", "in a coding that redaction cannot look into: privacy_risk")


def _left_out(files: Sequence[Path]) -> Iterator[str]:
    if files:
        shown = ", ".join(plain(str(file)) for file in files[:_SHOWN])
        more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
        yield f"left out, no cassettes: {shown}{more}"
