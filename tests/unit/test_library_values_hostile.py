"""Arrays, frames and images with secrets in them, and records of such values that nobody wrote in good faith."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.msgpack import Ext, encode
from PIL import Image, PngImagePlugin

from agentrace.archive import TraceFile, export
from agentrace.archive.redaction import redacting
from agentrace.canonical import Reader, tags
from agentrace.errors import ValueUndecodable
from agentrace.query import Runs
from agentrace.redact import redactor
from tests.unit.library_values import Kept, told
from tests.unit.recorded_runs import Process

KEY = "sk-proj-Abc123Def456Ghi789Jkl012Mno345Pqr678Stu901"
"""A key as a provider issues it."""


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
        "arrow octets": pa.array(list(text.encode()), type=pa.uint8()),
        "arrow lists of octets": pa.array([list(text.encode())], type=pa.list_(pa.int8())),
        "arrow fields": pd.Series([{text: 1}], dtype=pd.ArrowDtype(pa.struct([(text, pa.int64())]))),
        "polars octets": pl.Series([list(text.encode())], dtype=pl.List(pl.UInt8)),
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


def test_an_export_with_a_stricter_profile_takes_more_out(tmp_path: Path) -> None:
    process, address = Process(tmp_path / "store"), "anna.smith@example.org"
    run = process.run("mail")
    given = {
        "frame": pd.DataFrame({"mail": [address], "n": [1.5]}),
        "polars": pl.DataFrame({"mail": [address]}),
        "texts": np.array([address]),
        "numbers": np.random.default_rng(0).random(1000),
    }
    run.done(run.step("tool", "send", 1, given), 2, given)
    run.end(3)
    process.close()

    runs, file = Runs(tmp_path / "store"), tmp_path / "mail.agentrace"
    export(runs, runs.ids, file, redacting(redactor("strict")))

    record = Runs(TraceFile(file)).record(runs.ids[0])
    found = record.values.python(record.trace.steps[1].ended.output)
    for text in (found["frame"]["mail"][0], found["polars"]["mail"][0], found["texts"][0]):
        assert text == "⟨redacted:email⟩"
    assert found["frame"]["n"][0] == 1.5
    assert (found["numbers"] == given["numbers"]).all()


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
    "more than there is room for": put(
        "numpy-array",
        "numpy:ndarray",
        {"npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", bytes(800))},
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
from agentrace.query import Runs
from agentrace.redact import redactor
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
