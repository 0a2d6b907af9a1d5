"""Which bare HTTP requests speak like a library that agentrace knows, whoever is asked: such a call is a model's.

The kind of a step has to be known when it is dispatched, so the request alone decides: its method, the end of its path
and the fields of its JSON. What the call meant is then read like that of the library which the request speaks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

import msgspec

from agentrace.capture.step import Spec
from agentrace.integrations.catalogue import integration, library_names
from agentrace.integrations.declaration import Shape
from agentrace.integrations.funnel import spec_of

Meant: TypeAlias = tuple[Spec, Any]
"""What is known of a call before it is made, and its input."""


def spoken(method: str, path: str, url: str, content: bytes | None) -> Meant | None:
    """The call that a request is, if it speaks like one of a known library."""
    if method != "POST" or not content:
        return None
    fitting = [(name, shape) for name, shape in _shapes() if path.endswith(shape.end)]
    body = _object(content) if fitting else None
    if body is None:
        return None
    for name, shape in fitting:
        if all(isinstance(body.get(field), kinds) for field, kinds in shape.fields.items()):
            streamed = ":stream" if body.get("stream") is True else ""
            query = url.partition("?")[2]
            told = {**body, "$query": query} if query else body
            return spec_of(name, shape.kind, f"{shape.end.strip('/')}{streamed}", True), told
    return None


@cache
def _shapes() -> tuple[tuple[str, Shape], ...]:
    """Every shape that is declared, by the name of its library."""
    found = ((name, integration(name)) for name in library_names())
    return tuple((name, shape) for name, declared in found if declared is not None for shape in declared.shapes)


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
