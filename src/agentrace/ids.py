"""Identifiers: time-ordered run ids and the clocks that stamp events.

A run id is a UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits, so that run ids sort
by start. Clocks and ids are injected (see :class:`Clock`), so tests compare whole traces.
"""

from __future__ import annotations

import os
import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """Where times and run ids come from."""

    def wall_ns(self) -> int:
        """Unix time in nanoseconds, UTC."""
        ...

    def monotonic_ns(self) -> int:
        """A clock that never goes back, in nanoseconds; differences are durations."""
        ...

    def run_id(self) -> bytes:
        """A fresh run id: 16 bytes, UUIDv7."""
        ...


class SystemClock:
    """The machine's clocks."""

    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.perf_counter_ns)

    @staticmethod
    def run_id() -> bytes:
        return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def uuid7(unix_ms: int, random: bytes) -> bytes:
    """The 16 bytes of a UUIDv7 for ``unix_ms`` and ten random bytes.

    >>> format_run_id(uuid7(0x017F22E279B0, bytes.fromhex("0cc398c4dc0c0c07398f")))
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f'
    """
    if len(random) != 10:
        raise ValueError("uuid7 takes ten random bytes")
    head = (0x70 | (random[0] & 0x0F)), random[1]
    tail = (0x80 | (random[2] & 0x3F)), *random[3:]
    return (unix_ms & (2**48 - 1)).to_bytes(6, "big") + bytes(head) + bytes(tail)


def format_run_id(run_id: bytes) -> str:
    """The canonical text of a run id: 8-4-4-4-12 hex digits."""
    return str(uuid.UUID(bytes=run_id))


def parse_run_id(text: str) -> bytes:
    """The 16 bytes of a run id written with or without hyphens; ``ValueError`` otherwise."""
    return uuid.UUID(text).bytes


def run_started_ms(run_id: bytes) -> int:
    """The Unix milliseconds that a run id carries."""
    return int.from_bytes(run_id[:6], "big")
