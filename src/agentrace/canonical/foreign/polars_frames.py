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
_PLAIN_TEXTS: Final = frozenset({"String", "Utf8", "Binary"})


def take(part: Part, kind: str, value: Any) -> dict[str, Any]:
    """``stream``, and ``texts`` as pairs of a column's position and its cells."""
    frame = value if kind == "polars-frame" else value.to_frame()
    if frame.estimated_size() > LARGEST:
        raise Untold("it is larger than what a record takes in one piece")
    if not part.is_clean(_stream(frame.clear())):
        raise Untold("a name in its schema holds a secret")
    columns = frame.get_columns()
    texts = [[at, _cells(part, column)] for at, column in enumerate(columns) if _holds_text(column.dtype)]
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
    name = type(dtype).__name__
    if name in ("Object", "Unknown"):
        raise Untold("it holds objects that polars knows nothing of")
    inner = getattr(dtype, "inner", None)
    fields = getattr(dtype, "fields", ())
    return name in _TEXTS or (inner is not None and _holds_text(inner)) or any(_holds_text(f.dtype) for f in fields)


def _cells(part: Part, column: Any) -> Any:
    cells = column.to_list()
    if type(column.dtype).__name__ not in _PLAIN_TEXTS:
        polars: Any = sys.modules["polars"]
        again = polars.Series(column.name, cells, dtype=column.dtype)
        if not again.equals(column, check_dtypes=True, check_names=True, null_equal=True):
            raise Untold(f"a column of the type {column.dtype} does not come back as it was")
    return part.cells(cells, column.name)
