"""Searching: where a text is, in all that went into steps, came out, failed, was noted or said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from agentrace.errors import ConfigError
from agentrace.index.engine import engine
from agentrace.index.filters import Filter, choose, form_parameters, models
from agentrace.index.interrupting import interruptible
from agentrace.index.opening import Session
from agentrace.index.statements import statement

AROUND: Final = 400
"""Characters before a match and after it that are told, at most."""
_LONGEST: Final = 2_000
"""Characters of a match that are told."""


class Sought(Struct, frozen=True):
    """What is looked for."""

    text: str
    """Taken as it is, unless ``is_pattern``: then a regular expression (RE2), matched with texts as they are kept."""
    is_pattern: bool = False
    cased: bool = False
    """Whether capitals are other letters."""


class Hit(Struct, frozen=True):
    """A text that holds it; where it does so first."""

    run_id: bytes
    run_name: str
    step_id: int
    """0 for the run itself."""
    kind: str
    name: str
    part: str
    """``input``, ``output``, ``error`` or ``note``."""
    role: str
    """Of a message: whose it is; empty for what is none."""
    ts: int
    """When the step, or the run, began; Unix nanoseconds, 0 if that is not known."""
    before: str
    match: str
    after: str
    cut_before: bool = False
    """Whether there is more of the text."""
    cut_after: bool = False


class Hits(Struct, frozen=True):
    """The newest hits."""

    hits: Sequence[Hit]
    matching: int
    """How many there are."""


def search(session: Session, sought: Sought, wanted: Filter, number: int) -> Hits:
    """The newest ``number`` texts that hold ``sought``, in the runs that ``wanted`` lets through.

    Of kinds and models in ``wanted`` the step that a text is of has to be. Raises ``ConfigError`` for a pattern that
    is none.
    """
    connection = session.connection
    pattern = sought.text if sought.cased else f"(?i){sought.text}"
    if sought.is_pattern:
        _check(session, sought.text)
    choose(session, wanted)
    parameters: dict[str, Any]
    if sought.is_pattern:
        name, parameters = "pattern", {"pattern": pattern}
    else:
        name, parameters = "literal", {"cased": sought.cased, **form_parameters(sought.text)}
    interruptible(connection, lambda: connection.execute(statement(name, "searching"), parameters))
    shown = {
        "kinds": list(wanted.kinds) or None,
        "models": models(session, wanted),
        "number": number,
        "before": AROUND,
        "after": AROUND,
    }
    rows: list[Any] = connection.execute(statement("newest", "searching"), shown).fetchall()
    return Hits([_hit(row) for row in rows], rows[0][-1] if rows else 0)


def _hit(row: Sequence[Any]) -> Hit:
    run_id, run_name, step_id, kind, name, part, role, ts, piece, at, size, cut_before, cut_after, _ = row
    return Hit(
        run_id.bytes,
        run_name or "",
        step_id,
        kind or "",
        name or "",
        part,
        role or "",
        ts or 0,
        piece[:at],
        piece[at : at + min(size, _LONGEST)],
        piece[at + min(size, _LONGEST) :],
        cut_before,
        cut_after,
    )


def _check(session: Session, pattern: str) -> None:
    duckdb = engine()

    try:
        session.connection.execute(statement("is_pattern", "searching"), {"pattern": pattern}).fetchall()
    except duckdb.Error as error:
        raise ConfigError(
            f"the regular expression is not understood: {str(error).partition(': ')[2].splitlines()[0]}",
            do="write it as RE2 does (no lookaround), or leave out --regex to look for the text as it is",
            slug="search-pattern",
        ) from error
