"""Columns as the data frames of other libraries, which are imported when they are asked for and never before."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from agentrace.errors import ConfigError
from agentrace.index.answers import Column

_PANDAS = {"integer": "Int64", "boolean": "boolean", "text": "string", "number": "Float64"}
"""Extension types of pandas, which have a NULL."""


def library(name: str, method: str) -> Any:
    """A library that need not be installed. Raises ``ConfigError``, slug ``open-library``."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is there, and what it needs is not
            raise
        raise ConfigError(
            f"{method} needs {name}, which is not installed",
            do=f"pip install {name}; to_dicts() needs nothing",
            slug="open-library",
        ) from error


def pandas_frame(arrays: dict[str, Any], columns: Sequence[Column]) -> Any:
    """A ``pandas.DataFrame`` of numpy arrays."""
    pandas, numpy = library("pandas", "to_pandas()"), library("numpy", "to_pandas()")
    made: dict[str, Any] = {}
    for column in columns:
        found = arrays[column.name]
        mask = numpy.ma.getmaskarray(found)
        made[column.name] = _series(pandas, column, numpy.ma.getdata(found), mask)
    return pandas.DataFrame(made)


def _series(pandas: Any, column: Column, data: Any, mask: Any) -> Any:
    if column.holds == "time":
        times = pandas.Series(data.astype("datetime64[ns]"))
        times[mask] = pandas.NaT
        return times.dt.tz_localize("UTC")
    if column.holds == "duration":
        spans = pandas.Series(data.astype("timedelta64[ns]"))
        spans[mask] = pandas.NaT
        return spans
    if column.holds == "integer" and data.dtype.kind == "f":  # 128 bits that do not fit into 64
        return pandas.Series(pandas.arrays.FloatingArray(data.astype("float64"), mask.copy()))
    if column.holds == "integer" and str(data.dtype) == "uint64":
        return pandas.Series(pandas.arrays.IntegerArray(data, mask.copy()))
    if column.holds == "integer":
        return pandas.Series(pandas.arrays.IntegerArray(data.astype("int64"), mask.copy()))
    if column.holds == "boolean":
        return pandas.Series(pandas.arrays.BooleanArray(data.astype("bool"), mask.copy()))
    if column.holds == "number":
        return pandas.Series(pandas.arrays.FloatingArray(data.astype("float64"), mask.copy()))
    objects = data.astype(object)
    objects[mask] = None
    if column.holds == "list":
        objects[:] = [_list(value) for value in objects]
    if column.holds == "text":
        return pandas.Series(pandas.array(objects, dtype="string"))
    return pandas.Series(objects, dtype=object)


def _list(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def arrow_table(stream: Any, columns: Sequence[Column]) -> Any:
    """A ``pyarrow.Table`` of what hands over its columns as Arrow does."""
    pyarrow = library("pyarrow", "to_arrow()")
    table = pyarrow.table(stream)
    cells = [_cast(pyarrow, table.column(at), column) for at, column in enumerate(columns)]
    return pyarrow.table(cells, names=[column.name for column in columns])


def _cast(pyarrow: Any, cells: Any, column: Column) -> Any:
    if column.holds == "time":
        return cells.cast(pyarrow.timestamp("ns", "UTC"))
    if column.holds == "duration":
        return cells.cast(pyarrow.int64()).cast(pyarrow.duration("ns"))
    return cells


def polars_frame(stream: Any, columns: Sequence[Column]) -> Any:
    """A ``polars.DataFrame`` of the same."""
    polars = library("polars", "to_polars()")
    frame = polars.DataFrame(stream)
    frame.columns = [column.name for column in columns]
    return frame.with_columns(
        *(
            polars.col(one.name).cast(polars.Datetime("ns")).dt.replace_time_zone("UTC")
            for one in columns
            if one.holds == "time"
        ),
        *(polars.col(one.name).cast(polars.Duration("ns")) for one in columns if one.holds == "duration"),
    )
