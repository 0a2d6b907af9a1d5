"""What was asked for, as a sequence of objects, as rows and as data frames; read when it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, overload

from agentrace.errors import AgentraceError, RunNotFound
from agentrace.index.answers import Column, Query, arrays, columns, rows, stream
from agentrace.reading.drawing import brief, counted, html_table
from agentrace.reading.frames import arrow_table, library, pandas_frame, polars_frame
from agentrace.reading.source import Source

if TYPE_CHECKING:
    import duckdb
    import pandas  # type: ignore[import-untyped]
    import polars
    import pyarrow  # type: ignore[import-untyped]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_SHOWN: Final = 10
_IN_NOTEBOOK: Final = 20

Ask: TypeAlias = "Callable[[duckdb.DuckDBPyConnection], Query]"
"""Makes a query, for which it may look into the index."""


class Items(Sequence[T]):
    """Objects that are made one by one, of keys that are all known."""

    def __init__(self, keys: Sequence[Any], make: Callable[[Any], T]) -> None:
        self._keys = keys
        self._make = make

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[T]:
        for key in self._keys:
            with suppress(RunNotFound):  # removed since
                yield self._make(key)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        if isinstance(at, slice):
            return Items(self._keys[at], self._make)
        return self._make(self._keys[at])


class Listing(Sequence[T_co], Generic[T_co]):
    """A question and what it gives: a sequence that can be walked, counted, indexed and sliced, and a table.

    It is asked when something of it is first looked at, and keeps what it found. The methods ``to_...`` ask the index
    anew: what they give is what was finished before they were called. Lists of runs begin with the newest run; what is
    in a run stands in its order. ::

        slow = [step for step in recordings.steps(kind="tool") if step.duration > timedelta(seconds=2)]
        frame = recordings.steps(kind="model").to_pandas()

    Everything raises ``StoreError`` where the records cannot be read, and ``AgentraceError`` (slug ``open-closed``)
    once the recordings are closed.
    """

    def __init__(self, what: str, source: Source, items: Callable[[], Sequence[T_co]], ask: Ask) -> None:
        self._what = what
        self._source = source
        self._read = items
        self._ask = ask
        self._found: Sequence[T_co] | None = None

    # --- as a sequence ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T_co]:
        return iter(self._items)

    @overload
    def __getitem__(self, at: int) -> T_co: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T_co]: ...
    def __getitem__(self, at: int | slice) -> T_co | Sequence[T_co]:
        return self._items[at]

    @property
    def _items(self) -> Sequence[T_co]:
        with self._source.lock:
            found = self._found
        if found is None:
            found = self._read()
            with self._source.lock:
                found = self._found = found if self._found is None else self._found
        return found

    # --- as a table ---------------------------------------------------------------------------------------------

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns, as in SQL."""
        with self._source.index() as connection:
            return [column.name for column in columns(connection, self._ask(connection))]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Rows as dictionaries of Python values.

        Times are aware datetimes in UTC and durations timedeltas, both to the microsecond; ids are texts, what SQL has
        as JSON is text; NULL is ``None``.
        """
        names, found = self._rows()
        return [dict(zip(names, row, strict=True)) for row in found]

    def to_pandas(self) -> pandas.DataFrame:
        """A ``pandas.DataFrame``: ``datetime64[ns, UTC]``, ``timedelta64[ns]``, ``Int64``, ``Float64``, ``boolean``,
        ``string``, and objects for lists.

        Raises ``ConfigError`` (slug ``open-library``) where pandas is not installed; so do the next two for theirs.
        """
        library("pandas", "to_pandas()")
        with self._source.index() as connection:
            query = self._ask(connection)
            of = columns(connection, query)
            return pandas_frame(arrays(connection, query, of), of)

    def to_polars(self) -> polars.DataFrame:
        """A ``polars.DataFrame``: ``Datetime("ns", "UTC")``, ``Duration("ns")``, integers, ``String``, ``List``."""
        library("polars", "to_polars()")
        with self._source.index() as connection:
            query = self._ask(connection)
            of = columns(connection, query)
            made: polars.DataFrame = polars_frame(stream(connection, query, of), of)
            return made

    def to_arrow(self) -> pyarrow.Table:
        """A ``pyarrow.Table``: ``timestamp[ns, tz=UTC]``, ``duration[ns]``, integers, ``string``, ``list``."""
        library("pyarrow", "to_arrow()")
        with self._source.index() as connection:
            query = self._ask(connection)
            of = columns(connection, query)
            return arrow_table(stream(connection, query, of), of)

    def _rows(self, most: int | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        with self._source.index() as connection:
            query = self._ask(connection)
            of: list[Column] = columns(connection, query)
            if most is not None:
                query = Query(f"FROM (\n{query.sql}\n) LIMIT {most}", query.parameters, query.durations)
            return [column.name for column in of], rows(connection, query, of)

    # --- to look at ---------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        try:
            found = self._items
            lines = [brief(repr(item), 160) for item in found[:_SHOWN]]
        except AgentraceError as error:
            return f"<{self._what}: {brief(error.what, 200)}>"
        more = [f"  and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else []
        return "\n".join([f"<{counted(len(found), self._what)}>", *(f"  {line}" for line in lines), *more])

    def _repr_html_(self) -> str:
        try:
            names, found = self._rows(_IN_NOTEBOOK + 1)
        except AgentraceError as error:
            return html_table([], [], error.what)
        more = (
            f"the first {_IN_NOTEBOOK} {self._what}" if len(found) > _IN_NOTEBOOK else counted(len(found), self._what)
        )
        return html_table(names, found[:_IN_NOTEBOOK], more)


class Table(Listing["dict[str, Any]"]):
    """What a query of yours gives: a sequence of dictionaries, one for each row, and data frames. ::

    recordings.sql("SELECT model, sum(output_tokens) AS tokens FROM steps GROUP BY model").to_polars()
    """

    def __init__(self, source: Source, query: Query) -> None:
        super().__init__("rows", source, self.to_dicts, lambda _: query)
