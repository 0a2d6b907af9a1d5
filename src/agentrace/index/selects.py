"""A query of somebody else: that it is one SELECT and nothing behind it, and what the engine says where it is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentrace.errors import ConfigError
from agentrace.index.engine import engine

if TYPE_CHECKING:
    import duckdb

_SHORT_ID: Final = re.compile(r"'([0-9a-f-]{4,35})'.* UUID", re.IGNORECASE | re.DOTALL)
"""A run id that is no whole one."""
_PLACE: Final = re.compile(r"\n*^LINE (\d+): (.*)\n( *)(\^+)\s*\Z", re.MULTILINE)


def one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[str, set[str]]:
    """The one SELECT that is asked, without what may stand behind it, and the names of its parameters.

    Raises ``ConfigError`` with the slug ``sql`` or ``sql-read-only``.
    """
    duckdb = engine()

    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise told_of_query(error, before=0) from error
    if len(statements) != 1:
        what = f"these are {len(statements)} queries" if statements else "there is no query"
        raise ConfigError(what, do="give one SELECT at a time", slug="sql")
    (found,) = statements
    if found.type != duckdb.StatementType.SELECT:
        raise ConfigError(
            f"{found.type.name} is refused: the index can only be read",
            do="ask with SELECT, WITH, FROM, DESCRIBE or SUMMARIZE; what is in the index comes from the records alone",
            slug="sql-read-only",
        )
    return _without_end(found.query), found.named_parameters


def told_of_query(error: Exception, *, before: int = 1) -> ConfigError:
    """What the engine says of a query, with the place marked; it counts the ``before`` lines that were put first."""
    text = str(error).strip()
    place = _PLACE.search(text)
    said = text[: place.start()] if place else text
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines[0] = lines[0].partition(" Error: ")[2] or lines[0]
    if place:
        number = int(place[1]) - before
        head = f"line {number}: " if number > 1 else ""
        marked = len(place[3]) - len(f"LINE {place[1]}: ")
        lines += [f"  {head}{place[2]}", f"  {' ' * (len(head) + max(0, marked))}{place[4]}"]
    do = "correct the query; `agentrace sql` shows the views"
    short = _SHORT_ID.search(said)
    if short:
        beginning = short[1].replace("-", "")
        do = f"`agentrace ls --json` has ids as a whole; or: replace(run_id::varchar, '-', '') like '{beginning}%'"
    return ConfigError("\n  ".join(lines), do=do, slug="sql")


def _without_end(sql: str) -> str:
    """A statement without semicolons and comments behind it."""
    duckdb = engine()

    text = sql.encode()
    end = len(text)
    for offset, kind in reversed(duckdb.tokenize(sql)):
        if kind != duckdb.token_type.comment and text[offset : offset + 1] != b";":
            break
        end = offset
    return text[:end].decode()
