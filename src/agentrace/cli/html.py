"""``agentrace show --html``: what the page of a run shows, made of the same JSON that ``--json`` prints."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from agentrace.cli.as_json import exchange_json, row_json, tree_json
from agentrace.cli.escaping import plain
from agentrace.cli.page_options import NAMED, STDOUT, Asked
from agentrace.cli.terminal import write
from agentrace.cli.units import counted, duration, size
from agentrace.errors import AgentraceError, RunNotFound
from agentrace.events import NO_VALUE, StepFailed
from agentrace.export import Blocks, Contents, page, place, refuse_existing
from agentrace.fold import ExchangeState
from agentrace.ids import format_run_id
from agentrace.query import UNREADABLE, InferredRow, ProcessRow, Row, RunRecord, StepRow, Tree, body_of, in_one_line

RecordOf = Callable[[bytes], RunRecord]

_OUTLINED: Final = 5_000
"""Rows that a browser without JavaScript is shown."""
_IN_COLUMNS: Final = frozenset(
    {"type", "depth", "kind", "name", "status", "step_id", "offset_ns", "duration_ns", "parallel", "error"}
)
"""What the table has of a row and its panel need not be told again."""
_SAID: Final = frozenset(
    {"input", "output", "error", "message", "notes", "traceback", "comment", "fields", "argv", "report"}
)
"""What repeats what went in or came out."""
_TYPES: Final = {StepRow: 0, InferredRow: 1, ProcessRow: 2}
_PARALLEL, _STREAMED = 1, 2


def write_page(tree: Tree, record_of: RecordOf, asked: Asked, *, chosen: int) -> None:
    """Write the page of a run, and tell where it is. Raises ``StoreError`` and ``RunNotFound``."""
    if chosen and not any(isinstance(row, StepRow) and row.state.id == chosen for row in tree.rows):
        raise RunNotFound(f"run {format_run_id(tree.run.id)} has no step {chosen}", do="leave the step out")
    path = Path(_file_name(tree) if asked.file == NAMED else asked.file)
    if asked.file != STDOUT and not asked.force:
        refuse_existing(path)
    parts = page(contents(tree, record_of, chosen=chosen, payloads=asked.payloads))
    if asked.file == STDOUT:
        sys.stdout.buffer.writelines(parts)
        sys.stdout.buffer.flush()
        return
    written = place(path, parts, replace=asked.force)
    without = "" if asked.payloads else ", without payloads"
    write([f"{plain(str(path))}: {counted(len(tree.rows), 'row')}, {size(written)}{without}"])


def _file_name(tree: Tree) -> str:
    name = re.sub(r"[^\w.-]+", "-", tree.run.name, flags=re.ASCII).strip("-.")[:60]
    return f"{name or 'run'}-{tree.run.id.hex()[:12]}.html"


def contents(tree: Tree, record_of: RecordOf, *, chosen: int = 0, payloads: bool = True) -> Contents:
    """What the page shows; ``chosen`` is the step at which it opens, 0 for none."""
    blocks = Blocks()
    columns = _columns(tree, record_of, blocks, payloads=payloads)
    head = _head(tree, record_of, payloads=payloads)
    head["notes"] = blocks.add(head["notes"]) if head["notes"] else -1
    blocks.finish()
    more = {"parts": blocks.parts, "chosen": chosen, "payloads": payloads}
    name = plain(tree.run.name) or "run"
    return Contents(f"{name} ({tree.status}) - agentrace", {**head, **more}, columns, _outline(tree), blocks)


def _head(tree: Tree, record_of: RecordOf, *, payloads: bool) -> dict[str, Any]:
    head = tree_json(replace(tree, rows=()), record_of, io=False)
    head["duration_ns"] = tree.run.duration_ns
    head["ended"] = tree.run.ended is not None
    if not payloads:
        head = _without_payloads(head) | {"argv": []}
    return {**head, "notes": head.get("notes", []), "remarks": list(_remarks(tree, payloads=payloads))}


def _remarks(tree: Tree, *, payloads: bool) -> Iterator[tuple[str, str]]:
    """What else there is to say about the run, and how loudly: ``bad``, ``warn`` or ``soft``."""
    run, started, described = tree.run, tree.run.started, tree.run.described
    if run.failure is not None:
        text = run.failure.traceback.rstrip() or in_one_line(run.failure)
        yield "bad", text if payloads else _type_of(run.failure.type)
    if run.aborted is not None:
        yield "bad", f"aborted by {run.aborted.by}: {run.aborted.code} {run.aborted.reason}".rstrip()
    if tree.cut_short:
        yield "warn", "the record is cut off; this is what can be read of it"
    elif tree.status in _UNENDED:
        yield "warn", _UNENDED[tree.status]
    if not tree.rows and run.ended is not None:
        yield "warn", "nothing was recorded: the program made no call that agentrace knows"
    if run.lost:
        yield "warn", f"{counted(run.lost, 'event')} could not be recorded"
    if run.origin.imported:
        yield "soft", "imported: not a recording of the program itself"
    elif run.origin.mode != "live":
        verdict = run.replay.replace("_", " ") or "not finished"
        yield "soft", f"{run.origin.mode} of run {run.origin.source_run_id.hex()[:12]}: {verdict}"
        if run.diverged is not None and payloads:
            yield "warn", run.diverged.report or run.diverged.code
    if run.parent.run_id:
        where = f" in its step {run.parent.step_id}" if run.parent.step_id else ""
        yield "soft", f"started by run {run.parent.run_id.hex()[:12]}{where}"
    if started is not None and 0 < started.sample_rate < 1:
        yield "soft", f"sampled at {started.sample_rate:.3g}: runs like it that were left out are not in the store"
    if described is not None and described.left_out:
        told = ", ".join(f"{host} ({count:,})" for host, count in sorted(described.left_out.items()))
        yield "soft", f"not recorded: reports of libraries and excluded requests to {told}"
    if described is not None and described.tools:
        yield "soft", f"recorded by name: {', '.join(described.tools)}"
    if not payloads:
        yield (
            "warn",
            "without payloads: arguments, results, messages, headers and the texts of errors are left out",
        )


_UNENDED: Final = {
    "interrupted": "the process ended without an end of the run; this is all it had done by then",
    "running": "the run is still going on; this is what it had done when the page was made",
}


# --- rows ---------------------------------------------------------------------------------------------------


class _Texts:
    """The texts of the columns, each once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        found = self._places.get(text)
        if found is None:
            found = self._places[text] = len(self.all)
            self.all.append(text)
        return found


def _columns(tree: Tree, record_of: RecordOf, blocks: Blocks, *, payloads: bool) -> Mapping[str, list[Any]]:
    texts, runs = _Texts(), {tree.run.id: 0}
    rows: list[dict[str, Any]] = []
    for row in tree.rows:
        run = runs.setdefault(row.run_id, len(runs))
        told = _cells(row, texts, payloads=payloads)
        rows.append({**told, "run": run, "detail": blocks.add(_detail(row, record_of, payloads=payloads))})
    names = ("depth", "type", "kind", "name", "status", "model", "remark", "id", "start", "duration", "first")
    columns = {name: [row[name] for row in rows] for name in (*names, "input", "output", "flags", "run", "detail")}
    return {"texts": texts.all, **columns}


def _cells(row: Row, texts: _Texts, *, payloads: bool) -> dict[str, Any]:
    """What the table has of a row; tokens are -1 where there are none to tell."""
    told: dict[str, Any] = {"depth": row.depth, "type": _TYPES[type(row)], "id": 0, "start": 0, "duration": 0}
    told |= {"first": 0, "input": -1, "output": 0, "flags": 0, "model": texts.place(""), "remark": texts.place("")}
    if isinstance(row, InferredRow):
        said = "inferred, not recorded" if row.call.answered else "inferred, no result seen"
        words = {"kind": "tool", "name": row.call.name, "status": "inferred", "remark": said}
    elif isinstance(row, ProcessRow):
        told |= {"start": row.start_ns, "duration": row.duration_ns}
        remark = "" if row.run.failure is None else _failure_remark(row.run.failure, payloads=payloads)
        words = {"kind": row.kind, "name": row.run.name or "?", "status": row.status, "remark": remark}
    else:
        state = row.state
        told |= {"id": state.id, "start": row.start_ns, "duration": row.duration_ns}
        told["first"] = state.first_chunk_ns if row.streamed else 0
        told["flags"] = _PARALLEL * row.parallel + _STREAMED * row.streamed
        if row.usage is not None:
            told |= {"input": row.usage.input_tokens, "output": row.usage.output_tokens}
        name = state.name.removeprefix(f"{state.dispatched.integration}.") if row.model else state.name
        words = {"kind": state.kind or "step", "name": name or "?", "status": row.status, "model": row.model}
        words["remark"] = _remark(row, payloads=payloads)
    return told | {name: texts.place(text) for name, text in words.items()}


def _remark(row: StepRow, *, payloads: bool) -> str:
    ended = row.state.ended
    if row.status == "failed" and isinstance(ended, StepFailed):
        return _failure_remark(ended.failure, payloads=payloads)
    if row.status == "cancelled" and isinstance(ended, StepFailed):
        return f"cancelled ({ended.source})" if ended.source else "cancelled"
    return counted(row.retries, "retry") if row.retries else ""


def _failure_remark(failure: Any, *, payloads: bool) -> str:
    return in_one_line(failure)[:300] if payloads else _type_of(failure.type)


def _type_of(name: str) -> str:
    return name.rpartition(":")[2] or name


# --- what there is to a row ---------------------------------------------------------------------------------


def _detail(row: Row, record_of: RecordOf, *, payloads: bool) -> dict[str, Any]:
    try:
        told = row_json(row, record_of, io=payloads)
    except RecursionError:
        told = {**row_json(row, record_of, io=False), "input": {UNREADABLE: "nested too deep"}}
    if isinstance(row, StepRow) and row.exchanges:
        told["exchanges"] = list(_exchanges(row, record_of(row.run_id), payloads=payloads))
    if not payloads:
        told = _without_payloads(told)
    if told.get("status") != "ok" and told.get("output") is None:
        told.pop("output", None)
    kept = {name: value for name, value in told.items() if name not in _IN_COLUMNS and _says(name, value)}
    if not isinstance(row, ProcessRow):
        kept.pop("run_id", None)
        kept.pop("parent_step_id", None)
    return kept


def _says(name: str, value: Any) -> bool:
    if name in ("input", "output"):
        return value is not None or name == "output"
    if name in ("scope_quality", "input_fidelity", "output_fidelity"):
        return value not in (None, "exact", "exchange")
    return value not in (None, "", 0, [], {}, False)


def _exchanges(row: StepRow, record: RunRecord, *, payloads: bool) -> Iterator[dict[str, Any]]:
    recorded = {one.number: one for one in record.exchanges(row.state.id)} if payloads else {}
    for exchange in row.exchanges:
        told = {name: value for name, value in exchange_json(exchange).items() if value not in (None, "")}
        told.pop("error", None)  # the exception tells it
        if payloads:
            told |= _sent(exchange, record)
            if exchange.answered is not None:
                told["response_headers"] = [list(pair) for pair in exchange.answered.headers]
            found = recorded.get(exchange.number)
            if found is not None and found.body:
                told["response_body"] = body_of(found)
        yield told


def _sent(exchange: ExchangeState, record: RunRecord) -> dict[str, Any]:
    started = exchange.started
    if started is None:
        return {}
    told: dict[str, Any] = {"request_headers": [list(pair) for pair in started.headers]} if started.headers else {}
    if bytes(started.body) not in (b"", bytes(NO_VALUE)):
        told["request_body"] = _body_sent(started.body, record)
    return told


def _body_sent(value: Any, record: RunRecord) -> Any:
    """The JSON of a request's body, or its text, or what was recorded in place of it."""
    try:
        body = record.values.python(value)
    except AgentraceError as error:
        return {UNREADABLE: error.what}
    if not isinstance(body, bytes):
        return record.values.json(value)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "backslashreplace")


def _without_payloads(value: Any) -> Any:
    """JSON of a row or run without what was said in it."""
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in _SAID}
        return {name: _without_payloads(item) for name, item in kept.items()}
    return [_without_payloads(item) for item in value] if isinstance(value, list) else value


# --- without JavaScript -------------------------------------------------------------------------------------


def _outline(tree: Tree) -> Iterator[str]:
    """The run in lines: what ran inside what, how it went and how long it took."""
    yield f"{plain(tree.run.name) or '?'}: {tree.status}, {duration(tree.run.duration_ns)}"
    yield f"replayable: {'yes' if tree.replayable.yes else 'no'}"
    for reason in tree.replayable.because:
        yield f"  - {plain(reason)}"
    yield ""
    for row in tree.rows[:_OUTLINED]:
        yield "  " * min(row.depth, 40) + _outlined(row)
    if len(tree.rows) > _OUTLINED:
        yield f"and {counted(len(tree.rows) - _OUTLINED, 'more row')}, which JavaScript would show"


def _outlined(row: Row) -> str:
    if isinstance(row, InferredRow):
        return f"tool {plain(row.call.name)} (inferred, not recorded)"
    took = duration(row.duration_ns)
    if isinstance(row, ProcessRow):
        return f"{row.kind} {plain(row.run.name) or '?'} {row.run_id.hex()[:12]}: {row.status}, {took}"
    tokens = "" if row.usage is None else f", {row.usage.input_tokens:,} tokens in, {row.usage.output_tokens:,} out"
    what = " ".join(filter(None, (plain(row.state.kind), plain(row.model), plain(row.state.name))))
    return f"{row.state.id} {what}: {row.status}, {took}{tokens}"
