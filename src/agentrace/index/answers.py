"""Answers of the index: the columns of one SELECT by what they hold, its rows as Python values or as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from msgspec import Struct

from agentrace.errors import ConfigError
from agentrace.index.engine import engine
from agentrace.index.selects import one_select, told_of_query
from agentrace.index.statements import statement

if TYPE_CHECKING:
    import duckdb

Holds: TypeAlias = Literal["time", "duration", "integer", "number", "boolean", "text", "list", "other"]

_SMALL: Final = ("TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER")
_LARGE: Final = frozenset({"HUGEINT", "UHUGEINT", "BIGNUM"})
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
_HOLDS: Final[dict[str, Holds]] = {
    **dict.fromkeys((*_SMALL, *_LARGE, "BIGINT", "UBIGINT"), "integer"),
    **dict.fromkeys(("DOUBLE", "FLOAT"), "number"),
    **dict.fromkeys(("VARCHAR", "UUID", "JSON"), "text"),
    "BOOLEAN": "boolean",
    "INTERVAL": "duration",
}
_TOLD_AS: Final = {
    **dict.fromkeys(_SMALL, "{}::BIGINT"),
    "UUID": "{}::VARCHAR",
    "UUID[]": "{}::VARCHAR[]",
    "JSON": "{}::VARCHAR",
    "TIMESTAMP WITH TIME ZONE": "make_timestamp(epoch_us({}))",
    "INTERVAL": "CAST(round(epoch({}) * 1e6) AS BIGINT) * 1000",
}
"""Types that have no equal elsewhere, or one only with libraries that need not be there; differences of unsigned
numbers are never meant to overflow."""


class Query(Struct, frozen=True):
    """A SELECT with the values of its ``$parameters``."""

    sql: str
    parameters: Mapping[str, Any] = {}
    durations: Collection[str] = ()
    """Columns of whole nanoseconds that are durations."""


class Column(Struct, frozen=True):
    """A column of an answer."""

    name: str
    type: str
    """As the engine names it: ``VARCHAR``, ``TIMESTAMP_NS``, ``VARCHAR[]``."""
    holds: Holds
    """Times are UTC, durations whole nanoseconds."""


def named(*names: str) -> str:
    """The statements of ``recordings.sql`` that make up one query."""
    return "\n".join(statement(name, "recordings").rstrip(";") for name in names)


def checked(connection: duckdb.DuckDBPyConnection, query: Query) -> Query:
    """A query of somebody else, if it is one SELECT. Raises ``ConfigError``, slug ``sql`` or ``sql-read-only``."""
    sql, asked = one_select(connection, query.sql)
    for name in sorted(asked ^ query.parameters.keys()):
        what = f"has a parameter ${name} and no value" if name in asked else f"has no parameter ${name}"
        raise ConfigError(f"the query {what}", do="name each parameter in the query and in the call", slug="sql")
    return Query(sql, query.parameters)


def columns(connection: duckdb.DuckDBPyConnection, query: Query) -> list[Column]:
    """The columns of what a query gives; names that come twice get a number. Raises ``ConfigError``, slug ``sql``."""
    duckdb = engine()

    try:
        rows: list[Any] = connection.execute(f"DESCRIBE\n{query.sql}", dict(query.parameters) or None).fetchall()
    except duckdb.Error as error:
        raise told_of_query(error) from error
    found: list[Column] = []
    names: set[str] = set()
    for name, kind, *_ in rows:
        unique, number = name, 1
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names.add(unique)
        found.append(Column(unique, kind, "duration" if name in query.durations else _holds(kind)))
    return found


def rows(connection: duckdb.DuckDBPyConnection, query: Query, of: Sequence[Column]) -> list[tuple[Any, ...]]:
    """All rows: times as aware datetimes and durations, both to the microsecond; ids as text; NULL as ``None``."""
    duckdb = engine()

    try:
        found: list[tuple[Any, ...]] = connection.execute(*_plain(query, of)).fetchall()
    except duckdb.Error as error:
        raise told_of_query(error) from error
    changes = [(at, _AS_PYTHON[column.holds]) for at, column in enumerate(of) if column.holds in _AS_PYTHON]
    if not changes:
        return found
    changed: list[tuple[Any, ...]] = []
    for row in found:
        values = list(row)
        for at, change in changes:
            if values[at] is not None:
                values[at] = change(values[at])
        changed.append(tuple(values))
    return changed


def arrays(connection: duckdb.DuckDBPyConnection, query: Query, of: Sequence[Column]) -> dict[str, Any]:
    """The columns as numpy arrays, masked where there are NULLs, in order; durations are whole nanoseconds.

    Integers of 128 bits, of which no library knows, are of 64 if they fit, else floats; so they are in ``stream``.
    """
    duckdb = engine()

    try:
        found = connection.execute(*_plain(query, of, _large(connection, query, of))).fetchnumpy()
    except duckdb.Error as error:
        raise told_of_query(error) from error
    return dict(zip((column.name for column in of), found.values(), strict=True))


def stream(connection: duckdb.DuckDBPyConnection, query: Query, of: Sequence[Column]) -> Any:
    """An object that hands over the columns by Arrow's ``__arrow_c_stream__``; durations are whole nanoseconds."""
    import duckdb  # not the engine alone: it is this that gives relations their methods

    try:
        sql, parameters = _plain(query, of, _large(connection, query, of))
        relation: Any = connection.sql(sql, params=parameters)
        run: Any = getattr(type(relation), "materialize", None) or type(relation).execute  # before 2.0
        return run(relation)
    except duckdb.Error as error:
        raise told_of_query(error) from error


def _large(connection: duckdb.DuckDBPyConnection, query: Query, of: Sequence[Column]) -> str:
    """The type that holds the integers of 128 bits."""
    names = [f"c{number}" for number in range(len(of))]
    large = [name for name, column in zip(names, of, strict=True) if column.type in _LARGE]
    if not large:
        return ""
    fit = " AND ".join(f"coalesce(bool_and({name} BETWEEN {_LEAST} AND {_MOST}), true)" for name in large)
    sql = f"SELECT {fit} FROM (\n{query.sql}\n) AS answer({', '.join(names)})"
    found: list[Any] = connection.execute(sql, dict(query.parameters) or None).fetchall()
    return "BIGINT" if found[0][0] else "DOUBLE"


def _plain(query: Query, of: Sequence[Column], large: str = "") -> tuple[str, dict[str, Any] | None]:
    """The query with columns of types that every library knows, called ``c0`` and on."""
    names = [f"c{number}" for number in range(len(of))]
    told = [_cell(name, column, large) for name, column in zip(names, of, strict=True)]
    sql = f"SELECT {', '.join(told)} FROM (\n{query.sql}\n) AS answer({', '.join(names)})"
    return sql, dict(query.parameters) or None


def _cell(name: str, column: Column, large: str) -> str:
    if large and column.type in _LARGE:
        return f"{name}::{large} AS {name}"
    return f"{_TOLD_AS.get(column.type, '{}').format(name)} AS {name}"


def _holds(kind: str) -> Holds:
    if kind.startswith("TIMESTAMP"):
        return "time"
    if kind.endswith("]"):
        return "list"
    if kind.startswith("ENUM("):
        return "text"
    return _HOLDS.get(kind, "other")


def _time(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _duration(value: Any) -> Any:
    return timedelta(microseconds=value // 1_000)


_AS_PYTHON: Final = {"time": _time, "duration": _duration}
