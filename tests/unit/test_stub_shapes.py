"""Values made from a JSON schema: they satisfy it, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from enum import Enum
from random import Random
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen, MultipleOf
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter

from agentrace.testing.mint import Mint
from agentrace.testing.shaped import shaped


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Tree(BaseModel):
    name: str
    left: Tree | None
    children: list[Tree]


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: Annotated[float, Gt(0), Lt(1)]


class Everything(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: Colour
    shape: Circle | int
    born: date
    seen: datetime
    key: UUID
    nothing: None
    yes: bool
    pair: tuple[int, str]
    codes: Annotated[list[Annotated[int, Ge(10), Le(12)]], Len(3, 5)]
    none_of_them: Annotated[list[int], MaxLen(0)]
    long: Annotated[str, MinLen(200)]
    short: Annotated[str, MaxLen(3)]
    even: Annotated[int, MultipleOf(2), Ge(3)]
    quarter: Annotated[float, MultipleOf(0.25), Ge(0.3)]
    below: Annotated[int, Lt(-1000)]
    anything: Any
    maybe: int | None = None


TYPES: Sequence[Any] = (Everything, Tree, Colour, Circle, list[Tree], dict[str, Tree], bool, int, float, str)


def made(schema: dict[str, Any], seed: int = 0) -> Any:
    return shaped(schema, Mint(Random(seed), 0))


@given(st.sampled_from(TYPES), st.integers())
def test_a_value_satisfies_its_schema(kind: Any, seed: int) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    value = made(adapter.json_schema(), seed)

    adapter.validate_json(json.dumps(value), strict=True)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 3}, 3),
        ({"enum": ["only"]}, "only"),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": 1, "b": 2},
        ),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}}, [1, 2]),
        ({"type": "array", "items": {"const": 2}, "maxItems": 1}, [2]),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 4}}}, 4),
        ({"type": ["null", "string"]}, None),
        ({"type": "object"}, {}),
        ({"oneOf": [{"const": 5}, {"const": 6}]}, 5),
        ({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6}, 5),
        ({"type": "string", "maxLength": 0}, ""),
        ({"type": "string", "const": "x", "enum": ["y"]}, "x"),
        ({"type": "array", "items": {"anyOf": [{"const": 7}, True]}, "minItems": 3}, [7, 7, 7]),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"const": 8}}}, 8),
    ],
)
def test_a_schema_with_one_value_gets_it(schema: dict[str, Any], value: Any) -> None:
    assert made(schema) == value


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": "array", "minItems": 1, "items": {"$ref": "#"}},
        {"type": "array", "minItems": 9, "items": {"$ref": "#"}},
    ],
)
def test_a_schema_without_a_finite_value_ends_all_the_same(schema: dict[str, Any]) -> None:
    assert len(json.dumps(made(schema))) < 50_000


def test_the_value_follows_from_the_seed() -> None:
    schema = Everything.model_json_schema()

    assert made(schema, 1) == made(schema, 1) != made(schema, 2)
