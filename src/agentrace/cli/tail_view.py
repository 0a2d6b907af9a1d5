"""What happens in runs that are followed, as lines or as JSON: one for each step that begins or ends, and the like."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final

from agentrace.cli.as_json import error_json, run_id_json, step_json
from agentrace.cli.drawing import CANCELLED, MARKS, step_label, tokens_text
from agentrace.cli.escaping import plain
from agentrace.cli.notes_view import headline, note_json, score_text
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import counted, duration, iso
from agentrace.events import Logged, StepFailed, Value
from agentrace.ids import format_run_id
from agentrace.query import Happening, StepRow, in_one_line

_COLOURS: Final = ("cyan", "magenta", "green", "yellow", "blue")
_OK: Final = ("✓", "+", "green")
_NOTE: Final = ("·", "-", "dim")
_LEVELS: Final = {"error": "red", "warning": "yellow"}
_S: Final = 1_000_000_000


class Lines:
    """Happenings as lines: the time of day, the run if there are several, a mark, the step, and how it went."""

    def __init__(self, to: Terminal) -> None:
        self._to = to
        self._colours: dict[bytes, str] = {}

    def line(self, one: Happening, *, labelled: bool) -> str:
        """One line; ``labelled`` with the run that it happened in."""
        mark, text = self._told(one)
        colour = self._colours.setdefault(one.run.id, _COLOURS[len(self._colours) % len(_COLOURS)])
        label = ""
        if labelled:
            name = f"{plain(one.run.name) or '?'} {one.run.id.hex()[:12]}"
            label = f"{self._to.paint(name, colour)}  "
        shown = self._to.paint(self._to.either(mark[0], mark[1]), mark[2])
        return f"{self._to.paint(_clock(one.ts), 'dim')}  {label}{shown} {text}".rstrip()

    def _told(self, one: Happening) -> tuple[tuple[str, str, str], str]:
        paint = self._to.paint
        row = one.step
        if one.note is not None:
            where = f"{row.state.id} " if row is not None else ""
            if isinstance(one.note, Logged):
                return _NOTE, where + paint(headline(one.note), _LEVELS.get(one.note.level, "dim"))
            return _NOTE, where + paint(score_text(one.note), "cyan")
        if one.what == "lost":
            return MARKS["interrupted"], paint(f"{counted(one.count, 'event')} could not be recorded", "yellow")
        if row is None:
            return self._run(one)
        words = " ".join(paint(text, *styles) for text, styles in step_label(row))
        if one.what == "step_began":
            return MARKS["running"], f"{row.state.id} {words}"
        return MARKS.get(row.status, _OK), "  ".join([f"{row.state.id} {words}", *self._how(row)])

    def _how(self, row: StepRow) -> list[str]:
        parts = [duration(row.duration_ns)]
        if row.usage is not None:
            parts.append(tokens_text(row.usage.input_tokens, row.usage.output_tokens, self._to))
        ended = row.state.ended
        if isinstance(ended, StepFailed) and ended.outcome == "cancelled":
            parts.append(self._to.paint(CANCELLED.get(ended.source, "cancelled"), "yellow"))
        elif isinstance(ended, StepFailed):
            parts.append(self._to.paint(plain(in_one_line(ended.failure)), "red"))
        return parts

    def _run(self, one: Happening) -> tuple[tuple[str, str, str], str]:
        run, paint = one.run, self._to.paint
        title = f"{_kind(one)} {paint(plain(run.name) or '?', 'bold')}"
        title += f" {run.id.hex()[:12]}"
        if one.what == "run_began":
            return MARKS["running"], f"{title} began"
        if one.what == "run_removed":
            return MARKS["interrupted"], f"{title} {paint('was removed', 'yellow')}"
        if one.status == "interrupted":
            open_steps = f", in {counted(one.count, 'step')}" if one.count else ""
            return MARKS["interrupted"], f"{title} {paint(f'interrupted: its process died{open_steps}', 'yellow')}"
        code = f", exit code {run.exit_code}" if run.exit_code else ""
        error = "" if run.failure is None else f": {paint(plain(in_one_line(run.failure)), 'red')}"
        steps = f", {counted(run.steps, 'step')}" + (f", {run.failed_steps:,} failed" if run.failed_steps else "")
        mark = _OK if one.status == "completed" else MARKS["failed"]
        return mark, f"{title} {one.status} in {duration(run.duration_ns)}{steps}{code}{error}"


def happening_json(one: Happening, values: Callable[[bytes, Value], Any]) -> dict[str, Any]:
    """One happening; ``values`` reads an encoded value of a run."""
    run = one.run
    told: dict[str, Any] = {
        "what": one.what,
        "time": iso(one.ts),
        "run_id": format_run_id(run.id),
        "name": run.name,
        "root_run_id": format_run_id(one.root),
    }
    if one.note is not None:
        told["step_id"] = 0 if one.step is None else one.step.state.id
        told["note"] = note_json(one.note, lambda value: values(run.id, value))
    elif one.what == "lost":
        told["events"] = one.count
    elif one.step is not None:
        told["step"] = step_json(one.step)
    elif one.what == "run_began":
        told |= {"parent_run_id": run_id_json(run.parent.run_id), "parent_step_id": run.parent.step_id or None}
    else:
        told |= {
            "status": one.status,
            "duration_ns": run.duration_ns,
            "steps": run.steps,
            "failed_steps": run.failed_steps,
            "open_steps": one.count,
            "exit_code": run.exit_code,
            **error_json(run.failure),
        }
    return told


def _clock(ts: int) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(ts // _S)
    except (OverflowError, OSError, ValueError):
        return "--:--:--.---"
    return f"{moment:%H:%M:%S}.{ts % _S // 1_000_000:03d}"


def _kind(one: Happening) -> str:
    parent = one.run.parent
    return "run" if not parent.run_id else "job" if parent.is_of_a_job else "process"
