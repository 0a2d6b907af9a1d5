"""Reports: what was slowest, used most tokens or failed most, and what a store adds up to."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from msgspec import Struct

from agentrace.index.filters import Filter, choose, models
from agentrace.index.finding import one
from agentrace.index.opening import Session
from agentrace.index.statements import statement
from agentrace.query import MEANT

Ranking: TypeAlias = Literal["slowest", "tokens", "failing"]
RANKINGS: Final[tuple[Ranking, ...]] = get_args(Ranking)
By: TypeAlias = Literal["name", "model", "kind", "run"]
_FAILURES: Final = 5
_CALLS: Final = {"meant": sorted(MEANT)}
"""The kinds of steps that use tokens."""
_SUMS: Final = ("runs", "children", "replays", "replayable", "events", "oldest_ts", "newest_ts")
"""What ``run_sums`` gives."""


class Group(Struct, frozen=True):
    """Steps that have something in common. Times are nanoseconds, of those that have ended."""

    what: str
    """Their name, model or kind, or the id of their run."""
    more: str
    """Of a name its kind, of a run its name."""
    steps: int
    failed_steps: int
    duration_ns: int
    """Of all of them together."""
    mean_ns: int
    p50_ns: int
    p95_ns: int
    max_ns: int
    input_tokens: int
    cache_read: int
    """Of the input tokens those that came from a cache."""
    output_tokens: int
    last_error: str
    last_failed_ts: int
    """When the last step that failed began; Unix nanoseconds, 0 for none."""
    uncounted: int
    """Calls of models that do not tell how many tokens they used, such as most that failed."""


class Single(Struct, frozen=True):
    """One step."""

    run_id: bytes
    run_name: str
    step_id: int
    kind: str
    name: str
    model: str
    status: str
    started_ts: int
    duration_ns: int
    input_tokens: int
    output_tokens: int
    error: str


class Groups(Struct, frozen=True):
    """The first groups."""

    groups: Sequence[Group]
    matching: int
    """How many there are."""


class Singles(Struct, frozen=True):
    """The first steps."""

    steps: Sequence[Single]
    matching: int
    """How many there are."""
    uncounted: int = 0
    """Of ``tokens``: calls of models beside these that do not tell how many they used."""


class KindSum(Struct, frozen=True):
    """The steps of a kind."""

    kind: str
    steps: int
    failed_steps: int
    retries: int
    duration_ns: int


class ModelSum(Struct, frozen=True):
    """The calls of a model, tokens in disjoint buckets."""

    model: str
    steps: int
    failed_steps: int
    input_fresh: int
    cache_read: int
    cache_write: int
    output_visible: int
    reasoning: int

    @property
    def input_tokens(self) -> int:
        """All that went in."""
        return self.input_fresh + self.cache_read + self.cache_write

    @property
    def output_tokens(self) -> int:
        """All that came out."""
        return self.output_visible + self.reasoning


class DaySum(Struct, frozen=True):
    """A day (UTC)."""

    day: datetime.date
    steps: int
    failed_steps: int
    input_tokens: int
    output_tokens: int


class Ended(Struct, frozen=True):
    """How often runs ended badly with an error."""

    error: str
    runs: int
    last_ts: int
    """When the last of them began; Unix nanoseconds."""


class Stats(Struct, frozen=True):
    """What runs add up to."""

    runs: int
    children: int
    """Of these the runs of child processes and jobs."""
    replays: int
    replayable: int
    events: int
    oldest_ts: int
    """When the first began; Unix nanoseconds, 0 for none."""
    newest_ts: int
    statuses: dict[str, int]
    kinds: Sequence[KindSum]
    models: Sequence[ModelSum]
    days: Sequence[DaySum]
    failures: Sequence[Ended]
    """The most frequent."""


def ranked(session: Session, ranking: Ranking, by: By, wanted: Filter, number: int) -> Groups:
    """The first groups of steps. Of kinds and models in ``wanted`` the steps have to be."""
    choose(session, wanted)
    rows = _all(session, "groups", {"by": by, **_CALLS, **_steps(session, ranking, wanted, number)})
    return Groups([Group(*row[:-1]) for row in rows], rows[0][-1] if rows else 0)


def ranked_steps(session: Session, ranking: Ranking, wanted: Filter, number: int) -> Singles:
    """The first steps one by one; of ``failing`` the last ones."""
    choose(session, wanted)
    asked = _steps(session, ranking, wanted, number)
    rows = _all(session, "single_steps", asked)
    uncounted = 0
    if ranking == "tokens":
        ((uncounted,),) = _all(session, "uncounted", _CALLS | {name: asked[name] for name in ("kinds", "models")})
    return Singles([Single(row[0].bytes, *row[1:-1]) for row in rows], rows[0][-1] if rows else 0, uncounted)


def stats(session: Session, wanted: Filter) -> Stats:
    """What the runs that ``wanted`` lets through add up to."""
    choose(session, wanted)
    sums = one(session.connection.execute(statement("run_sums", "reports")).fetchone())
    return Stats(
        **dict(zip(_SUMS, sums, strict=True)),
        statuses=dict(_all(session, "run_counts")),
        kinds=[KindSum(*row) for row in _all(session, "kind_sums")],
        models=[ModelSum(*row) for row in _all(session, "model_sums")],
        days=[DaySum(*row) for row in _all(session, "day_sums")],
        failures=[Ended(*row) for row in _all(session, "last_failures", {"number": _FAILURES})],
    )


def _steps(session: Session, ranking: Ranking, wanted: Filter, number: int) -> dict[str, Any]:
    return {
        "order": ranking,
        "kinds": list(wanted.kinds) or None,
        "models": models(session, wanted),
        "number": number,
    }


def _all(session: Session, name: str, parameters: dict[str, Any] | None = None) -> list[Any]:
    return session.connection.execute(statement(name, "reports"), parameters).fetchall()
