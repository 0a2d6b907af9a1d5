"""Frames and series of polars: one Arrow stream without the columns that hold text, and the texts cell by cell.

The stream has every column with its type; one that holds text is empty in it.
"""

from __future__ import annotations

import io
import sys
from typing import Any, Final

from agentrace.canonical.foreign import LARGEST, Part, Untold
from agentrace.canonical.foreign.arrow_stream import require_uncompressed

_TEXTS: Final = frozenset({"String", "Utf8", "Binary", "Categorical", "Enum"})
_NUMBERS: Final = frozenset(
    {f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)}
    | {"Float16", "Float32", "Float64", "Decimal", "Boolean", "Date", "Datetime", "Time", "Duration", "Null"}
)
_NESTED: Final = frozenset({"List", "Array", "Struct"})
_PLAIN_TEXTS: Final = frozenset({"String", "Utf8", "Binary"})


def take(part: Part, kind: str, value: Any) -> dict[str, Any]:
    """``stream``, and ``texts`` as pairs of a column's position and its cells."""
    frame = value if kind == "polars-frame" else value.to_frame()
    if frame.estimated_size() > LARGEST:
        raise Untold("it is larger than what a record takes in one piece")
    columns = frame.get_columns()
    places = [at for at, column in enumerate(columns) if _holds_text(column.dtype)]
    schema = _stream(frame.clear())
    if not part.is_clean(schema):
        raise Untold("a name in its schema holds a secret")
    polars: Any = sys.modules["polars"]
    if polars.read_ipc_stream(io.BytesIO(schema)).schema != frame.schema:
        part.structural()
    texts = [[at, _cells(part, columns[at])] for at in places]
    numbers = frame.with_columns([columns[at].clear(frame.height) for at, _ in texts]) if texts else frame
    stream = _stream(numbers)
    if any("Int8" in str(dtype) for dtype in frame.dtypes) and not part.is_clean(stream):
        raise Untold("its numbers are the bytes of a text that holds a secret")
    told = {"shape": list(frame.shape), "dtypes": part.tree([str(dtype) for dtype in frame.dtypes])}
    return {**told, "columns": part.tree(frame.columns), "stream": part.raw(stream), "texts": texts}


def build(kind: str, _: str, fields: dict[str, Any]) -> Any:
    """The stream with the texts in their columns."""
    polars: Any = sys.modules["polars"]
    require_uncompressed(fields["stream"])
    frame = polars.read_ipc_stream(io.BytesIO(fields["stream"]))
    for at, cells in fields["texts"]:
        column = frame.to_series(at)
        if len(cells) != frame.height:
            raise ValueError("its texts do not fill a column")
        frame = frame.replace_column(at, polars.Series(column.name, cells, dtype=column.dtype))
    return frame if kind == "polars-frame" else frame.to_series(0)


def _stream(frame: Any) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression="uncompressed")
    return buffer.getvalue()


def _holds_text(dtype: Any) -> bool:
    name = _name(dtype)
    if name in _NESTED:
        inner = [field.dtype for field in dtype.fields] if name == "Struct" else [dtype.inner]
        return any(map(_holds_text, inner))
    if name not in _TEXTS and name not in _NUMBERS:
        raise Untold(f"nothing is known of columns of the type {dtype}")
    return name in _TEXTS


def _name(dtype: Any) -> str:
    """A dtype is a class where it has no parameters, in some versions."""
    return (dtype if isinstance(dtype, type) else type(dtype)).__name__


def _cells(part: Part, column: Any) -> Any:
    cells = column.to_list()
    if _name(column.dtype) not in _PLAIN_TEXTS:
        polars: Any = sys.modules["polars"]
        again = polars.Series(column.name, cells, dtype=column.dtype)
        if not again.equals(column, check_dtypes=True, check_names=True, null_equal=True):
            raise Untold(f"a column of the type {column.dtype} does not come back as it was")
    return part.cells(cells, column.name)
