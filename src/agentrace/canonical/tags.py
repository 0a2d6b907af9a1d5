"""The words that msgpack lacks: extension codes of the canonical encoding, and what each holds.

``None``, bool, int within 64 bits, float, str, bytes, list and dict with str or int keys are msgpack's own. Every other
value is an extension whose data is msgpack again, as told beside its code. Codes are part of the trace format: they
are never reused.
"""

from __future__ import annotations

from typing import Final

TUPLE: Final = 1
"""``[item, ...]``"""
SET: Final = 2
"""``[item, ...]`` in the set's own iteration order."""
FROZENSET: Final = 3
"""As ``SET``."""
INT: Final = 4
"""An int beyond 64 bits: its decimal text, or its hexadecimal text with ``0x`` if that would be very long."""
DECIMAL: Final = 5
"""``str(decimal)``"""
DATETIME: Final = 6
"""``[isoformat without zone, fold, zone]``; zone is ``None``, ``[offset in seconds, name]`` or a zone key."""
DATE: Final = 7
"""``isoformat()``"""
TIME: Final = 8
"""As ``DATETIME``."""
TIMEDELTA: Final = 9
"""``[days, seconds, microseconds]``"""
UUID: Final = 10
"""16 bytes."""
PATH: Final = 11
"""``[class name in pathlib, text]``; the text is a canonical value, because it may be redacted."""
ENUM: Final = 12
"""``[type, member name, value]``"""
COMPLEX: Final = 13
"""``[real, imaginary]``"""
RANGE: Final = 14
"""``[start, stop, step]``"""
PAIRS: Final = 15
"""A dict with a key that is neither str nor int: ``[[key, value], ...]``."""
OBJECT: Final = 16
"""``[kind, type, {field: value}, extra]``; kind is a key of ``objects.KINDS``, or since 1.1 of ``foreign.KINDS``: a
value of a library, such as an array or a data frame, whose texts are values and whose numbers are bytes."""
OPAQUE: Final = 17
"""``[type, text, reason]``: a value that could not be encoded, and why."""
PAYLOAD: Final = 18
"""``[digest, kind, size]``: stored elsewhere under its content hash; kind is ``str``, ``bytes``, ``value``, ``list``
(see ``history``) or ``body`` (see ``bodies``)."""
REDACTED: Final = 19
"""A str from which something was taken: the text with what stands in its place."""
SURROGATES: Final = 20
"""A str that UTF-8 cannot say: its bytes with the ``surrogatepass`` error handler."""
SINGLETON: Final = 21
"""``Ellipsis`` or ``NotImplemented``, by name."""
SUBCLASS: Final = 22
"""``[type, value]``: an instance of a subclass of a builtin, told by its base's value."""
REDACTED_BYTES: Final = 23
"""Bytes from which something was taken."""
CODED: Final = 24
"""``[codec, value]``: what a codec of the recorded program, of that name, gave for a value that has no encoding here.
Only a running program that brings a codec of the same name makes the value of it again. From 1.1 on."""

EXACT: Final = "exact"
STRUCTURAL: Final = "structural"
OPAQUE_FIDELITY: Final = "opaque"
FIDELITIES: Final = (EXACT, STRUCTURAL, OPAQUE_FIDELITY)
"""From best to worst: rebuilt as it was; same content, other type; only described."""
