"""Arrays, frames, images and buffers: recorded once, read back equal, told in a line, and only by a program that has
their library."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agentrace.canonical import Encoder, Reader
from agentrace.canonical.foreign_json import SUMMARY
from agentrace.errors import ValueUndecodable
from agentrace.redact import redactor
from tests.unit.library_values import Kept, same, told, values

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
        (pl.Series([object()], dtype=pl.Object), "nothing is known of columns of the type Object"),
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


def test_an_image_that_was_drawn_on_is_what_it_is_now() -> None:
    file = io.BytesIO()
    Image.new("RGB", (3, 3), (1, 2, 3)).save(file, "PNG")
    image = Image.open(io.BytesIO(file.getvalue()))
    image.load()
    image.putpixel((1, 1), (9, 9, 9))
    image.fp = io.BytesIO(file.getvalue())  # some formats keep theirs open

    raw, _, reader, _ = told(image)

    assert reader.python(raw).getpixel((1, 1)) == (9, 9, 9)


def test_asking_for_its_fill_value_does_not_give_it_one() -> None:
    array = np.ma.array([1.0, 2.0])

    told(array)

    assert array._fill_value is None


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
