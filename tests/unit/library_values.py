"""Values of numpy, pandas, polars, pyarrow and PIL, one of each kind that a record tells apart, and how equal ones are
recognised."""

from __future__ import annotations

import datetime
import decimal
import io
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from msgspec import Raw
from PIL import Image

from agentrace import events
from agentrace.canonical import Encoder, Reader
from agentrace.redact import redactor
from tests.unit.recorded_runs import Process, Writing


def numpy_values() -> dict[str, Any]:
    plain = np.arange(600, dtype="f4").reshape(20, 30)
    record = np.dtype([("amount", "i4"), ("name", "U5")])
    return {
        "floats": plain,
        "fortran": np.asfortranarray(plain),
        "strided": plain[::2, ::3],
        "backwards": np.arange(5, dtype=">i8")[::-1],
        "none of three": np.zeros((0, 3)),
        "one alone": np.array(3.5),
        "complex": np.array([1 + 2j]),
        "half": np.array([1.5, np.nan, np.inf, -0.0], "f2"),
        "long double": np.array([1.1], "g"),
        "moments": np.array(["2020-01-01", "NaT"], "M8[ns]"),
        "lengths": np.array([1, -2], "m8[us]"),
        "texts": np.array([["héllo", "x"], ["", "\U0001f600"]]),
        "texts of Fortran": np.asfortranarray(np.array([["a", "b"], ["c", "d"]])),
        "surrogates": np.array(["\udcff", "x"]),
        "any texts": np.array(["a", "bb"], dtype=np.dtypes.StringDType()),
        "bytes": np.array([b"a", b"bcd"]),
        "void": np.array([b"ab", b"cd"], "V2"),
        "objects": np.array([1, "x", None, [1, 2], {"k": (1,)}], dtype=object),
        "records": np.array([(1, "x"), (2, "y")], dtype=record),
        "numbers in records": np.zeros(3, dtype=[("a", "i4"), ("n", "f8")]),
        "masked": np.ma.MaskedArray([1, 2, 3], mask=[0, 1, 0], fill_value=-1),
        "masked nowhere": np.ma.array([1.0, 2.0]),
        "float64": np.float64(1.5),
        "float32": np.float32(1.1),
        "int8": np.int8(-3),
        "bool": np.bool_(True),
        "text": np.str_("x"),
        "octets": np.bytes_(b"x"),
        "moment": np.datetime64("2020-01-01T00:00", "m"),
        "length": np.timedelta64(5, "D"),
        "a long double": np.longdouble("1.1"),
        "a record": np.array([(1, "two")], dtype=record)[0],
    }


def pandas_values() -> dict[str, Any]:
    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "f": [1.0, None],
            "text": ["a", None],
            "object": pd.Series([1, "x"], dtype=object),
            "texts as objects": pd.Series(["a", "b"], dtype=object),
            "category": pd.Categorical(["a", "b"], categories=["b", "a"], ordered=True),
            "Int64": pd.array([1, None], dtype="Int64"),
            "boolean": pd.array([True, None], dtype="boolean"),
            "Float32": pd.array([1.5, None], dtype="Float32"),
            "in Berlin": pd.to_datetime(["2020-07-01", "2021-01-01"]).tz_localize("Europe/Berlin"),
            "at an offset": pd.to_datetime(["2020-07-01T00:00+02:00", "2021-01-01T00:00+02:00"]),
            "moments": pd.to_datetime(["2020", None]),
            "months": pd.period_range("2020", periods=2, freq="M"),
            "intervals": pd.arrays.IntervalArray.from_breaks([0, 1, 2]),
            "lengths": pd.to_timedelta([1, 2], unit="h"),
            "python texts": pd.array(["a", None], dtype="string[python]"),
            "arrow": pd.array([1, None], dtype=pd.ArrowDtype(pa.int32())),
            "arrow texts": pd.array(["z", None], dtype=pd.ArrowDtype(pa.string())),
        }
    )
    with_attributes = pd.DataFrame({"a": [1]})
    with_attributes.attrs["source"] = {"file": "orders.csv"}
    columns = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None])
    return {
        "frame": frame,
        "two of a name": pd.DataFrame([[1, "2"], [3, "4"]], columns=["a", "a"]),
        "rows only": pd.DataFrame(index=[1, 2]),
        "nothing": pd.DataFrame(),
        "two levels": pd.DataFrame([[1, "x"]], columns=columns),
        "unique labels": pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
        "attributes": with_attributes,
        "by day": pd.DataFrame({"x": [1, 2]}, index=pd.date_range("2020", periods=2, freq="D", tz="UTC")),
        "series": pd.Series([1.5, 2], index=["a", "b"], name=("x", 1)),
        "series of anything": pd.Series([1, "x", None, pd.NaT, pd.NA], dtype=object),
        "range": pd.RangeIndex(3, name="q"),
        "business months": pd.date_range("2020", periods=3, freq="BME"),
        "levels": pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["k", None]),
        "tuples": pd.Index([("a", 1), ("b", 2)], tupleize_cols=False),
        "lengths": pd.timedelta_range("1D", periods=3, freq="12h"),
        "categories": pd.CategoricalIndex(["a", "b", "a"]),
        "array": pd.array([1, None], dtype="Int8"),
        "moment": pd.Timestamp("2020-07-01 10:00", tz="Europe/Berlin"),
        "moment of no place": pd.Timestamp("2020-07-01"),
        "length": pd.Timedelta("1 days 2h"),
        "NaT": pd.NaT,
        "NA": pd.NA,
    }


def arrow_values() -> dict[str, Any]:
    table = pa.table(
        {
            "a": [1, None],
            "s": ["x", None],
            "d": pa.array(["q", "r"]).dictionary_encode(),
            "l": [["a"], None],
            "m": pa.array([[("k", 1)], None], type=pa.map_(pa.string(), pa.int32())),
            "b": pa.array([b"abc", None], type=pa.binary(3)),
            "n": pa.array([5, 6]).dictionary_encode(),
        },
        metadata={"x": "y"},
    )
    required = pa.schema([pa.field("a", pa.string(), nullable=False)])
    return {
        "table": table,
        "required": pa.table([pa.array(["x"])], schema=required),
        "no rows": pa.table({"a": pa.array([], type=pa.string()), "b": pa.array([], type=pa.int8())}),
        "array": pa.array([1, 2, None]),
        "texts": pa.array(["a", None]),
        "chunks": pa.chunked_array([[1], [2]]),
        "batch": pa.record_batch({"a": [1], "s": ["x"]}),
    }


def polars_values() -> dict[str, Any]:
    frame = pl.DataFrame(
        {
            "a": [1, None],
            "s": ["x", None],
            "c": pl.Series(["q", "r"], dtype=pl.Categorical),
            "e": pl.Series(["q", "r"], dtype=pl.Enum(["q", "r"])),
            "l": [["a"], None],
            "st": [{"k": "v", "n": 1}, None],
            "d": [datetime.date(2020, 1, 1), None],
            "t": pl.Series([datetime.datetime(2020, 1, 1), None], dtype=pl.Datetime("ns", "Europe/Berlin")),
            "dec": pl.Series([decimal.Decimal("1.50"), None], dtype=pl.Decimal(10, 2)),
            "bin": [b"x", None],
            "f": [1.5, float("nan")],
            "li": [[1], [2, 3]],
            "du": [datetime.timedelta(1), None],
        }
    )
    return {"frame": frame, "nothing": pl.DataFrame(), "texts": pl.Series("x", ["a", None]), "n": pl.Series("n", [1])}


def images() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mode in ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"):
        image = found[mode] = Image.new(mode, (13, 7))
        if mode in ("P", "PA"):
            image.putpalette(bytes(range(256)) * 3)
        image.info = {"dpi": (72, 72), "comment": f"an image of mode {mode}"}
    return found | {"nothing": Image.new("RGB", (0, 5))}


def buffers() -> dict[str, Any]:
    read = io.BytesIO(b"hello world")
    read.read(3)
    return {"bytes": read, "text": io.StringIO("a\r\nb", newline="")}


def values() -> dict[str, Any]:
    """All of them, by library and name."""
    libraries = {
        "numpy": numpy_values(),
        "pandas": pandas_values(),
        "pyarrow": arrow_values(),
        "polars": polars_values(),
        "PIL": images(),
        "io": buffers(),
    }
    return {f"{library}: {name}": value for library, found in libraries.items() for name, value in found.items()}


class Kept(dict[bytes, bytes]):
    """Payloads in memory; ``written`` counts the bytes that were handed over."""

    written = 0

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep one."""
        self.written += len(data)
        self[digest] = data


def told(value: Any) -> tuple[Raw, str, Reader, Kept]:
    """The encoding of a value, its fidelity, what reads it, and its payloads."""
    kept = Kept()
    raw, fidelity = Encoder(redactor(), kept).encode(value)
    return raw, fidelity, Reader(kept.__getitem__), kept


def same(one: Any, other: Any) -> bool:
    """Whether two are equal in type and in everything that their library tells of them."""
    if type(one) is not type(other):
        return False
    equal = next((equal for cls, equal in _EQUAL if isinstance(one, cls)), None)
    return bool(one is other or one == other) if equal is None else bool(equal(one, other))


def _same_arrays(one: Any, other: Any) -> bool:
    told = [(array.dtype, array.shape, repr(array.tolist())) for array in (one, other)]
    ordered = not one.flags.forc or one.flags.f_contiguous == other.flags.f_contiguous
    return told[0] == told[1] and bool(ordered and other.flags.writeable)


def _same_masked(one: Any, other: Any) -> bool:
    told = [(a.dtype, a.shape, a.tolist(), a.fill_value, a.hardmask, a.mask is np.ma.nomask) for a in (one, other)]
    return told[0] == told[1] and bool((one.data == other.data).all())


def _same_frames(one: Any, other: Any) -> bool:
    pd.testing.assert_frame_equal(one, other, check_exact=True, check_freq=True, check_flags=True)
    return bool(one.attrs == other.attrs)


def _same_series(one: Any, other: Any) -> bool:
    pd.testing.assert_series_equal(one, other, check_exact=True, check_freq=True, check_flags=True)
    return list(map(type, one)) == list(map(type, other))


def _same_indexes(one: Any, other: Any) -> bool:
    pd.testing.assert_index_equal(one, other, exact=True)
    return bool(getattr(one, "freq", None) == getattr(other, "freq", None))


def _same_images(one: Any, other: Any) -> bool:
    told = [(i.mode, i.size, i.tobytes(), i.info, i.format, i.palette and i.getpalette()) for i in (one, other)]
    return told[0] == told[1]


_EQUAL: tuple[tuple[Any, Any], ...] = (
    (np.ma.MaskedArray, _same_masked),
    (np.ndarray, _same_arrays),
    (np.generic, lambda one, other: one.dtype == other.dtype and repr(one.tolist()) == repr(other.tolist())),
    (pd.DataFrame, _same_frames),
    (pd.Series, _same_series),
    (pd.Index, _same_indexes),
    (pd.api.extensions.ExtensionArray, lambda one, other: one.equals(other)),
    (pd.Timestamp, lambda one, other: one == other and one.unit == other.unit and str(one.tz) == str(other.tz)),
    (pl.DataFrame, lambda one, other: one.equals(other) and one.schema == other.schema),
    (pl.Series, lambda one, other: one.equals(other, check_names=True, check_dtypes=True)),
    ((pa.Table, pa.RecordBatch), lambda one, other: one.equals(other, check_metadata=True)),
    (Image.Image, _same_images),
    ((io.BytesIO, io.StringIO), lambda a, b: (a.getvalue(), a.tell()) == (b.getvalue(), b.tell())),
)


def values_run(process: Process) -> Writing:
    """A run with one of each kind of value, and with notes and scores."""
    run = process.run("values")
    told = {
        "array": np.arange(600, dtype="f4").reshape(20, 30),
        "texts": np.array(["Rome", "Oslo"]),
        "scalar": np.float32(0.5),
        "masked": np.ma.MaskedArray([1, 2, 3], mask=[0, 1, 0]),
        "frame": pd.DataFrame({"city": ["Rome", "Oslo"], "nights": [3, 4]}),
        "moment": pd.Timestamp("2020-07-01 10:00", tz="Europe/Berlin"),
        "polars": pl.DataFrame({"city": ["Rome", None], "nights": [3, 4]}),
        "table": pa.table({"city": ["Rome", None], "nights": [3, 4]}),
        "image": Image.new("RGB", (16, 16), (1, 2, 3)),
        "buffer": io.BytesIO(b"hello"),
    }
    for at, (name, value) in enumerate(told.items()):
        step = run.step("tool", f"give_{name}", at, {name: value}, ordinal=at)
        run.event(events.Logged, step, at + 0.2, f"giving {name}", "info", logger="travel")
        run.done(step, at + 0.5, value)
    run.event(events.Scored, 1, 20, "helpfulness", 0.8, "as asked", "user")
    run.event(events.Logged, 0, 21, "all given", "warning", logger="<stdout>")
    run.end(30)
    return run
