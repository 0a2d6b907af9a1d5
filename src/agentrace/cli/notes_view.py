"""Notes and scores of a step or run: a few lines in the tree, all of them in full, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from agentrace.cli.escaping import plain, plain_lines
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import counted, duration, iso
from agentrace.cli.values import value_lines
from agentrace.events import NO_VALUE, Logged
from agentrace.query import Note

FEW: Final = 3
"""Notes that the tree shows of one step; those of the highest levels, if there are more."""
_LEVELS: Final = {"error": 0, "warning": 1, "info": 2, "debug": 3}
_COLOURS: Final = {"error": "red", "warning": "yellow"}

Json = Callable[[Any], Any]
"""An encoded value as JSON data."""


def folded(notes: Sequence[Note], terminal: Terminal) -> Iterator[tuple[str, str]]:
    """The lines below a row and their colours: every score, the notes that matter most, and how many there are more."""
    logged = [note for note in notes if isinstance(note, Logged)]
    shown = logged
    if len(logged) > FEW:
        urgent = sorted(range(len(logged)), key=lambda at: (_LEVELS.get(logged[at].level, 2), at))[:FEW]
        shown = [logged[at] for at in sorted(urgent)]
    for note in shown:
        yield f"{terminal.either('·', '-')} {headline(note)}", _COLOURS.get(note.level, "dim")
    if len(logged) > len(shown):
        yield f"{terminal.either('·', '-')} and {counted(len(logged) - len(shown), 'more note')}", "dim"
    yield from ((score_text(note), "cyan") for note in notes if not isinstance(note, Logged))


def note_lines(notes: Sequence[Note], start_ts: int, values: Json, terminal: Terminal) -> Iterator[str]:
    """All of them in order, whole, with the time since ``start_ts``."""
    for note in notes:
        at = terminal.paint(f"{duration(max(0, note.ts - start_ts)):>9}", "dim")
        if not isinstance(note, Logged):
            yield f"  {at}  {terminal.paint(score_text(note), 'cyan')}"
            continue
        first, *rest = plain_lines(note.message) or [""]
        level = terminal.paint(f"{plain(note.level):<7}", _COLOURS.get(note.level, "dim"))
        logger = f"{terminal.paint(plain(note.logger), 'dim')}  " if note.logger else ""
        yield f"  {at}  {level}  {logger}{first}".rstrip()
        yield from (f"{'':22}{line}".rstrip() for line in rest)
        if bytes(note.fields) != bytes(NO_VALUE):
            yield from (f"{'':22}{line}" for line in value_lines(values(note.fields)))


def note_json(note: Note, values: Json) -> dict[str, Any]:
    """A note or score; ``type`` is ``log`` or ``score``."""
    if isinstance(note, Logged):
        fields = None if bytes(note.fields) == bytes(NO_VALUE) else values(note.fields)
        told: dict[str, Any] = {"level": note.level, "message": note.message, "logger": note.logger, "fields": fields}
        return {"type": "log", "time": iso(note.ts), **told}
    told = {"name": note.name, "value": note.value, "comment": note.comment, "source": note.source}
    return {"type": "score", "time": iso(note.ts), **told}


def counts(notes: Sequence[Note]) -> tuple[int, int]:
    """How many notes, and how many scores."""
    logged = sum(isinstance(note, Logged) for note in notes)
    return logged, len(notes) - logged


def headline(note: Logged) -> str:
    """The first line of a note, and how many more it has."""
    first, _, rest = note.message.partition("\n")
    more = f" ({counted(rest.count(chr(10)) + 1, 'more line')})" if rest else ""
    logger = f"{plain(note.logger)}: " if note.logger and not note.logger.startswith("<") else ""
    return f"{logger}{plain(first)}{more}"


def score_text(note: Any) -> str:
    """A score in one line."""
    comment = f": {plain(note.comment)}" if note.comment else ""
    source = f" (by {plain(note.source)})" if note.source else ""
    return f"score {plain(note.name)} {note.value:g}{source}{comment}"
