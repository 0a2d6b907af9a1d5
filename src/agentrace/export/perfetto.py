"""Runs as a time line for https://ui.perfetto.dev and chrome://tracing: the Trace Event Format, in JSON.

A run is a process, its threads and tasks are threads, a step is a slice (``X``) and so is each request inside it. A
viewer puts slices of a thread into one another by their times alone, so slices that overlap otherwise stand on lines of
their own (see ``lanes``). Times are whole microseconds, rounded down: so what is inside of something stays inside.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from agentrace.events import Failure, Logged
from agentrace.export.lanes import Slice, lanes
from agentrace.fold import ExchangeState, RunState
from agentrace.ids import format_run_id
from agentrace.query import InferredRow, Note, RunRecord, StepRow, Tree, input_of, output_of

Payloads: TypeAlias = Literal["none", "beginning", "whole"]
"""How much is told of what went in and came out."""

PREVIEW: Final = 400
"""Characters of a value that ``beginning`` tells."""
_Event: TypeAlias = dict[str, Any]
_Line: TypeAlias = tuple[int, int, int]
"""Thread, event loop and task."""
_MAIN: Final[_Line] = (0, 0, 0)


class Pictured(Struct, frozen=True):
    """What a picture holds."""

    runs: int
    slices: int
    events: Sequence[_Event]
    start_ts: int
    """Unix nanoseconds of its time 0."""

    def parts(self) -> Iterator[bytes]:
        """The parts of the file, an event on each line; the same for the same runs."""
        about = {"time 0, in nanoseconds since 1970": str(self.start_ts)}
        yield b'{"displayTimeUnit":"ms","otherData":' + _json(about) + b',"traceEvents":[\n'
        for number, event in enumerate(self.events):
            yield (b",\n" if number else b"") + _json(event)
        yield b"\n]}\n"


def picture(trees: Iterable[Tree], record_of: Callable[[bytes], RunRecord], payloads: Payloads) -> Pictured:
    """The picture of runs: of each tree its first run. Raises ``CorruptRecord``."""
    given = sorted(trees, key=lambda tree: tree.run.id)
    start_ts = min((_began(tree.run) for tree in given), default=0)
    drawn: dict[bytes, _Drawn] = {}
    number = 1
    for tree in given:
        one = drawn[tree.run.id] = _Drawn(tree, record_of, payloads, start_ts, number)
        number += one.threads
    metadata = [event for one in drawn.values() for event in one.metadata()]
    timed = [event for one in drawn.values() for event in one.timed()]
    timed += [event for place, one in enumerate(drawn.values()) for event in _flow(one, drawn, place + 1)]
    # What is around something comes before it; what points to a slice comes after it.
    timed.sort(key=lambda event: (event["ts"], event["ph"] != "X", -event.get("dur", 0)))
    slices = sum(event["ph"] == "X" for event in timed)
    return Pictured(len(drawn), slices, [*metadata, *timed], start_ts)


def _began(run: RunState) -> int:
    return run.started_ts or run.last_ts


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


# --- one run ------------------------------------------------------------------------------------------------


class _Drawn:
    """One run as a process: its slices, and the thread that each of them is on."""

    def __init__(
        self, tree: Tree, record_of: Callable[[bytes], RunRecord], payloads: Payloads, start_ts: int, pid: int
    ) -> None:
        self.tree, self.run, self.pid = tree, tree.run, pid
        self._payloads: Payloads = payloads
        self._start = _began(tree.run) - start_ts
        self._own = [row for row in tree.rows if row.run_id == tree.run.id]
        self._steps = [row for row in self._own if isinstance(row, StepRow)]
        self._record = record_of(tree.run.id)
        self.slices: dict[Any, Slice] = {}
        self._lines: dict[Any, _Line] = {}
        self._place_slices()
        self._tids, self._names = self._threads()
        self.threads = len(self._names)

    def _place_slices(self) -> None:
        ends = [row.start_ns + row.duration_ns for row in self._steps]
        self._add(0, None, _MAIN, 0, max([self.run.duration_ns, *ends]))
        known = {0}
        for row in self._steps:
            sent, key = row.state.dispatched, row.state.id
            outer = sent.parent if sent.parent in known else 0
            known.add(key)
            line = (sent.thread, sent.loop if sent.task else 0, sent.task)
            self._add(key, outer, line, row.start_ns, row.start_ns + row.duration_ns)
            for exchange in row.exchanges:
                self._add((key, exchange.number), key, line, *_when(exchange, row))

    def _add(self, key: Any, outer: Any, line: _Line, start_ns: int, end_ns: int) -> None:
        start = (self._start + start_ns) // 1000
        self.slices[key] = Slice(key, outer, start, max(start, (self._start + end_ns) // 1000))
        self._lines[key] = line

    def _threads(self) -> tuple[dict[Any, int], dict[int, str]]:
        """The thread id of each slice, and the names of the threads; ids are counted over all runs of a picture."""
        by_line: dict[_Line, list[Slice]] = defaultdict(list)
        for key, one in self.slices.items():
            by_line[self._lines[key]].append(one)
        tids: dict[Any, int] = {}
        names: dict[int, str] = {}
        for line in sorted(by_line):
            chosen, first = lanes(by_line[line]), self.pid + len(names)
            for lane in range(max(chosen.values()) + 1):
                names[first + lane] = _line_name(line) + (f" ({lane + 1})" if lane else "")
            tids.update((key, first + lane) for key, lane in chosen.items())
        return tids, names

    def tid(self, key: Any) -> int:
        """The thread that a slice is on."""
        return self._tids[key]

    def metadata(self) -> Iterator[_Event]:
        """The names of the process and its threads, and their order."""
        name = f"{self.run.name or '?'} {self.run.id.hex()[:12]}"
        yield self._named("process_name", self.pid, name=name)
        yield self._named("process_sort_index", self.pid, sort_index=self.pid)
        for tid, thread in self._names.items():
            yield self._named("thread_name", tid, name=thread)
            yield self._named("thread_sort_index", tid, sort_index=tid)

    def _named(self, what: str, tid: int, **args: Any) -> _Event:
        return {"ph": "M", "name": what, "pid": self.pid, "tid": tid, "args": args}

    def timed(self) -> Iterator[_Event]:
        """Slices, marks and counters."""
        yield self._slice(0, self.run.name or "?", "run", self._about_run())
        yield from self._marks(0, self.tree.notes)
        for row in self._own:
            if isinstance(row, StepRow):
                yield self._slice(row.state.id, row.model or row.state.name or "?", row.state.kind, self._about(row))
                for exchange in row.exchanges:
                    yield self._slice((row.state.id, exchange.number), _request(exchange), "request", _told(exchange))
                yield from self._marks(row.state.id, row.notes)
            elif isinstance(row, InferredRow) and row.call.asked_by in self.slices:
                asked = row.call.asked_by
                told = {"asked for by step": asked, **self._values(row.call.arguments, row.call.result)}
                yield self._mark(asked, self.slices[asked].end, f"tool {row.call.name} (inferred, not recorded)", told)
        yield from self._counted()

    def _slice(self, key: Any, name: str, category: str, args: _Event) -> _Event:
        one = self.slices[key]
        place = {"pid": self.pid, "tid": self.tid(key), "ts": one.start, "dur": one.end - one.start}
        return {"ph": "X", "name": name, "cat": category or "step", **place, "args": args}

    def _mark(self, key: Any, at: int, name: str, args: _Event) -> _Event:
        ts = min(max(at, self.slices[key].start), self.slices[key].end)
        place = {"pid": self.pid, "tid": self.tid(key), "ts": ts}
        return {"ph": "i", "s": "t", "name": name, "cat": "note", **place, "args": args}

    def _marks(self, key: Any, notes: Sequence[Note]) -> Iterator[_Event]:
        for note in notes:
            at = (self._start + note.ts - _began(self.run)) // 1000
            said = self._payloads != "none"
            if isinstance(note, Logged):
                name = _beginning(note.message, 100) if said else note.level
                yield self._mark(key, at, name, {"level": note.level, "logger": note.logger})
            else:
                comment = {"comment": note.comment} if said and note.comment else {}
                yield self._mark(key, at, f"score {note.name}", {"value": str(note.value), **comment})

    def _counted(self) -> Iterator[_Event]:
        """Tokens so far, whenever a step with tokens ends."""
        used = [(self.slices[row.state.id].end, row.usage) for row in self._steps if row.usage is not None]
        if not used:
            return
        total = {"input": 0, "output": 0}
        place = {"ph": "C", "name": "tokens", "pid": self.pid, "tid": self.pid}
        yield {**place, "ts": self.slices[0].start, "args": dict(total)}
        for end, usage in sorted(used, key=lambda pair: pair[0]):
            total = {"input": total["input"] + usage.input_tokens, "output": total["output"] + usage.output_tokens}
            yield {**place, "ts": end, "args": dict(total)}

    # --- what is told of a slice ------------------------------------------------------------------------------

    def _about_run(self) -> _Event:
        run, started = self.run, self.run.started
        told: _Event = {"run": format_run_id(run.id), "status": self.tree.status, "exit code": run.exit_code}
        if started is not None:
            told |= {"process id": started.pid, "python": started.python}
            if self._payloads != "none":
                told["command"] = " ".join(started.argv)
        return _without_nothing({**told, **self._failure(run.failure)})

    def _about(self, row: StepRow) -> _Event:
        state = row.state
        told: _Event = {
            "step": state.id,
            "inside step": state.dispatched.parent,
            "kind": state.kind,
            "name": state.name,
            "status": row.status,
        }
        told |= {"model": row.model, "operation": state.dispatched.operation, "finished by": row.finish_reason}
        if row.usage is not None:
            told["tokens in"], told["tokens out"] = row.usage.input_tokens, row.usage.output_tokens
            told |= {"tokens cached": row.usage.cache_read, "tokens of reasoning": row.usage.reasoning}
        if row.streamed:
            told |= {"pieces": state.chunks, "first piece after (us)": state.first_chunk_ns // 1000}
        told |= {"retries": row.retries, "called at": state.dispatched.call_site}
        told |= self._failure(state.failure)
        if self._payloads != "none":
            told |= self._values(input_of(self._record, state), output_of(self._record, state))
        return _without_nothing(told)

    def _failure(self, failure: Failure | None) -> _Event:
        if failure is None:
            return {}
        said = {"error message": self._bounded(failure.message)} if self._payloads != "none" else {}
        return {"error": failure.type, **said}

    def _values(self, given: Any, returned: Any) -> _Event:
        if self._payloads == "none":
            return {}
        told = (("input", given), ("output", returned))
        return {name: self._bounded(_text(value)) for name, value in told if value not in (None, {}, [])}

    def _bounded(self, text: str) -> str:
        return text if self._payloads == "whole" else _beginning(text, PREVIEW)


def _flow(child: _Drawn, drawn: dict[bytes, _Drawn], number: int) -> Iterator[_Event]:
    """The arrow from where a run was started to where it begins."""
    origin = child.run.parent
    parent = drawn.get(origin.run_id)
    if parent is None or parent is child:
        return
    key = origin.step_id if origin.step_id in parent.slices else 0
    source, target = parent.slices[key], child.slices[0]
    leaves = min(max(target.start, source.start), source.end)
    arrives = min(max(leaves, target.start), target.end)
    about = {"id": number, "name": "job" if origin.is_of_a_job else "process", "cat": "start"}
    yield {"ph": "s", **about, "pid": parent.pid, "tid": parent.tid(key), "ts": leaves}
    yield {"ph": "f", "bp": "e", **about, "pid": child.pid, "tid": child.tid(0), "ts": arrives}


def _line_name(line: _Line) -> str:
    thread, _, task = line
    where = f"thread {thread}" if thread else "main"
    return where if not task else f"task {task}" if not thread else f"{where}, task {task}"


def _when(exchange: ExchangeState, row: StepRow) -> tuple[int, int]:
    """When a request was under way, within its step."""
    first, last = row.start_ns, row.start_ns + row.duration_ns
    began = exchange.started.ts - row.state.dispatched.ts if exchange.started is not None else 0
    ended = row.duration_ns if exchange.ended is None else exchange.ended.at_ns
    start = min(max(first + began, first), last)
    return start, min(max(first + ended, start), last)


def _request(exchange: ExchangeState) -> str:
    method = "request" if exchange.started is None else exchange.started.method
    return f"{method} {'' if exchange.answered is None else exchange.answered.status}".rstrip()


def _told(exchange: ExchangeState) -> _Event:
    started, ended = exchange.started, exchange.ended
    told: _Event = {"url": "" if started is None else started.url, "status": _status(exchange)}
    if ended is not None:
        told |= {"outcome": ended.outcome, "bytes": ended.size}
        told["error"] = "" if ended.failure is None else ended.failure.type
    return _without_nothing(told)


def _status(exchange: ExchangeState) -> int | None:
    return None if exchange.answered is None else exchange.answered.status


def _without_nothing(told: _Event) -> _Event:
    return {name: value for name, value in told.items() if value not in (None, "") and (value or name == "exit code")}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "nested too deep to be shown"


def _beginning(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]} ... and {len(text) - length:,} more characters"
