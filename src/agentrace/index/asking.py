"""Queries of somebody else: one SELECT, with nothing but the index in reach, its rows as text while they come."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from msgspec import Struct

from agentrace.errors import ConfigError, StoreError
from agentrace.index.engine import engine
from agentrace.index.interrupting import interruptible
from agentrace.index.opening import Session
from agentrace.index.selects import one_select, told_of_query
from agentrace.index.statements import statement

if TYPE_CHECKING:
    import duckdb

Form: TypeAlias = Literal["text", "json"]
Value: TypeAlias = str | int | float | bool | None

_AT_ONCE: Final = 1_000
_NUMERIC: Final = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL\(.*\))\Z")


class Question(Struct, frozen=True):
    """A query with the values of its ``$parameters``."""

    sql: str
    parameters: Mapping[str, Value] = {}


class Column(Struct, frozen=True):
    """A column of an answer."""

    name: str
    type: str
    """As the engine names it: ``VARCHAR``, ``TIMESTAMP_NS``, ``VARCHAR[]``."""

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return _NUMERIC.match(self.type) is not None


class Answer(Struct, frozen=True):
    """Rows as they come; each cell as text, or as JSON, and ``None`` for NULL."""

    columns: Sequence[Column]
    rows: Iterator[Sequence[str | None]]


@contextmanager
def answered(session: Session, question: Question, form: Form) -> Generator[Answer, None, None]:
    """What a query gives. Raises ``ConfigError`` with the slug ``sql`` or ``sql-read-only``, also while rows come."""
    with _in_reach_of_nothing(session.connection, None):
        sql = _checked(session.connection, question)
        columns = _described(session.connection, sql, question)
        yield Answer(columns, _rows(session.connection, sql, question, columns, form))


def write_parquet(session: Session, question: Question, path: Path) -> int:
    """Write what a query gives into a Parquet file; the number of rows. Raises as ``answered``, and ``StoreError``."""
    duckdb = engine()

    with tempfile.TemporaryDirectory(prefix="agentrace-parquet-") as directory:
        made = Path(directory) / "answer.parquet"
        with _in_reach_of_nothing(session.connection, made):
            sql = _checked(session.connection, question)
            _described(session.connection, sql, question)
            try:
                # The path is one that was made here.
                copied = f"COPY (\n{sql}\n) TO '{str(made).replace(chr(39), 2 * chr(39))}' (FORMAT parquet)"
                parameters = dict(question.parameters) or None
                rows: Any = interruptible(
                    session.connection, lambda: session.connection.execute(copied, parameters).fetchall()
                )
            except duckdb.Error as error:
                raise told_of_query(error) from error
        try:
            shutil.move(made, path)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}", do="name another file with -o") from error
    return int(rows[0][0])


@contextmanager
def _in_reach_of_nothing(connection: duckdb.DuckDBPyConnection, written: Path | None) -> Generator[None, None, None]:
    """From here on the connection reads and writes nothing but the index, and the file ``written``."""
    with tempfile.TemporaryDirectory(prefix="agentrace-query-") as directory:
        connection.execute(statement("spill", "asking"), {"directory": directory})
        if written is not None:
            connection.execute(statement("allow", "asking"), {"path": str(written)})
        connection.execute(statement("close_off", "asking"))
        connection.execute(statement("lock", "asking"))
        yield


def _checked(connection: duckdb.DuckDBPyConnection, question: Question) -> str:
    """The one SELECT that a question is, without what may stand behind it."""
    sql, asked = one_select(connection, question.sql)
    _check_parameters(asked, question.parameters)
    return sql


def _check_parameters(asked: set[str], given: Mapping[str, Value]) -> None:
    if any(name.isdecimal() for name in asked):
        raise ConfigError(
            "the query has a parameter without a name", do="name it, as in $name, and give it with -p", slug="sql"
        )
    for name in sorted(asked - given.keys()):
        raise ConfigError(f"the query has a parameter ${name} and no value", do=f"give it: -p {name}=...", slug="sql")
    for name in sorted(given.keys() - asked):
        raise ConfigError(
            f"the query has no parameter ${name}", do="leave it out, or name it in the query with $", slug="sql"
        )


def _described(connection: duckdb.DuckDBPyConnection, sql: str, question: Question) -> list[Column]:
    duckdb = engine()

    try:
        rows: list[Any] = connection.execute(f"DESCRIBE\n{sql}", dict(question.parameters) or None).fetchall()
    except duckdb.Error as error:
        raise told_of_query(error) from error
    return [Column(name, kind) for name, kind, *_ in rows]


def _rows(
    connection: duckdb.DuckDBPyConnection, sql: str, question: Question, columns: Sequence[Column], form: Form
) -> Iterator[Sequence[str | None]]:
    duckdb = engine()

    names = [f"c{number}" for number in range(len(columns))]
    shown = ", ".join(f"to_json({name})::VARCHAR" if form == "json" else f"{name}::VARCHAR" for name in names)
    try:
        # The engine itself writes values as text: there are types that have no equal here.
        asked = f"SELECT {shown} FROM (\n{sql}\n) AS answer({', '.join(names)})"
        interruptible(connection, lambda: connection.execute(asked, dict(question.parameters) or None))
        while rows := interruptible(connection, lambda: connection.fetchmany(_AT_ONCE)):
            yield from rows
    except duckdb.Error as error:
        raise told_of_query(error) from error
