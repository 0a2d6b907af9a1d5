"""Arrays and scalars of numpy: numbers as an ``.npy`` file without pickle, texts and objects cell by cell."""

from __future__ import annotations

import io
import math
import re
import sys
from typing import Any, Final

from agentrace.canonical.foreign import LARGEST, Part, Untold

_NUMBERS: Final = frozenset("biufcMm")
"""Kinds of dtypes whose bytes are numbers."""
_SIMPLE: Final = re.compile(r"[<>=|]?[a-zA-Z]+\d*(?:\[\d*[a-zA-Zμ]*\])?")
"""How a dtype without fields is spelled. What else numpy would make of a text, it is not asked."""


def take(part: Part, kind: str, value: Any) -> dict[str, Any]:
    """An array as ``npy``, ``cells`` or ``fields``; a scalar as its value; a masked array as two arrays."""
    if kind == "numpy-masked":
        return _masked(part, value)
    return _scalar(part, value) if kind == "numpy-scalar" else _array(part, value)


def build(kind: str, _: str, fields: dict[str, Any]) -> Any:
    """A fresh, writable array in the recorded order of its elements in memory."""
    numpy: Any = sys.modules["numpy"]
    if kind == "numpy-scalar":
        return _built_scalar(numpy, fields)
    if kind == "numpy-array":
        return _built(numpy, fields)
    masked: Any = sys.modules["numpy.ma"]
    mask = masked.nomask if fields["mask"] is None else fields["mask"]
    fill = fields["fill"]
    array = masked.MaskedArray(fields["data"], mask=mask, hard_mask=fields["hard"])
    if fill is not None:
        array.set_fill_value(fill[()])
    return array


# --- taking apart -------------------------------------------------------------------------------------------


def _array(part: Part, value: Any) -> dict[str, Any]:
    numpy: Any = sys.modules["numpy"]
    array = value if type(value) is numpy.ndarray else numpy.asarray(value)
    dtype = array.dtype
    if array.nbytes > LARGEST:
        raise Untold(f"{array.nbytes:,} bytes are more than a record takes in one piece")
    if dtype.metadata is not None:
        raise Untold("its dtype has metadata")
    told = {"dtype": str(dtype), "shape": list(array.shape)}
    if dtype.names is None and dtype.kind in _NUMBERS:
        npy = _npy(numpy, array)
        if dtype.itemsize == 1 and dtype.kind != "b" and _is_text(npy) and not part.is_clean(npy):
            raise Untold("its numbers are the bytes of a text that holds a secret")
        return {**told, "npy": part.raw(npy)}
    if dtype.names is not None:
        told["dtype"] = part.tree(_descr(numpy, dtype))
        return {**told, "fields": {part_name(part, name): part.tree(array[name]) for name in dtype.names}}
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    if dtype.kind == "T" and dtype != numpy.dtypes.StringDType():
        raise Untold("its texts have a value of their own for what is missing")
    return {**told, "order": order, "cells": part.cells(array.ravel(order=order).tolist())}


def part_name(part: Part, name: str) -> str:
    """A name that stands beside values; one that is a secret is not told."""
    if part.tree(name) != name:
        raise Untold("the name of a field holds a secret")
    return name


def _npy(numpy: Any, array: Any) -> bytes:
    """The array in numpy's file format; its elements are copied once."""
    contiguous = array.flags.c_contiguous or array.flags.f_contiguous
    array = array if contiguous else array.copy(order="C")
    header = io.BytesIO()
    numpy.lib.format.write_array_header_1_0(header, numpy.lib.format.header_data_from_array_1_0(array))
    elements = array if array.flags.c_contiguous else array.T
    return b"".join((header.getvalue(), elements.reshape(-1).view(numpy.uint8)))


def _is_text(data: bytes) -> bool:
    try:
        data[10:].decode()  # behind what begins every such file
    except UnicodeDecodeError:
        return False
    return True


def _descr(numpy: Any, dtype: Any) -> Any:
    if dtype.hasobject or dtype.subdtype is not None:
        raise Untold("its fields are objects or arrays")
    told = numpy.lib.format.dtype_to_descr(dtype)
    if numpy.lib.format.descr_to_dtype(told) != dtype:
        raise Untold("its dtype has no spelling")
    return told


def _scalar(part: Part, value: Any) -> dict[str, Any]:
    numpy: Any = sys.modules["numpy"]
    dtype = value.dtype
    if dtype.names is not None or dtype.kind == "V":
        return {"dtype": "V", "value": part.tree(numpy.asarray(value))}
    told: dict[str, Any] = {"dtype": str(dtype)}
    if dtype.kind in "Mm":
        return {**told, "value": str(value), "number": int(value.view("i8"))}
    plain = value.item()
    if type(plain) in (bool, int, float, complex, str, bytes):
        return {**told, "value": part.tree(plain)}
    return {**told, "value": str(value), "npy": part.raw(_npy(numpy, numpy.asarray(value)))}


def _masked(part: Part, value: Any) -> dict[str, Any]:
    masked: Any = sys.modules["numpy.ma"]
    numpy: Any = sys.modules["numpy"]
    mask = masked.getmask(value)
    return {
        "data": part.tree(masked.getdata(value, subok=False)),
        "mask": None if mask is masked.nomask else part.tree(numpy.asarray(mask)),
        "fill": part.tree(numpy.asarray(value.view().fill_value)),  # asked for, it is set
        "hard": bool(value.hardmask),
    }


# --- putting together ---------------------------------------------------------------------------------------


def _built(numpy: Any, fields: dict[str, Any]) -> Any:
    if "npy" in fields:
        return _from_npy(numpy, fields["npy"])
    shape = tuple(map(int, fields["shape"]))
    if min(shape, default=0) < 0:
        raise ValueError("a length is negative")
    if "fields" in fields:
        dtype = numpy.lib.format.descr_to_dtype(fields["dtype"])
        _require(math.prod(shape) * max(1, dtype.itemsize) <= LARGEST, "its fields are larger than they can be")
        array = numpy.zeros(shape, dtype)
        for name in dtype.names:
            array[name] = fields["fields"][name]
        return array
    cells = fields["cells"]
    _require(math.prod(shape) == len(cells), "its cells do not fill its shape")
    return _from_cells(numpy, _dtype(numpy, fields["dtype"]), cells).reshape(shape, order=fields["order"])


def _from_cells(numpy: Any, dtype: Any, cells: list[Any]) -> Any:
    if dtype.kind == "O":
        array = numpy.empty(len(cells), object)
        for at, cell in enumerate(cells):
            array[at] = cell
        return array
    _require(dtype.kind in "USVT", "its cells are no texts")
    if dtype.kind != "T":
        # What stands for a secret may be longer than the secret was.
        widest = max(map(len, cells), default=0) * (4 if dtype.kind == "U" else 1)
        _require(len(cells) * max(widest, dtype.itemsize) <= LARGEST, "its texts are wider than they can be")
        if widest > dtype.itemsize:
            dtype = numpy.dtype((dtype.type, widest // (4 if dtype.kind == "U" else 1)))
    return numpy.array(cells, dtype)


def _from_npy(numpy: Any, data: bytes) -> Any:
    file, form = io.BytesIO(data), numpy.lib.format
    _require(form.read_magic(file) == (1, 0), "its version is unknown")
    shape, fortran, dtype = form.read_array_header_1_0(file)
    start = file.tell()
    _require(dtype.kind in _NUMBERS and dtype.names is None, "its elements are no numbers")
    _require(all(length >= 0 for length in shape), "a length is negative")
    _require(math.prod(shape) * dtype.itemsize == len(data) - start, "its elements do not fill its shape")
    return numpy.ndarray(shape, dtype, bytearray(memoryview(data)[start:]), order="F" if fortran else "C")


def _built_scalar(numpy: Any, fields: dict[str, Any]) -> Any:
    if fields["dtype"] == "V":
        return fields["value"][()]
    if "npy" in fields:
        return _from_npy(numpy, fields["npy"])[()]
    dtype = _dtype(numpy, fields["dtype"])
    if "number" in fields:
        return numpy.int64(fields["number"]).view(dtype)
    return numpy.array(fields["value"], dtype.type if dtype.kind in "US" else dtype)[()]


def _dtype(numpy: Any, text: str) -> Any:
    if text.startswith("StringDType"):
        return numpy.dtypes.StringDType()
    _require(_SIMPLE.fullmatch(text) is not None, f"{text!r} is no dtype")
    return numpy.dtype(text)


def _require(accepted: bool, otherwise: str) -> None:
    if not accepted:
        raise ValueError(otherwise)
