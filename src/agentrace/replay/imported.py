"""Calls answered from a run that was imported: of a cassette, which knows requests and not who made them.

Places and order are not in such a record, so a call is the first unanswered one that asks for the same. What a request
asked for is known from the wire alone, so it is compared as a wire tells it: bodies as JSON, which recorders write
anew, and parameters of the query as texts, among which are those that a client adds to all its requests.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec.structs import replace

from agentrace.capture.requests import asked, same
from agentrace.capture.step import Step
from agentrace.replay.calls import Call, alike

PLACE: Final = "|"
"""The one flow of an imported run."""
_QUERY: Final = "$query"
_BARE: Final = frozenset({"method", "url", "body"})
"""The input of a call that is a request and nothing more."""


def executed(step: Step) -> str:
    """Let a function of the program run, since a cassette knows nothing of it; the caveat to be told."""
    step.spec = replace(step.spec, replay="reexecute")
    return f"TOOL_EXECUTED: {step.spec.kind} {step.spec.name} ran, since a cassette holds no calls of functions"


def brought_up(cursor: list[Call], asked: tuple[str, str, str], fits: Callable[[Call], bool]) -> list[Call]:
    """The recorded calls that are left, the last of which is next: the first that fits, else the first alike."""
    order = range(len(cursor) - 1, -1, -1)
    at = next((at for at in order if fits(cursor[at])), None)
    if at is None:
        at = next((at for at in order if cursor[at].asked[:2] == asked[:2]), None)
    if at is not None:
        cursor.append(cursor.pop(at))
    return cursor


def alike_on_the_wire(recorded: Any, live: Any) -> bool:
    """Whether two inputs, as JSON, are those of the same request as far as a wire can tell."""
    if alike(recorded, live):
        return True
    if not isinstance(recorded, Mapping) or not isinstance(live, Mapping):
        return False
    if recorded.keys() == _BARE == live.keys():
        return _same_place(recorded, live) and alike(_content(recorded["body"]), _content(live["body"]))
    if not _added(recorded.get(_QUERY), live.get(_QUERY)):
        return False
    return alike(*({name: one[name] for name in one if name != _QUERY} for one in (recorded, live)))


def _same_place(recorded: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    one, other = (asked(str(told["method"]), str(told["url"])) for told in (recorded, live))
    return same(one, other, "", [one.host])


def _added(recorded: Any, live: Any) -> bool:
    """Whether a client may have added what is in the recorded query and not in the call."""
    left = _parameters(recorded)
    for pair in _parameters(live):
        if pair not in left:
            return False
        left.remove(pair)
    return True


def _parameters(told: Any) -> list[tuple[str, str]]:
    if isinstance(told, Mapping):
        told = urlencode({name: _spelled(value) for name, value in told.items()}, doseq=True)
    return parse_qsl(told, keep_blank_values=True) if isinstance(told, str) else []


def _spelled(value: Any) -> Any:
    """A parameter as clients spell it."""
    if isinstance(value, bool):
        return str(value).lower()
    return list(map(_spelled, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _content(body: Any) -> Any:
    """A body as JSON data where it is JSON, else as it is."""
    data = body
    if isinstance(body, Mapping) and len(body) == 1:
        if isinstance(body.get("$bytes"), str):
            data = body["$bytes"].encode()
        elif isinstance(body.get("$base64"), str):
            data = binascii.a2b_base64(body["$base64"])
    if not isinstance(data, bytes):
        return body
    try:
        return {"$json": msgspec.json.decode(data)}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
