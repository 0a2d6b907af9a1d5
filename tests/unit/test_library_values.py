"""Arrays, frames, images and buffers: recorded once, read back equal, told in a line, and only by a program that has
their library."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.msgpack import Ext, encode
from PIL import Image, PngImagePlugin

from agentrace.canonical import Encoder, Reader, tags
from agentrace.canonical.foreign_json import SUMMARY
from agentrace.errors import ValueUndecodable
from agentrace.redact import redactor
from tests.unit.library_values import same, values

KEY = "sk-proj-Abc123Def456Ghi789Jkl012Mno345Pqr678Stu901"
"""A key as a provider issues it."""


class Kept(dict[bytes, bytes]):
    """Payloads in memory; ``written`` counts the bytes that were handed over."""

    written = 0

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep one."""
        self.written += len(data)
        self[digest] = data


def told(value: Any, kept: Kept | None = None, **redaction: Any) -> tuple[Raw, str, Reader, Kept]:
    """The encoding of a value, its fidelity, and what reads it."""
    kept = Kept() if kept is None else kept
    raw, fidelity = Encoder(redactor(**redaction), kept).encode(value)
    return raw, fidelity, Reader(kept.__getitem__), kept


ALL = values()


@pytest.mark.parametrize("name", ALL)
def test_a_value_comes_back_as_it_was(name: str) -> None:
    raw, fidelity, reader, _ = told({"given": ALL[name]})

    assert fidelity == "exact"
    first, second = reader.python(raw)["given"], reader.python(raw)["given"]
    assert same(ALL[name], first)
    mutable = not isinstance(first, (np.generic, pd.Timestamp, pd.Timedelta, pa.Table, pa.RecordBatch))
    assert first is not second or not mutable or first is pd.NaT or first is pd.NA


@pytest.mark.parametrize("name", ALL)
def test_a_value_is_told_in_a_line_without_its_library(name: str) -> None:
    raw, _, reader, _ = told(ALL[name])

    found = reader.json(raw)

    if name in ("numpy: float64", "numpy: text", "numpy: octets"):  # they are Python's own, too
        assert found in (1.5, "x", {"$bytes": "x"})
    else:
        assert found[SUMMARY]
        assert "\n" not in found[SUMMARY]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (np.zeros((512, 768), "f4"), "ndarray float32 [512, 768], 1.6 MB"),
        (np.array(["a"]), "ndarray <U1 [1]"),
        (np.float32(0.5), "float32 0.5"),
        (np.ma.array([1.0]), "MaskedArray of ndarray float64 [1], 136 B"),
        (pd.DataFrame({"a": [1, 2]}), "DataFrame of 2 rows and 1 column"),
        (pd.Series([1.0]), "Series float64 [1]"),
        (pd.Timestamp("2020-07-01"), "Timestamp 2020-07-01 00:00:00"),
        (pl.Series("x", ["a"]), "Series String [1]"),
        (Image.new("RGB", (16, 16)), "Image RGB 16 x 16, 768 B"),
        (io.BytesIO(b"abc"), "BytesIO, read up to 0"),
    ],
)
def test_the_line_says_what_it_is(value: Any, line: str) -> None:
    raw, _, reader, _ = told(value)

    assert reader.json(raw)[SUMMARY] == line


DTYPES = st.sampled_from(["?", "i1", "u2", "<i4", ">i8", "f2", "f4", "f8", "c8", "M8[s]", "m8[ns]", "U4", "S3"])
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(dtype=DTYPES, shape=SHAPES, fortran=st.booleans(), seed=st.integers(0, 2**32 - 1), step=st.integers(-2, 2))
def test_any_array_comes_back(dtype: str, shape: tuple[int, ...], fortran: bool, seed: int, step: int) -> None:
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    drawn = np.random.default_rng(seed).integers(0, 0x70, size, dtype="u1")
    if kind.kind in "US":
        texts = ["".join(map(chr, row)) for row in drawn.reshape(-1, kind.itemsize)[:, :3] + 1]
        array = np.array(texts, dtype).reshape(shape)
    elif kind.kind == "b":
        array = (drawn % 2).astype(bool).reshape(shape)
    else:
        array = np.frombuffer(drawn.tobytes(), kind).reshape(shape)
    array = np.array(array, order="F" if fortran else "C")
    array = array[::step] if step and shape else array
    raw, fidelity, reader, _ = told(array)

    back = reader.python(raw)

    assert fidelity == "exact"
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


CELLS = st.one_of(
    st.none(), st.text(max_size=5), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.booleans()
)


@given(columns=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=4), names=st.lists(st.text(), max_size=4))
def test_any_frame_of_objects_comes_back(columns: list[list[Any]], names: list[str]) -> None:
    width = min(len(columns), len(names))
    frame = pd.DataFrame({at: pd.Series(columns[at], dtype=object) for at in range(width)}, index=[7, 7, 8])
    frame.columns = pd.Index(names[:width], dtype=object)
    raw, fidelity, reader, _ = told(frame)

    assert fidelity == "exact"
    assert same(frame, reader.python(raw))


@given(texts=st.lists(st.none() | st.text(), max_size=6), numbers=st.lists(st.none() | st.integers(-9, 9), max_size=6))
def test_any_columns_of_arrow_come_back(texts: list[str | None], numbers: list[int | None]) -> None:
    length = min(len(texts), len(numbers))
    columns = {"t": texts[:length], "n": numbers[:length]}
    table = pa.table(columns, schema=pa.schema([("t", pa.string()), ("n", pa.int64())]))
    frame = pl.DataFrame(columns, schema={"t": pl.String, "n": pl.Int64})

    for value in (table, frame):
        raw, fidelity, reader, _ = told(value)
        assert fidelity == "exact"
        assert same(value, reader.python(raw))


def test_the_same_numbers_are_written_once() -> None:
    array, kept = np.arange(100_000.0), Kept()
    encoder = Encoder(redactor(), kept)

    for _ in range(5):
        encoder.encode({"vectors": array})
        encoder.encode(pd.DataFrame({"a": array}))

    assert kept.written < array.nbytes + 10_000


def test_what_may_be_lost_is_written_again() -> None:
    array, kept = np.arange(1000.0), Kept()
    encoder = Encoder(redactor(), kept)
    encoder.encode(array)
    kept.clear()

    encoder.forget()
    raw, _ = encoder.encode(array)

    assert same(array, Reader(kept.__getitem__).python(raw))


class Coordinates(np.ndarray):
    """An array of a program's own class."""


@pytest.mark.parametrize(
    ("value", "as_what"),
    [(np.arange(3).view(Coordinates), np.ndarray), (np.rec.array([(1, 2.0)]), np.ndarray)],
)
def test_a_class_of_the_programs_own_comes_back_plainer(value: Any, as_what: type) -> None:
    raw, fidelity, reader, _ = told(value)

    assert fidelity == "structural"
    assert type(reader.python(raw)) is as_what


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([object()]), "no codec for this type"),
        (np.zeros(2, dtype=[("a", "O")]), "its fields are objects or arrays"),
        (np.zeros(2, dtype=np.dtype("f8", metadata={"unit": "m"})), "its dtype has metadata"),
        (pd.Series(pd.arrays.SparseArray([0, 1])), "nothing is known of pandas arrays of the type SparseArray"),
        (pl.Series([object()], dtype=pl.Object), "it holds objects that polars knows nothing of"),
    ],
)
def test_what_cannot_be_told_is_described_and_says_why(value: Any, reason: str) -> None:
    raw, fidelity, reader, _ = told(value)

    assert fidelity == "opaque"
    assert reason in str(reader.json(raw))
    with pytest.raises(ValueUndecodable):
        reader.python(raw)


def test_an_array_in_itself_ends() -> None:
    array = np.empty(2, object)
    array[0] = array

    raw, fidelity, reader, _ = told(array)

    assert fidelity == "opaque"
    assert "contains itself" in str(reader.json(raw))


# --- secrets ------------------------------------------------------------------------------------------------


def everything(raw: Raw, kept: Kept) -> bytes:
    return b"\n".join([bytes(raw), *kept.values()])


def secretive() -> dict[str, Any]:
    text = f"use {KEY} for it"
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", text, zip=True)
    file = io.BytesIO()
    Image.new("L", (2, 2)).save(file, "PNG", pnginfo=info)
    categories = pl.Series(["a", text], dtype=pl.Categorical)
    return {
        "texts": np.array(["x", text]),
        "bytes": np.array([b"x", text.encode()]),
        "objects": np.array([1, {"api_key": KEY}], dtype=object),
        "records": np.array([(1, text)], dtype=[("a", "i4"), ("n", "U80")]),
        "octets": np.frombuffer(text.encode(), "u1"),
        "masked": np.ma.MaskedArray([text, "x"], mask=[1, 0]),
        "scalar": np.str_(text),
        "frame": pd.DataFrame({"a": [text], "o": pd.Series([text], dtype=object)}),
        "category": pd.Series([text], dtype="category"),
        "index": pd.Index([text, "x"]),
        "column": pd.DataFrame({text: [1]}),
        "attributes": pd.Series([1]).rename(text),
        "polars": pl.DataFrame({"a": [text], "l": [[text]], "s": [{"k": text}], "b": [text.encode()]}),
        "polars category": pl.DataFrame({"c": categories}),
        "polars enum": pl.Series([text], dtype=pl.Enum([text])),
        "polars column": pl.DataFrame({text: [1]}),
        "arrow": pa.table({"a": [text], "l": [[text]], "d": pa.array([text]).dictionary_encode()}),
        "arrow split": pa.array([KEY[:20], KEY[20:]]),
        "polars split": pl.Series([KEY[:20], KEY[20:]]),
        "arrow metadata": pa.table({"a": [1]}, metadata={"note": text}),
        "arrow large": pa.array([text], type=pa.large_string()),
        "arrow fixed": pa.array([text.encode()], type=pa.binary(len(text))),
        "image": Image.open(file),
        "buffer": io.BytesIO(text.encode()),
        "text buffer": io.StringIO(text),
    }


@pytest.mark.parametrize("name", secretive())
def test_a_secret_is_nowhere_in_what_is_written(name: str) -> None:
    raw, _, reader, kept = told({"given": secretive()[name]})

    written = everything(raw, kept)

    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        assert KEY.encode(encoding) not in written
    assert KEY not in str(reader.json(raw))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_the_name_of_a_column_tells_that_it_holds_secrets(frame: Any) -> None:
    raw, _, reader, kept = told(frame({"user": ["anna"], "password": ["tr0ub4dor"]}))

    assert b"tr0ub4dor" not in everything(raw, kept)
    back = reader.python(raw)
    found = back["password"].to_pylist() if isinstance(back, pa.Table) else list(back["password"])
    assert "redacted" in found[0]


def test_a_mark_is_served_in_place_of_a_secret() -> None:
    raw, fidelity, reader, _ = told(np.array([KEY, "x"]))

    back = reader.python(raw)

    assert fidelity == "exact"
    assert back[0].startswith("⟨redacted:")
    assert back[1] == "x"


# --- what reads -----------------------------------------------------------------------------------------------


def put(kind: str, name: str, fields: dict[str, Any]) -> Raw:
    return Raw(encode(Ext(tags.OBJECT, encode((kind, name, fields, None)))))


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def compressed() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"a": [0] * 100_000}).write_ipc_stream(buffer, compression="zstd")
    return buffer.getvalue()


HOSTILE = {
    "a size bomb": put(
        "numpy-array",
        "numpy:ndarray",
        {"npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000)}")},
    ),
    "a pickle": put(
        "numpy-array",
        "numpy:ndarray",
        {"npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n")},
    ),
    "a negative length": put(
        "numpy-array",
        "numpy:ndarray",
        {"npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1)}", bytes(8))},
    ),
    "code as header": put("numpy-array", "numpy:ndarray", {"npy": npy("__import__('os').system('true')")}),
    "no header": put("numpy-array", "numpy:ndarray", {"npy": b"PK"}),
    "wide cells": put(
        "numpy-array", "numpy:ndarray", {"dtype": "<U1000000000", "shape": [1], "order": "C", "cells": ["x"]}
    ),
    "a large dtype": put(
        "numpy-array", "numpy:ndarray", {"dtype": [["a", "<U1000000000"]], "shape": [9], "fields": {}}
    ),
    "cells of objects": put(
        "numpy-array", "numpy:ndarray", {"dtype": "f8,(9,9)f8", "shape": [1], "order": "C", "cells": [1]}
    ),
    "compressed columns": put("polars-frame", "polars:DataFrame", {"stream": compressed(), "texts": []}),
    "compressed table": put("arrow-table", "pyarrow.lib:Table", {"stream": compressed(), "texts": []}),
    "no stream": put(
        "arrow-table", "pyarrow.lib:Table", {"stream": b"\xff\xff\xff\xff\x10\x00\x00\x00" + bytes(16), "texts": []}
    ),
    "half a stream": put("arrow-table", "pyarrow.lib:Table", {"stream": b"\xff\xff\xff\xff", "texts": []}),
    "pixels of another size": put(
        "image", "PIL.Image:Image", {"mode": "RGB", "size": [100000, 100000], "pixels": b"x"}
    ),
    "an unknown mode": put("image", "PIL.Image:Image", {"mode": "XYZ", "size": [1, 1], "pixels": b"x"}),
    "a frame of nothing": put("pandas-frame", "pandas:DataFrame", {}),
    "a zone from a path": put(
        "pandas-timestamp", "pandas:Timestamp", {"value": 0, "unit": "s", "zone": "datetime64[s, ../../etc/passwd]"}
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_is_refused(name: str) -> None:
    with pytest.raises(ValueUndecodable, match="cannot rebuild"):
        Reader({}.__getitem__).python(HOSTILE[name])


@given(cut=st.integers(0, 400), at=st.integers(0, 5000), byte=st.integers(0, 255))
def test_a_damaged_stream_is_refused_or_read(cut: int, at: int, byte: int) -> None:
    raw, _, reader, kept = told(pa.table({"a": list(range(99)), "t": ["x"] * 99, "l": [[1, 2]] * 99}))
    (large,) = [digest for digest, data in kept.items() if data.startswith(b"\xff\xff\xff\xff")]
    stream = bytearray(kept[large])
    stream[at % len(stream)] = byte
    kept[large] = bytes(stream[: len(stream) - cut])

    try:
        back = reader.python(raw)
    except ValueUndecodable:
        return
    assert back.num_columns == 3


UNIMPORTED = """
import sys
from msgspec import Raw
from agentrace.canonical import Reader
from agentrace.errors import ValueUndecodable
raw = Raw(bytes.fromhex(sys.argv[1]))
assert "$summary" in Reader({}.__getitem__).json(raw)
try:
    Reader({}.__getitem__).python(raw)
except ValueUndecodable as error:
    print(error.what)
assert sys.argv[2] not in sys.modules
"""


@pytest.mark.parametrize(
    ("value", "module"),
    [
        (np.arange(3), "numpy"),
        (pd.Series([1]), "pandas"),
        (pl.Series([1]), "polars"),
        (pa.array([1]), "pyarrow"),
        (Image.new("L", (2, 2)), "PIL"),
    ],
)
def test_reading_never_imports_a_library(value: Any, module: str) -> None:
    raw, *_ = told(value)
    code = [sys.executable, "-c", UNIMPORTED, bytes(raw).hex(), module]

    done = subprocess.run(code, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert f"has not imported {module}" in done.stdout


# --- the program's own values stay what they are -----------------------------------------------------------------


def test_an_image_that_is_not_loaded_stays_so() -> None:
    file = io.BytesIO()
    Image.new("RGB", (9, 9), (1, 2, 3)).save(file, "PNG")
    image = Image.open(io.BytesIO(file.getvalue()))
    before = image.fp.tell()

    raw, fidelity, reader, _ = told(image)

    assert image.fp.tell() == before
    assert fidelity == "structural"
    back = reader.python(raw)
    assert (type(back), back.format) == (Image.Image, "PNG")
    assert back.tobytes() == image.tobytes()


def test_an_animation_is_only_described() -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])

    raw, fidelity, reader, _ = told(Image.open(io.BytesIO(file.getvalue())))

    assert fidelity == "opaque"
    assert "an animation of 2 frames" in str(reader.json(raw))


def test_arrays_that_cannot_be_written_are_recorded() -> None:
    array = np.arange(1000.0)
    array.flags.writeable = False

    raw, fidelity, reader, kept = told(array)

    assert fidelity == "exact"
    assert reader.python(raw).flags.writeable
    assert blake3(max(kept.values(), key=len)).digest() in kept
