"""What a codec of the recorded program gave, made a value again by the codec of the running one."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct
from msgspec.structs import replace

from agentrace.canonical import Reader
from agentrace.capture.answers import Answer
from agentrace.capture.codec import Codec


class Given(Struct, frozen=True):
    """What a codec of this name gave for a value."""

    codec: str
    value: Any


class NotDecoded(Exception):
    """A value that the running program's codec does not make again; ``code`` is the divergence's."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def read(values: Reader, data: Raw) -> Any:
    """A recorded value, or :class:`Given`. Raises as ``Reader.python``."""
    found = values.coded(data)
    return values.python(data) if found is None else Given(*found)


def decoded(answer: Answer, codec: Codec | None) -> Answer:
    """The answer with what ``codec`` makes of its values. Raises :class:`NotDecoded`."""
    if not isinstance(answer.value, Given) and not any(isinstance(item, Given) for _, item, _ in answer.chunks):
        return answer
    chunks = [(op, _made(item, codec), random) for op, item, random in answer.chunks]
    return replace(answer, value=_made(answer.value, codec), chunks=chunks)


def _made(item: Any, codec: Codec | None) -> Any:
    if not isinstance(item, Given):
        return item
    if codec is None or codec.name != item.codec:
        now = "has none" if codec is None else f"has {codec.name}"
        raise NotDecoded("CODEC_CHANGED", f"the record was kept with the codec {item.codec}; the function now {now}")
    try:
        return codec.decode(item.value)
    except Exception as error:  # the program's own code, which is asked for something it cannot do
        why = f"the codec {codec.name} failed with {type(error).__name__}: {error}"
        raise NotDecoded("OUTPUT_UNDECODABLE", why) from error
