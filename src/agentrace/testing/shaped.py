"""Values that satisfy a JSON schema, for answers that must have a shape.

Understood: types, enum, const, anyOf, oneOf, allOf, $ref, bounds of numbers, strings and arrays, and the
common formats. ``pattern``, ``not`` and ``uniqueItems`` are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .mint import Mint

_DEEP = 6
"""From this depth on a recursive schema is ended: arrays stay empty and what may be null is null."""

_BOTTOM = 60
_MOST = 5000
"""A schema that wants to go deeper, or to have more values, hardly has a finite one: the rest is null."""

_FORMATS: dict[str, Callable[[Mint], str]] = {
    "date-time": lambda mint: f"2026-0{mint.whole(1, 9)}-{mint.whole(10, 28)}T0{mint.whole(0, 9)}:30:00Z",
    "date": lambda mint: f"2026-0{mint.whole(1, 9)}-{mint.whole(10, 28)}",
    "time": lambda mint: f"0{mint.whole(0, 9)}:30:00Z",
    "duration": lambda mint: f"PT{mint.whole(1, 59)}M",
    "email": lambda mint: f"{mint.letters(8).lower()}@example.com",
    "hostname": lambda mint: f"{mint.letters(8).lower()}.example.com",
    "uri": lambda mint: f"https://example.com/{mint.letters(8)}",
    "ipv4": lambda mint: f"192.0.2.{mint.whole(1, 254)}",
    "ipv6": lambda mint: f"2001:db8::{mint.hex(4)}",
    "uuid": lambda mint: f"{mint.hex(8)}-{mint.hex(4)}-4{mint.hex(3)}-a{mint.hex(3)}-{mint.hex(12)}",
}


def shaped(schema: dict[str, Any], mint: Mint) -> Any:
    """A value that ``schema`` accepts; an empty schema gives a few words."""
    return _Shaper(schema, mint).value(schema, 0)


class _Shaper:
    """One walk over one schema, whose definitions are found from its root."""

    def __init__(self, root: dict[str, Any], mint: Mint) -> None:
        self._root = root
        self._mint = mint
        self._made = 0

    def value(self, schema: Any, depth: int) -> Any:
        self._made += 1
        if depth >= _BOTTOM or self._made > _MOST:
            return None
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._mint.pick(tuple(schema["enum"]))
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return self._one_of(options, depth)
        return (_BY_TYPE.get(self._kind(schema, depth)) or _BY_TYPE["string"])(self, schema, depth)

    def _resolved(self, schema: Any) -> dict[str, Any]:
        seen = 0
        while isinstance(schema, dict) and "$ref" in schema and seen < _BOTTOM:
            rest = {key: part for key, part in schema.items() if key != "$ref"}
            schema, seen = {**self._referred(str(schema["$ref"])), **rest}, seen + 1
        whole: dict[str, Any] = schema if isinstance(schema, dict) else {}
        for part in map(self._resolved, whole.get("allOf", ())):
            both = {**whole.get("properties", {}), **part.get("properties", {})}
            whole = {**part, **whole, **({"properties": both} if both else {})}
        return whole

    def _referred(self, pointer: str) -> Any:
        target: Any = self._root
        for step in filter(None, pointer.removeprefix("#").split("/")):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        return target

    def _one_of(self, options: list[Any], depth: int) -> Any:
        if depth >= _DEEP:  # the option least likely to go deeper: null, then whatever refers to nothing
            options = sorted(options, key=_depth_promised)
        return self.value(options[0], depth + 1)

    def _kind(self, schema: dict[str, Any], depth: int) -> str:
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = "null" if depth >= _DEEP and "null" in kind else kind[0]
        return str(kind)

    def object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        wanted = schema.get("required", ()) if depth >= _DEEP else properties
        return {name: self.value(properties.get(name), depth + 1) for name in wanted}

    def array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(least, 2)))
        count = least if depth >= _DEEP else max(least, min(most, 2))
        fixed = schema.get("prefixItems", ())[:count]
        rest = [schema.get("items")] * (count - len(fixed))
        return [self.value(item, depth + 1) for item in (*fixed, *rest)]

    def string(self, schema: dict[str, Any], _depth: int) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]](self._mint)
        text = self._mint.words()
        while len(text) < int(schema.get("minLength", 0)):
            text = f"{text} {self._mint.words()}"
        return text[: int(schema.get("maxLength", len(text)))]

    def integer(self, schema: dict[str, Any], _depth: int) -> int:
        step = int(schema.get("multipleOf", 1))
        low, high = self._bounds(schema, 1)
        first = math.ceil(low / step)
        return step * self._mint.whole(first, max(first, math.floor(high / step)))

    def number(self, schema: dict[str, Any], _depth: int) -> float:
        low, high = self._bounds(schema, 0)
        step = float(schema.get("multipleOf", 0))
        return step * math.ceil(low / step) if step else low + (high - low) * self._mint.whole(1, 99) / 100

    def boolean(self, _schema: dict[str, Any], _depth: int) -> bool:
        return self._mint.pick((True, False))

    def null(self, _schema: dict[str, Any], _depth: int) -> None:
        return None

    def _bounds(self, schema: dict[str, Any], step: int) -> tuple[float, float]:
        low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf - step) + step)
        high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf + step) - step)
        if math.isinf(low):
            low = min(0, high - 100) if not math.isinf(high) else 0
        return low, (low + 100 if math.isinf(high) else high)


def _depth_promised(option: Any) -> int:
    if not isinstance(option, dict):
        return 1
    return 0 if option.get("type") == "null" else 2 if "$ref" in option else 1


_BY_TYPE: dict[str, Callable[[_Shaper, dict[str, Any], int], Any]] = {
    "object": _Shaper.object,
    "array": _Shaper.array,
    "string": _Shaper.string,
    "integer": _Shaper.integer,
    "number": _Shaper.number,
    "boolean": _Shaper.boolean,
    "null": _Shaper.null,
}
