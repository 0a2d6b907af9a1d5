"""``agentrace replay``: start a program again with its boundary calls answered from a recorded run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import click

from agentrace import archive, config
from agentrace.cli.launch import command_line, environment, not_recorded_because
from agentrace.cli.opening import named
from agentrace.errors import ReplayError
from agentrace.fold import boundaries
from agentrace.ids import format_run_id
from agentrace.patterns import as_variable
from agentrace.query import RunRecord, Runs, inferred

DIVERGED: Final = 3
"""Exit code of a replay that did not do what the record holds."""


class _Speed(click.ParamType[float]):
    """``zero``, ``recorded`` or a factor."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            speed = {"zero": 0.0, "recorded": 1.0}[value] if value in ("zero", "recorded") else float(value)
        except ValueError:
            speed = -1.0
        if not 0 <= speed < 1e6:
            self.fail(f"{value!r} is neither zero nor recorded nor a factor such as 2", param, ctx)
        return speed


SPEED = _Speed()


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--home", type=click.Path(path_type=Path), help="The store directory; see `agentrace path`.")
@click.option("--tools", multiple=True, metavar="PATTERN", help="As for `agentrace run`; those of the run by default.")
@click.option("--retrievers", multiple=True, metavar="PATTERN", help="The same for functions that fetch documents.")
@click.option("--allow-unrecorded-tools", is_flag=True, help="Run tools that the record does not hold for real.")
@click.option(
    "--order",
    type=click.Choice(["recorded", "free"]),
    default="recorded",
    help="Answer calls that were open at the same time in the recorded order, or as soon as they ask.",
)
@click.option(
    "--speed",
    type=SPEED,
    default="zero",
    metavar="zero|recorded|FACTOR",
    help="How fast streams are: without waiting, as recorded, or FACTOR times as fast.",
)
@click.option("--observe", is_flag=True, help="Go on after a divergence where that is possible, and tell all of them.")
@click.argument("run")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def command(
    home: Path | None,
    tools: tuple[str, ...],
    retrievers: tuple[str, ...],
    allow_unrecorded_tools: bool,
    order: str,
    speed: float,
    observe: bool,
    run: str,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND again and answer its model, tool and retriever calls from RUN, with the network refused.

    A call that is not the recorded one stops the replay, with what was expected and what was observed; the exit code
    is 3 then. Without COMMAND the recorded command line is used. The replay is a run of its own; RUN is only read.
    It may be a trace file, of which FILE@RUN names one run of several.

    Calls that were open at the same time end in the recorded order again, so that races come out as they did.

    \b
    Example:
      agentrace replay @last -- python agent.py
      agentrace replay 01a1f903
      agentrace replay shop.agentrace -- python agent.py
    """
    settings = config.load({} if home is None else {"home": home}, environ=os.environ, cwd=Path.cwd())
    runs, run_id, _ = named(run, settings.home)
    source = runs.record(run_id)
    refuse_unrecorded(source, allow_unrecorded_tools)
    started = source.trace.run.started
    argv = command_line(command or ([] if started is None else started.argv))
    why = not_recorded_because(argv)
    if why:
        raise ReplayError(f"the program cannot be replayed: {why}", do="start it without that option")
    variables = {
        "AGENTRACE_REPLAY": f"{format_run_id(source.run_id)}@{runs.store.root.absolute()}",
        "AGENTRACE_REPLAY_MANNER": f"{order},{speed},{'observe' if observe else ''}",
        "AGENTRACE_PATCH": "" if started is None else ",".join(started.patched),
        "AGENTRACE_EXCLUDE_URLS": "" if started is None else ",".join(started.excluded),
        "AGENTRACE_HOME": str(settings.home),
        "AGENTRACE_TOOLS": as_variable("tools", tools) or _patterns(source, "tool"),
        "AGENTRACE_RETRIEVERS": as_variable("retrievers", retrievers) or _patterns(source, "retriever"),
    }
    variables = {name: value for name, value in variables.items() if value}
    env = environment(os.environ, variables, "" if started is None else started.hash_seed)
    env.pop("AGENTRACE_PARENT", None)  # it is answered from its source, not from what its parent recorded
    before = source.chain
    code, pid = _wait_for(argv, env)
    click.echo(_told(settings.home, source, pid, code), err=True)
    if archive.runs_at(runs.store.root).record(run_id).chain != before:
        click.echo("agentrace: the source is not what it was when the replay began: do not trust either", err=True)
        code = code or DIVERGED
    sys.exit(code)


def refuse_unrecorded(source: RunRecord, allowed: bool) -> None:
    """Raise ``ReplayError`` if the run called tools that it did not record."""
    tools = sorted({call.name for call in inferred(source) if call.answered})
    if tools and not allowed:
        raise ReplayError(
            f"the run called tools that it did not record: {', '.join(tools)}",
            do="record it again with --tools, or replay with --allow-unrecorded-tools: they run for real then",
            slug="unrecorded-tools",
        )


def _patterns(source: RunRecord, kind: str) -> str:
    """What ``--tools`` or ``--retrievers`` has to say so that the replay records what the run recorded."""
    started, described = source.trace.run.started, source.trace.run.described
    told = started and {"tool": started.tools, "retriever": started.retrievers}[kind]
    if told:
        return ",".join(told)
    names = set() if described is None else set(described.tools)
    steps = source.trace.steps.values()
    wrapped = {step.name for step in steps if step.kind == kind and not step.dispatched.integration}
    return ",".join(sorted(name for name in names if name.partition(":")[2] in wrapped))


def _wait_for(argv: list[str], env: dict[str, str]) -> tuple[int, int]:
    """Run the program in the foreground; its exit code and process id."""
    try:
        child = subprocess.Popen(argv, env=env)
    except OSError as error:
        raise ReplayError(
            f"{argv[0]!r} cannot be started: {error.strerror}", do="name the command after --", slug="no-command"
        ) from error
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the program; it decides
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return (code if code >= 0 else 128 - code), child.pid


def _told(home: Path, source: RunRecord, pid: int, code: int) -> str:
    """The result in one line, from the replay's own record."""
    runs = Runs(home)
    for head in runs.heads():
        record = runs.record(head.run_id)
        started = record.trace.run.started
        if started is None or started.pid != pid or started.origin.source_run_id != source.run_id:
            continue
        ended = record.trace.run.ended
        verdict = "incomplete" if ended is None else ended.replay
        caveats = [] if ended is None else ended.caveats
        shown = f"{verdict} [{'; '.join(caveats)}]" if caveats else verdict
        answered = sum(step.ended is not None for step in boundaries(record.trace.steps))
        calls = f"{answered} call{'' if answered == 1 else 's'} answered from the record, no connection made"
        return f"agentrace: replay {shown}: {calls} (run {format_run_id(head.run_id)})"
    return f"agentrace: the replay left no record; the program ended with exit code {code}"
