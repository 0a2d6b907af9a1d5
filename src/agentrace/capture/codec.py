"""Codecs of the program: how an output is kept that the canonical encoding could only describe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw, Struct

from agentrace.canonical.coded import coded, opaque
from agentrace.capture.guard import from_a_signal, say
from agentrace.errors import ConfigError

if TYPE_CHECKING:
    from agentrace.canonical import Encoder

CANONICAL: Final = "canonical/1"
"""What stands in a record in the place of a codec's name where there is none."""


class Codec(Struct, frozen=True):
    """How an output is kept that a record could otherwise only describe: ``@agentrace.tool(codec=Codec(...))``.

    The record tells the codec's name. Nothing that reads a record runs ``decode``; on a replay the running program's
    own decorated function brings it. What ``encode`` gives is redacted like every value, so bytes should not be
    compressed or encrypted if they may hold secrets.

    Args:
        name: names the codec in the record; a replay needs one of the same name, so give it a version.
        encode: gives bytes, or anything else that can be encoded, for an output.
        decode: makes an output of what ``encode`` gave.

    Raises ConfigError if that is not what it is given.
    """

    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]

    def __post_init__(self) -> None:
        name: Any = self.name
        if not isinstance(name, str) or not name.isprintable() or name in ("", CANONICAL):
            raise ConfigError(
                f"a codec cannot be named {self.name!r}", do='give it a short printable name, such as "image/1"'
            )
        for role in ("encode", "decode"):
            if not callable(getattr(self, role)):
                raise ConfigError(f"{role} of the codec {self.name} cannot be called", do="give it a function")


_complained_of: set[str] = set()


def kept(codec: Codec, output: object, encoder: Encoder) -> tuple[Raw, str, str]:
    """The canonical value of an output by its codec, its fidelity, and how it is encoded."""
    try:
        given = codec.encode(output)
    except Exception as error:  # the program's own code, whose failure is not that of the call
        if from_a_signal(error):
            raise
        return _described(codec, output, f"its codec {codec.name} failed with {type(error).__name__}")
    value, fidelity = encoder.encode(given)
    if fidelity == "opaque":
        why = f"its codec {codec.name} gave a {type(given).__name__} that cannot be kept either"
        return _described(codec, output, why)
    return coded(codec.name, value), fidelity, codec.name


def _described(codec: Codec, output: object, why: str) -> tuple[Raw, str, str]:
    if codec.name not in _complained_of:
        _complained_of.add(codec.name)
        say(f"agentrace: the record only describes a {type(output).__name__}: {why}")
    return opaque(output, why), "opaque", CANONICAL
