"""What is asked for: runs and steps by name, kind, status, model and time, checked where it is said."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, TypeAlias, get_args

from msgspec import Struct

from agentrace.errors import ConfigError

Kind: TypeAlias = Literal["model", "embedding", "tool", "retriever", "planner", "validator", "safety", "agent", "task"]
"""What a step is."""
RunStatus: TypeAlias = Literal["pending", "running", "completed", "failed", "aborted", "interrupted", "unreadable"]
"""How a run is: ``interrupted`` if its process died, ``unreadable`` if its record cannot be read."""
StepStatus: TypeAlias = Literal["running", "ok", "failed", "cancelled", "interrupted"]
"""How a step is: ``interrupted`` if its run ended, or died, before it did."""
Mode: TypeAlias = Literal["live", "replay", "fork", "import"]
"""Where a run came from."""
Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
"""Whose a message is."""
Part: TypeAlias = Literal["input", "output", "error", "note"]
"""Where a text is in a step."""
Since: TypeAlias = datetime | timedelta
"""A moment (local time if it has no time zone), or how long ago it was."""
OneOrMore: TypeAlias = str | Collection[str]

KINDS: Final[tuple[str, ...]] = get_args(Kind)
RUN_STATUSES: Final[tuple[str, ...]] = get_args(RunStatus)
STEP_STATUSES: Final[tuple[str, ...]] = get_args(StepStatus)
MODES: Final[tuple[str, ...]] = get_args(Mode)
ROLES: Final[tuple[str, ...]] = get_args(Role)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class RunFilter(Struct, frozen=True):
    """What a run has to be; what is ``None`` lets every run through."""

    run_ids: Sequence[str] | None = None
    name: str | None = None
    statuses: Sequence[str] | None = None
    since: int | None = None
    until: int | None = None
    kinds: Sequence[str] | None = None
    model: str | None = None
    tags: Sequence[str] | None = None
    replayable: bool | None = None
    modes: Sequence[str] | None = None
    text: str | None = None


class StepFilter(Struct, frozen=True):
    """What a step has to be; the same."""

    kinds: Sequence[str] | None = None
    name: str | None = None
    statuses: Sequence[str] | None = None
    model: str | None = None


def words(what: str, given: OneOrMore | None, known: Sequence[str] = ()) -> Sequence[str] | None:
    """One word or several, each of them ``known`` if that is not empty. Raises ``ConfigError``."""
    if given is None:
        return None
    several = [given] if isinstance(given, str) else list(given)
    for word in several:
        if not isinstance(word, str):
            raise ConfigError(f"{what} is {word!r:.60}", do="give a text, or several", slug="open-filter")
        if known and word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            do = f"did you mean {close[0]}?" if close else f"take one of {', '.join(known)}"
            raise ConfigError(f"there is no {what} {word!r:.60}", do=do, slug="open-filter")
    return several


def moment(what: str, given: Since | None, now_ns: Callable[[], int]) -> int | None:
    """Unix nanoseconds. Raises ``ConfigError``."""
    if given is None:
        return None
    if isinstance(given, timedelta):
        return now_ns() - given // timedelta(microseconds=1) * 1_000
    if isinstance(given, datetime):
        return (given.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1_000
    raise ConfigError(
        f"{what} is {given!r:.60}", do="give a datetime, or a timedelta for how long ago", slug="open-filter"
    )


def at_most(given: Any) -> int | None:
    """The number of rows that are wanted. Raises ``ConfigError``."""
    if given is not None and (not isinstance(given, int) or given < 0):
        raise ConfigError(f"limit is {given!r:.60}", do="give a whole number, or leave it out", slug="open-filter")
    return None if given is None else int(given)


def matcher(pattern: str | None) -> Callable[[str], bool]:
    """Whether a name is meant: a part of it, or a shell pattern (``*``, ``?``, ``[...]``) of all of it; in any case."""
    if pattern is None:
        return lambda _: True
    folded = pattern.casefold()
    if any(sign in pattern for sign in "*?["):
        return lambda name: fnmatchcase(name.casefold(), folded)
    return lambda name: folded in name.casefold()


def spellings(text: str) -> list[str]:
    """How a text may be spelt in a record, in small letters: as it is, and escaped as in JSON, once or twice."""
    plain, ascii_only = (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (False, True))
    found = [text, plain, json.dumps(plain, ensure_ascii=False)[1:-1], ascii_only, json.dumps(ascii_only)[1:-1]]
    return list(dict.fromkeys(spelt.lower() for spelt in found))


Names: TypeAlias = Callable[[str], Iterable[str]]
"""All that a statement of ``recordings.sql`` tells: names of runs, of steps, of models."""


def run_parameters(wanted: RunFilter, names: Names) -> dict[str, Any]:
    """The parameters of ``chosen``."""
    return {
        "run_ids": wanted.run_ids,
        "names": _meant(wanted.name, "run_names", names),
        "statuses": wanted.statuses,
        "since": wanted.since,
        "until": wanted.until,
        "kinds": wanted.kinds,
        "models": _meant(wanted.model, "models", names),
        "tags": wanted.tags,
        "replayable": wanted.replayable,
        "modes": wanted.modes,
        "forms": None if wanted.text is None else spellings(wanted.text),
    }


def step_parameters(wanted: StepFilter, names: Names) -> Mapping[str, Any]:
    """The parameters of ``wanted_steps``."""
    return {
        "step_kinds": wanted.kinds,
        "step_names": _meant(wanted.name, "step_names", names),
        "step_statuses": wanted.statuses,
        "step_models": _meant(wanted.model, "models", names),
    }


def _meant(pattern: str | None, statement: str, names: Names) -> list[str] | None:
    return None if pattern is None else list(filter(matcher(pattern), names(statement)))
