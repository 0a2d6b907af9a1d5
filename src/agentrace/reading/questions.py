"""The queries behind listings: which statements, and with which parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agentrace.index.answers import Query, named
from agentrace.reading.filters import Names, RunFilter, run_parameters

if TYPE_CHECKING:
    import duckdb

    from agentrace.reading.source import Source

_DURATIONS: Final = ("duration", "first_chunk")

Parameters: TypeAlias = Callable[[Names], Mapping[str, Any]]
"""What is asked beside the runs; it may ask for the names that there are."""


def nothing(_: Names) -> Mapping[str, Any]:
    """Nothing is asked beside the runs."""
    return {}


def asking(
    source: Source, wanted: RunFilter, names: Sequence[str], parameters: Parameters = nothing, limit: int | None = None
) -> Callable[[duckdb.DuckDBPyConnection], Query]:
    """What makes the query of these statements, for runs that a filter lets through."""

    def ask(connection: duckdb.DuckDBPyConnection) -> Query:
        def there(of: str) -> list[str]:
            return source.names(connection, of)

        given = {**run_parameters(wanted, there), **parameters(there), "number": limit}
        return Query(named("chosen", *names), given, _DURATIONS)

    return ask
