"""What the encoder needs from others: somebody who takes secrets out, and a place for payloads."""

from __future__ import annotations

from typing import Protocol


class Replaced(Protocol):
    """A text from which secrets were taken."""

    @property
    def text(self) -> str: ...


class ReplacedBytes(Protocol):
    """Bytes from which secrets were taken."""

    @property
    def data(self) -> bytes: ...


class Redaction(Protocol):
    """What the encoder asks of redaction; ``redact.Redactor`` is one."""

    def text(self, s: str, /) -> Replaced | None:
        """The text without its secrets, or ``None`` if it has none."""
        ...

    def data(self, b: bytes, /) -> ReplacedBytes | None:
        """The bytes without their secrets, or ``None`` if they have none."""
        ...

    def field(self, key: str, /) -> str | None:
        """What stands for the whole value of a field of this name, or ``None`` if the name does not tell."""
        ...

    def perhaps(self, key: str, /) -> bool:
        """Whether the name makes a text a secret if that looks like one; then ``member`` is asked."""
        ...

    def member(self, key: str, text: str, /) -> Replaced | None:
        """As ``text``, for the value of a field of this name."""
        ...


class Sink(Protocol):
    """Where payloads go."""

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep ``data`` under its blake3 ``digest``."""
        ...
