"""Cassettes as tests write them, and what becomes of them."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from agentrace.archive import TraceFile, export
from agentrace.query import RunRecord
from agentrace.redact import redactor
from agentrace.vcr import Interaction, ToldRun, read_cassette, told, told_in

CHAT = '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Grüß Gott"}]}'


def one(**parts: Any) -> dict[str, Any]:
    """An interaction, with parts of it replaced, or with ``None`` left out."""
    request: dict[str, Any] = {"method": "GET", "uri": "http://shop.test/items", "headers": {}, "body": None}
    response: dict[str, Any] = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "[]"}}
    request |= parts.pop("request", {})
    response |= parts.pop("response", {})
    return {"request": request, "response": response, **parts}


def laid_down(path: Path, *interactions: Any, **top: Any) -> Path:
    """A cassette in JSON."""
    path.write_text(json.dumps({"version": 1, "interactions": list(interactions), **top}))
    return path


def read(path: Path, text: str) -> list[Interaction]:
    """The interactions of a cassette in YAML."""
    path.write_text(textwrap.dedent(text))
    return list(read_cassette(path).interactions)


def run_of(path: Path, *interactions: Any) -> tuple[ToldRun, RunRecord]:
    """What a cassette tells, and its record."""
    run = told(read_cassette(laid_down(path / "c.json", *interactions)), redactor())
    with told_in([run]) as runs:
        export(runs, [run.run_id], path / "c.agentrace")
    return run, TraceFile(path / "c.agentrace").record(run.run_id)
