"""Data frames, series, indexes and extension arrays of pandas, column by column: numbers as arrays, texts as cells.

Not as Arrow, which knows no frequency, no two columns of one name and no difference between objects and texts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from agentrace.canonical.foreign import Part, Untold


def take(part: Part, kind: str, value: Any) -> dict[str, Any]:
    """A frame as its index, its columns and their values; the others likewise."""
    return _TAKE[kind](part, value)


def build(kind: str, _: str, fields: dict[str, Any]) -> Any:
    """From the same."""
    return _BUILD[kind](sys.modules["pandas"], fields)


# --- frames and series --------------------------------------------------------------------------------------


def _frame(part: Part, value: Any) -> dict[str, Any]:
    names = [*value.columns]
    columns = [_column(part, value.iloc[:, at], names[at]) for at in range(value.shape[1])]
    dtypes = [str(dtype) for dtype in value.dtypes]
    told = {"shape": list(value.shape), "dtypes": part.tree(dtypes), "columns": part.tree(value.columns)}
    return {**told, "index": part.tree(value.index), "values": columns, **_beside(part, value)}


def _built_frame(pandas: Any, fields: dict[str, Any]) -> Any:
    index, columns, values = fields["index"], fields["columns"], fields["values"]
    series = {at: _as_series(pandas, column, index) for at, column in enumerate(values)}
    frame = pandas.DataFrame(series, index=index, columns=range(len(values)))
    frame.columns = columns
    return _with_beside(frame, fields)


def _series(part: Part, value: Any) -> dict[str, Any]:
    told = {"length": len(value), "dtype": part.tree(str(value.dtype)), "name": part.tree(value.name)}
    values = _column(part, value, value.name)
    return {**told, "index": part.tree(value.index), "values": values, **_beside(part, value)}


def _built_series(pandas: Any, fields: dict[str, Any]) -> Any:
    series = _as_series(pandas, fields["values"], fields["index"])
    series.name = fields["name"]
    return _with_beside(series, fields)


def _as_series(pandas: Any, values: Any, index: Any) -> Any:
    dtype = object if isinstance(values, list) else values.dtype  # else texts in objects become texts
    array = _objects(values) if isinstance(values, list) else values
    return pandas.Series(array, index=index, dtype=dtype, copy=False)


def _objects(cells: list[Any]) -> Any:
    numpy: Any = sys.modules["numpy"]
    array = numpy.empty(len(cells), object)
    for at, cell in enumerate(cells):
        array[at] = cell
    return array


def _beside(part: Part, value: Any) -> dict[str, Any]:
    told = {"attrs": part.tree(value.attrs)} if value.attrs else {}
    return told if value.flags.allows_duplicate_labels else {**told, "unique_labels": True}


def _with_beside(value: Any, fields: dict[str, Any]) -> Any:
    value.attrs.update(fields.get("attrs", {}))
    return value.set_flags(allows_duplicate_labels=False) if fields.get("unique_labels") else value


def _column(part: Part, series: Any, name: object) -> Any:
    """The values of a column: an array, or a list of objects."""
    array = series.array
    if type(array).__name__ == "NumpyExtensionArray":
        plain = array.to_numpy()
        return part.cells(plain.tolist(), name) if plain.dtype == object else part.tree(plain)
    return part.object("pandas-array", array, _array(part, array, name)) if _is_text(array) else part.tree(array)


# --- indexes ------------------------------------------------------------------------------------------------


def _index(part: Part, value: Any) -> dict[str, Any]:
    what = type(value).__name__
    if what == "RangeIndex":
        told = {"length": len(value), "range": [value.start, value.stop, value.step]}
        return {**told, "name": part.tree(value.name)}
    if what == "MultiIndex":
        levels = [part.tree(level) for level in value.levels]
        codes = [part.tree(codes) for codes in value.codes]
        names = [part.tree(name) for name in value.names]
        return {"length": len(value), "levels": levels, "codes": codes, "names": names}
    told = {"length": len(value), "dtype": part.tree(str(value.dtype)), "name": part.tree(value.name)}
    told["values"] = _column(part, value, value.name)
    frequency = getattr(value, "freq", None) if what in ("DatetimeIndex", "TimedeltaIndex") else None
    if frequency is not None:
        pandas: Any = sys.modules["pandas"]
        told["freq"] = frequency.freqstr
        if pandas.tseries.frequencies.to_offset(frequency.freqstr) != frequency:
            raise Untold("its frequency has no name")
    return told


def _built_index(pandas: Any, fields: dict[str, Any]) -> Any:
    if "range" in fields:
        return pandas.RangeIndex(*fields["range"], name=fields["name"])
    if "levels" in fields:
        return pandas.MultiIndex(levels=fields["levels"], codes=fields["codes"], names=fields["names"])
    values = fields["values"]
    if isinstance(values, list):
        return pandas.Index(_objects(values), dtype=object, name=fields["name"], tupleize_cols=False)
    index = pandas.Index(values, dtype=values.dtype, name=fields["name"])
    if "freq" in fields:
        index.freq = fields["freq"]
    return index


# --- extension arrays ---------------------------------------------------------------------------------------


def _is_text(array: Any) -> bool:
    return type(array.dtype).__name__ == "StringDtype"


def _array(part: Part, value: Any, name: object = None) -> dict[str, Any]:
    told = {"length": len(value), "dtype": part.tree(str(value.dtype))}
    if _is_text(value):
        return {**told, **_texts(part, value, name)}
    how = _ARRAYS.get(type(value).__name__)
    if how is None:
        raise Untold(f"nothing is known of pandas arrays of the type {type(value).__name__}")
    return {**told, **how(part, value)}


def _texts(part: Part, value: Any, name: object) -> dict[str, Any]:
    pandas: Any = sys.modules["pandas"]
    cells = value.to_numpy(dtype=object, na_value=None).tolist()
    kept = {"storage": value.dtype.storage, "missing": "NA" if value.dtype.na_value is pandas.NA else "NaN"}
    return {**kept, "cells": part.cells(cells, name)}


def _dates(part: Part, value: Any) -> dict[str, Any]:
    pandas: Any = sys.modules["pandas"]
    if value.tz is not None and pandas.api.types.pandas_dtype(str(value.dtype)) != value.dtype:
        raise Untold("its time zone has no name")
    return {"values": part.tree(value.view("i8"))}


def _numbers(part: Part, value: Any) -> dict[str, Any]:
    return {"values": part.tree(value._data), "mask": part.tree(value._mask)}


def _categories(part: Part, value: Any) -> dict[str, Any]:
    return {"codes": part.tree(value.codes), "categories": part.tree(value.categories), "ordered": bool(value.ordered)}


def _intervals(part: Part, value: Any) -> dict[str, Any]:
    return {"left": part.tree(value.left), "right": part.tree(value.right), "closed": value.closed}


_ARRAYS: Final[dict[str, Callable[[Part, Any], dict[str, Any]]]] = {
    "NumpyExtensionArray": lambda part, value: {"values": part.tree(value.to_numpy())},
    "DatetimeArray": _dates,
    "TimedeltaArray": lambda part, value: {"values": part.tree(value.view("i8"))},
    "PeriodArray": lambda part, value: {"values": part.tree(value.view("i8"))},
    "IntegerArray": _numbers,
    "FloatingArray": _numbers,
    "BooleanArray": _numbers,
    "Categorical": _categories,
    "IntervalArray": _intervals,
    "ArrowExtensionArray": lambda part, value: {"values": part.tree(value.__arrow_array__())},
}


def _built_array(pandas: Any, fields: dict[str, Any]) -> Any:
    if "cells" in fields:
        numpy: Any = sys.modules["numpy"]
        missing = pandas.NA if fields["missing"] == "NA" else numpy.nan
        dtype = pandas.StringDtype(fields["storage"], na_value=missing)
        return pandas.array(fields["cells"], dtype=dtype)
    if "mask" in fields:
        values = fields["values"]
        family = {"i": "IntegerArray", "u": "IntegerArray", "f": "FloatingArray", "b": "BooleanArray"}
        return getattr(pandas.arrays, family[values.dtype.kind])(values, fields["mask"])
    if "codes" in fields:
        dtype = pandas.CategoricalDtype(fields["categories"], fields["ordered"])
        return pandas.Categorical.from_codes(fields["codes"], dtype=dtype)
    if "closed" in fields:
        return pandas.arrays.IntervalArray.from_arrays(fields["left"], fields["right"], fields["closed"])
    return _built_by_dtype(pandas, fields["dtype"], fields["values"])


def _built_by_dtype(pandas: Any, dtype: str, values: Any) -> Any:
    if dtype.startswith("period["):
        return pandas.PeriodIndex.from_ordinals(values, freq=dtype.removeprefix("period[").removesuffix("]")).array
    if dtype.startswith(("datetime64[", "timedelta64[")):
        name, _, rest = dtype.removesuffix("]").partition("[")
        unit, _, zone = rest.partition(", ")
        moments = values.view(f"{name}[{unit}]")
        if not zone:
            return pandas.array(moments, dtype=moments.dtype)
        in_utc = pandas.DatetimeIndex(moments).tz_localize("UTC")
        return in_utc.tz_convert(pandas.DatetimeTZDtype.construct_from_string(dtype).tz).array
    if type(values).__module__.partition(".")[0] == "pyarrow":
        return pandas.arrays.ArrowExtensionArray(values)
    return pandas.arrays.NumpyExtensionArray(values)


_TAKE: Final[dict[str, Callable[[Part, Any], dict[str, Any]]]] = {
    "pandas-frame": _frame,
    "pandas-series": _series,
    "pandas-index": _index,
    "pandas-array": _array,
}
_BUILD: Final[dict[str, Callable[[Any, dict[str, Any]], Any]]] = {
    "pandas-frame": _built_frame,
    "pandas-series": _built_series,
    "pandas-index": _built_index,
    "pandas-array": _built_array,
}
