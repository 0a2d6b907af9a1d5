"""Tables, batches and arrays of pyarrow: one Arrow stream without the columns that hold text, and the texts cell by
cell. The stream has every column with its type; one that holds text is empty in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from agentrace.canonical.foreign import LARGEST, Part, Untold
from agentrace.canonical.foreign.arrow_stream import require_uncompressed

_PLAIN_TEXTS: Final = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")


def take(part: Part, kind: str, value: Any) -> dict[str, Any]:
    """``stream``, and ``texts`` as pairs of a column's position and its cells."""
    arrow: Any = sys.modules["pyarrow"]
    if kind in ("arrow-array", "arrow-chunked"):
        table = arrow.Table.from_arrays([value], names=[""])
    else:
        table = value if kind == "arrow-table" else arrow.Table.from_batches([value])
    if table.nbytes > LARGEST:
        raise Untold("it is larger than what a record takes in one piece")
    schema = table.schema
    if not part.is_clean(schema.serialize().to_pybytes()):
        raise Untold("a name or metadata in its schema holds a secret")
    texts: list[Any] = []
    for at, field in enumerate(schema):
        if _holds_text(arrow, field.type):
            texts.append([at, _cells(part, arrow, field, table.column(at))])
            table = table.set_column(at, field.with_nullable(True), arrow.nulls(table.num_rows, field.type))
    stream = _stream(arrow, table)
    octets = any(_is_octet(arrow, inner) for type_ in schema.types for inner in _types(arrow, type_))
    if octets and not part.is_clean(stream):
        raise Untold("its numbers are the bytes of a text that holds a secret")
    told = {"shape": list(table.shape), "dtypes": part.tree([str(type_) for type_ in schema.types])}
    told |= {"required": [at for at, _ in texts if not schema.field(at).nullable]}
    return {**told, "columns": part.tree(schema.names), "stream": part.raw(stream), "texts": texts}


def build(kind: str, _: str, fields: dict[str, Any]) -> Any:
    """The stream with the texts in their columns."""
    arrow: Any = sys.modules["pyarrow"]
    require_uncompressed(fields["stream"])
    table = arrow.ipc.open_stream(arrow.py_buffer(fields["stream"])).read_all()
    table.validate(full=True)  # what a file says of itself may lead outside of it
    for at, cells in fields["texts"]:
        field = table.schema.field(at)
        if len(cells) != table.num_rows:
            raise ValueError("its texts do not fill a column")
        told = field.with_nullable(at not in fields["required"])
        table = table.set_column(at, told, arrow.chunked_array([arrow.array(cells, type=field.type)]))
    if kind == "arrow-table":
        return table
    if kind == "arrow-chunked":
        return table.column(0)
    columns = [column.combine_chunks() for column in table.columns]
    return columns[0] if kind == "arrow-array" else arrow.RecordBatch.from_arrays(columns, schema=table.schema)


def _stream(arrow: Any, table: Any) -> bytes:
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _holds_text(arrow: Any, type_: Any) -> bool:
    return any(_is_text(arrow, inner) for inner in _types(arrow, type_))


def _types(arrow: Any, type_: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield type_
    if isinstance(type_, arrow.BaseExtensionType):
        yield from _types(arrow, type_.storage_type)
    elif arrow.types.is_dictionary(type_) or arrow.types.is_run_end_encoded(type_):
        yield from _types(arrow, type_.value_type)
    elif arrow.types.is_union(type_):
        raise Untold("nothing is known of unions")
    elif arrow.types.is_nested(type_):
        for at in range(type_.num_fields):
            yield from _types(arrow, type_.field(at).type)
    elif not (_is_text(arrow, type_) or any(known(type_) for known in _numbers(arrow))):
        raise Untold(f"nothing is known of columns of the type {type_}")


def _numbers(arrow: Any) -> tuple[Any, ...]:
    return arrow.types.is_primitive, arrow.types.is_boolean, arrow.types.is_null, arrow.types.is_decimal


def _is_text(arrow: Any, type_: Any) -> bool:
    return arrow.types.is_fixed_size_binary(type_) or str(type_) in _PLAIN_TEXTS


def _is_octet(arrow: Any, type_: Any) -> bool:
    return bool(arrow.types.is_uint8(type_) or arrow.types.is_int8(type_))


def _cells(part: Part, arrow: Any, field: Any, column: Any) -> Any:
    cells = column.to_pylist()
    if str(field.type) not in _PLAIN_TEXTS:
        again = arrow.chunked_array([arrow.array(cells, type=field.type)])
        if not again.equals(column.unify_dictionaries()):
            raise Untold(f"a column of the type {field.type} does not come back as it was")
    return part.cells(cells, field.name)
