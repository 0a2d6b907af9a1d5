"""src/agentrace/index/sql/event_views.sql: one typed view of the index for each type of event, made from events.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import UnionType
from typing import Any, get_args

import msgspec
from msgspec import Raw, Struct

from agentrace.events import EVENT_TYPES

HEAD = """\
-- Made by `make docs` from src/agentrace/events.py: change it there.
-- One view for each type of event, with a column for each of its fields; what an event does not tell has its default.
-- Values of the program are JSON; those of more than 200 characters stand in short: {"$short": ..., "characters": ...}.
"""
_TYPES: dict[Any, str] = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", bytes: "VARCHAR"}


def event_views() -> str:
    """The whole file."""
    return HEAD + "".join(f"\n{_view(kind)}" for kind in EVENT_TYPES)


def view_name(kind: type[Struct]) -> str:
    """``workflow_started`` of ``WorkflowStarted``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _view(kind: type[Struct]) -> str:
    name = view_name(kind)
    first = re.split(r"(?<=[.:;]) ", " ".join((kind.__doc__ or "").split()))[0]
    columns = ",\n".join(_columns(kind))
    said = f"-- {first}\n" if first else ""
    return (
        f"-- name: {name}\n{said}CREATE VIEW {name} AS\nSELECT\n    run_id, seq, step_id, time"
        f"{',' if columns else ''}\n{columns}{chr(10) if columns else ''}FROM events WHERE type = '{kind.__name__}';\n"
    )


def _columns(kind: type[Struct]) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        if field.name in ("seq", "step_id", "ts"):
            continue
        yield f'    {_told(field)} AS "{field.name}"'


def _told(field: msgspec.structs.FieldInfo) -> str:
    plain: Any = field.type
    if isinstance(plain, UnionType):
        plain = next(one for one in get_args(plain) if one is not type(None))
    if plain == list[str]:
        return f"coalesce((body::JSON -> '$.{field.name}')::VARCHAR[], [])"
    if plain not in _TYPES:
        return f"body::JSON -> '$.{field.name}'"
    found = f"(body::JSON ->> '$.{field.name}')::{_TYPES[plain]}"
    default = _default(field)
    return found if default is None else f"coalesce({found}, {default})"


def _default(field: msgspec.structs.FieldInfo) -> str | None:
    value: Any = field.default
    if value is msgspec.NODEFAULT or value is None or isinstance(value, Raw):
        return None
    if isinstance(value, (bool, int, float)):
        return str(value).upper()
    return "'" + (value.hex() if isinstance(value, bytes) else str(value)).replace("'", "''") + "'"
