"""Filters: which runs are meant, by what they are called, how they went, what they took and what they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from msgspec import Struct

from agentrace.index.opening import Session
from agentrace.index.statements import statement

if TYPE_CHECKING:
    import duckdb

Sort: TypeAlias = Literal["started", "duration", "tokens", "steps"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
BADLY: Final = ("failed", "aborted", "interrupted", "unreadable")
"""The statuses of runs that went wrong; what ``--failed`` stands for."""
FORMS: Final = 5
"""Spellings of one text in a record, at most."""


class Between(Struct, frozen=True):
    """Whole numbers from ``least`` to ``most``, both included; ``None`` is no bound."""

    least: int | None = None
    most: int | None = None


class Filter(Struct, frozen=True):
    """What a run has to be. What is ``None`` or empty lets every run through.

    ``name`` and ``model`` are a part of it, or a shell pattern (``*``, ``?``, ``[...]``) of all of it; ``workflow``,
    ``agent``, ``session`` and ``project`` all of it, or such a pattern. Case makes no difference.
    """

    since: int | None = None
    """Unix nanoseconds; runs that began then or later."""
    until: int | None = None
    """Unix nanoseconds; runs that began before."""
    statuses: Sequence[str] = ()
    """One of these."""
    name: str | None = None
    workflow: str | None = None
    agent: str | None = None
    session: str | None = None
    project: str | None = None
    model: str | None = None
    """A model that served one of its steps."""
    kinds: Sequence[str] = ()
    """It has a step of one of these kinds."""
    tags: Sequence[str] = ()
    """It has all of these."""
    tokens: Between = Between()
    """In and out."""
    duration: Between = Between()
    """Nanoseconds."""
    replayable: bool | None = None
    replays: bool | None = None
    """Only replays and forks, or none of them."""
    text: str | None = None
    """It is in what went in, came out, failed or was noted; case makes no difference."""


def matcher(pattern: str, *, part: bool) -> Callable[[str], bool]:
    """Whether a name is meant by a pattern; with ``part`` one without ``*``, ``?`` and ``[`` is a part of it."""
    folded = pattern.casefold()
    if any(sign in pattern for sign in "*?["):
        return lambda name: fnmatchcase(name.casefold(), folded)
    if part:
        return lambda name: folded in name.casefold()
    return lambda name: name.casefold() == folded


def forms(text: str) -> list[str | None]:
    """How a text is spelt in records: as it is; escaped, since values are JSON; escaped once more, since some of these
    hold JSON as text. Always ``FORMS`` of them: what is not needed is ``None``."""
    plain, ascii_only = (json.dumps(text, ensure_ascii=escaped)[1:-1] for escaped in (False, True))
    spelt = [text, plain, json.dumps(plain, ensure_ascii=False)[1:-1], ascii_only, json.dumps(ascii_only)[1:-1]]
    found: list[str | None] = list(dict.fromkeys(spelt))
    return found + [None] * (FORMS - len(found))


def form_parameters(text: str) -> dict[str, str | None]:
    """The same as the parameters ``form1`` and on."""
    return {f"form{number}": form for number, form in enumerate(forms(text), 1)}


def choose(session: Session, wanted: Filter) -> None:
    """Make the temporary table ``chosen`` of the runs that a filter lets through; the other statements read it."""
    connection = session.connection
    if wanted == Filter():
        connection.execute(statement("everything", "choosing"))
        return
    connection.execute(statement("choose", "choosing"), _parameters(connection, wanted))
    if wanted.text is not None:
        parameters = {"cased": False, **form_parameters(wanted.text)}
        connection.execute(statement("choose_by_text", "choosing"), parameters)


def models(session: Session, wanted: Filter) -> list[str] | None:
    """The models that the filter's pattern means; ``None`` if it has none."""
    return _models(session.connection, wanted)


def _parameters(connection: duckdb.DuckDBPyConnection, wanted: Filter) -> dict[str, Any]:
    return {
        "since": wanted.since,
        "until": wanted.until,
        "statuses": list(wanted.statuses) or None,
        "names": _named(connection, "name", wanted.name),
        "workflows": _named(connection, "workflow", wanted.workflow),
        "agents": _named(connection, "agent", wanted.agent),
        "sessions": _named(connection, "session", wanted.session),
        "projects": _named(connection, "project", wanted.project),
        "kinds": list(wanted.kinds) or None,
        "models": _models(connection, wanted),
        "tags": list(wanted.tags) or None,
        "least_tokens": wanted.tokens.least,
        "most_tokens": wanted.tokens.most,
        "least_ns": wanted.duration.least,
        "most_ns": wanted.duration.most,
        "replayable": wanted.replayable,
        "replays": wanted.replays,
    }


def _named(connection: duckdb.DuckDBPyConnection, column: str, pattern: str | None) -> list[str] | None:
    if pattern is None:
        return None
    there: list[Any] = connection.execute(statement("names", "choosing"), {"column": column}).fetchall()
    return list(filter(matcher(pattern, part=column == "name"), (name for (name,) in there)))


def _models(connection: duckdb.DuckDBPyConnection, wanted: Filter) -> list[str] | None:
    if wanted.model is None:
        return None
    there: list[Any] = connection.execute(statement("models", "choosing")).fetchall()
    return list(filter(matcher(wanted.model, part=True), (name for (name,) in there)))
