"""How quickly records become rows of the index, and how long a question to a large index takes."""

from __future__ import annotations

from typing import Final

from benchmarks.children import ROOT, run, store
from benchmarks.figures import Effort, Figure, Unsound
from benchmarks.opening import once
from benchmarks.stores import Template, write_runs

TEMPLATE: Final = ROOT / "tests" / "golden" / "traces" / "v1-travel-of-1.1.agentrace"
_RUNS: Final = 100
_STEPS: Final = 1_000
_ROWS: Final = 500_000
_EVENTS_A_RUN: Final = 10_000

_LISTS: Final = {"ls": 300, "ls --model gpt-5-mini --tokens >1k": 300, "search Rome": None}
"""Commands and their bounds in ms."""

_QUESTIONS: Final = {
    "timeline": "its timeline of {events:,} events, one run among {total:,} events",
    "steps": "its {steps:,} steps, one run among {total:,} events",
    "daily": "steps and tokens by day and model, over {total:,} events",
    "million": "the same from the steps of 1,000,000 events, nothing summed up before",
    "runs": "the newest 20 of {runs:,} runs",
}


def measure(effort: Effort) -> list[Figure]:
    """Events indexed a second, rows written a second, and questions to an index of ten million events."""
    return [*_written(effort), *_listed(effort), *_asked(effort)]


def _listed(effort: Effort) -> list[Figure]:
    runs = effort.calls(10_000)
    took: dict[str, list[float]] = {}
    with store() as home:
        write_runs(home, Template(TEMPLATE), runs, 10)
        for _ in range(effort.rounds(7) + 1):  # the first one reads what the others have kept
            for arguments in _LISTS:
                took.setdefault(arguments, []).append(once(effort, home, *arguments.split(), expects="agent-")[0])
    return [
        Figure(
            promise=f"`agentrace {arguments}` of {runs:,} runs",
            unit="ms",
            below=bound,
            values=took[arguments][1:],
            how="wall time of the command, nothing new since the last one",
        )
        for arguments, bound in _LISTS.items()
    ]


def _written(effort: Effort) -> list[Figure]:
    events: list[float] = []
    rows: list[float] = []
    with store() as home:
        made = write_runs(home, Template(TEMPLATE), effort.calls(_RUNS), _STEPS)
        for _ in range(effort.rounds(5)):
            done = run("index_work", {"what": "rebuild"}, home, effort.environ)
            if done["events"] != made:
                raise Unsound(f"{made:,} events were written, {done['events']:,} indexed")
            events.append(made / done["seconds"])
            filled = run("index_work", {"what": "insert", "rows": effort.calls(_ROWS)}, home, effort.environ)
            rows.append(filled["rows"] / filled["seconds"])
    return [
        Figure(
            promise="indexing, from sealed records to committed rows",
            unit="events/s",
            above=30_000,
            values=events,
            how=f"{made:,} events of agents with model, tool and retriever calls, `reindex` of the whole store",
        ),
        Figure(
            promise="of which writing rows of events",
            unit="rows/s",
            above=100_000,
            values=rows,
            how="rows of 150 bytes of JSON, committed",
        ),
    ]


def _asked(effort: Effort) -> list[Figure]:
    runs = effort.calls(1_000)
    with store() as home:
        task = {"what": "ask", "runs": runs, "events": _EVENTS_A_RUN, "rounds": effort.rounds(7)}
        took = run("index_work", task, home, effort.environ)
    known = {
        "total": runs * _EVENTS_A_RUN,
        "events": _EVENTS_A_RUN,
        "steps": _EVENTS_A_RUN // 2,
        "runs": runs,
    }
    return [
        Figure(
            promise=promise.format(**known),
            unit="ms",
            below=100,
            values=took[question],
            how="an index of rows that SQL made, opened before",
        )
        for question, promise in _QUESTIONS.items()
    ]
