"""Fills and asks an index in a process of its own: what is timed is the index, and nothing that made its rows."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from agentrace.config import load
from agentrace.index import Watching, database, rebuild
from agentrace.index.loading import as_lines, insert
from agentrace.index.rows import EventRow
from agentrace.store import Store

_AT_ONCE: Final = 50_000
_FIRST: Final = 1_790_000_000_000_000_000

_QUESTIONS: Final = {
    "timeline": "SELECT seq, step_id, type, time FROM events WHERE run_id = $run ORDER BY seq",
    "steps": "SELECT step_id, parent_step_id, kind, name, status, started, duration_s, model FROM steps"
    " WHERE run_id = $run ORDER BY step_id",
    "daily": "SELECT day, model, sum(steps), sum(input_tokens) FROM daily WHERE $run IS NOT NULL GROUP BY ALL",
    "million": "SELECT CAST(started AS DATE), model, count(*), sum(input_tokens) FROM steps"
    " WHERE run_key <= 100 AND $run IS NOT NULL GROUP BY ALL",
    "runs": "SELECT * FROM runs WHERE $run IS NOT NULL ORDER BY started DESC LIMIT 20",
}


def main(home: Path, task: dict[str, Any]) -> dict[str, Any]:
    """Do what the task says."""
    gc.disable()  # as the command line does
    if task["what"] == "rebuild":
        return _rebuilt(home)
    if task["what"] == "insert":
        return _inserted(home, task["rows"])
    return _asked(home, task["runs"], task["events"], task["rounds"])


def _rebuilt(home: Path) -> dict[str, Any]:
    source = Store(home)
    count = len(source.entries)
    began = time.perf_counter()
    done = rebuild(source, Watching(processes=os.cpu_count() or 1))
    return {"seconds": time.perf_counter() - began, "events": done.events, "runs": count}


def _inserted(home: Path, rows: int) -> dict[str, Any]:
    body = '{"kind":"tool","name":"search","input":{"q":"shoes %d"},"call_site":"agent.py:%d plan","flow":"task:%d"}'
    made = [
        EventRow(
            1_000_000,
            number,
            number // 2,
            "StepDispatched" if number % 2 else "StepCompleted",
            _FIRST + number * 1_000,
            msgspec.Raw((body % (number, number % 300, number % 7)).encode()),
        )
        for number in range(rows)
    ]
    connection = database.writable(home)
    began = time.perf_counter()
    for first in range(0, rows, _AT_ONCE):
        connection.begin()
        insert(connection, "event_rows", [as_lines(made[first : first + _AT_ONCE])])
        connection.commit()
    took = time.perf_counter() - began
    connection.close()
    return {"seconds": took, "rows": rows}


def _asked(home: Path, runs: int, events: int, rounds: int) -> dict[str, Any]:
    home.mkdir()
    connection = database.writable(home)
    numbers = {"runs": runs, "steps": events // 2, "total": runs * events // 2}
    statements = (Path(__file__).parent / "index_rows.sql").read_text("utf-8").split(";\n")
    for sql in filter(str.strip, statements):
        used = {name: value for name, value in numbers.items() if f"${name}" in sql}
        connection.execute(sql, used)
    connection.close()
    connection = database.readable(home / database.FILE)
    run = connection.execute("SELECT run_id FROM runs ORDER BY started LIMIT 1 OFFSET $n", {"n": runs // 2}).fetchone()
    assert run is not None
    took: dict[str, list[float]] = {}
    for question, sql in _QUESTIONS.items():
        for _ in range(rounds):
            began = time.perf_counter()
            if not connection.execute(sql, {"run": run[0]}).fetchall():
                raise SystemExit(f"{question} gave nothing")
            took.setdefault(question, []).append((time.perf_counter() - began) * 1e3)
    return took


if __name__ == "__main__":
    print(json.dumps(main(load(environ=os.environ, cwd=Path.cwd()).home, json.load(sys.stdin))))
