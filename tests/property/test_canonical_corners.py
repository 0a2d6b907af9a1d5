"""Values that chance seldom finds: texts of paths, what refuses to be true or false, sets within sets."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import pytest

from agentrace.canonical import Encoder, Reader
from agentrace.redact import redactor
from tests.property.canonical_models import same
from tests.property.test_canonical import Payloads, codec

WINDOWS_PATHS = [
    "./c:",
    "./c:x",
    "./c:/x",
    "//server/",
    "//server/share",
    "//server/share/x",
    "//?/c:/x",
    "c:x",
    "/x",
    "",
    "A/b",
]


@pytest.mark.parametrize("text", WINDOWS_PATHS)
def test_a_windows_path_comes_back_whatever_its_text_is_read_as(text: str) -> None:
    encoder, reader = codec()
    path = pathlib.PureWindowsPath(text)

    data, fidelity = encoder.encode([path])

    assert fidelity == "exact"
    (read,) = reader.python(data)
    assert (read.drive, read.root, read.parts) == (path.drive, path.root, path.parts)


@dataclasses.dataclass
class Undecided:
    a: int

    def __bool__(self) -> bool:
        raise ValueError("neither true nor false")


@pytest.mark.parametrize("value", [Undecided(1), NotImplemented], ids=repr)
@pytest.mark.parametrize("beside", ["k", 1.5], ids=repr)
@pytest.mark.filterwarnings("error:NotImplemented:DeprecationWarning")
def test_no_value_is_asked_whether_it_is_true(value: Any, beside: Any) -> None:
    payloads = Payloads()
    told = {"password": value, beside: value}

    data, fidelity = Encoder(redactor("strict"), payloads).encode(told)

    assert fidelity == "exact"
    assert same(Reader(payloads.get_payload).python(data), told)


def test_sets_are_the_same_only_if_their_elements_are() -> None:
    nan, other_nan = float("nan"), float("nan")
    inner, outer = {frozenset({1}), frozenset()}, {frozenset(), frozenset({1})}

    assert same(inner, outer)
    assert same({nan, 1}, {1, other_nan})
    assert not same(inner, {frozenset({1}), frozenset({2})})
    assert not same({frozenset({1})}, {frozenset()})
    assert not same({1, 2}, {1})
    assert not same({1}, {True})
