"""Canonical values: how a Python value stands in a trace, losslessly or said to be lossy."""

from __future__ import annotations

from agentrace.canonical.decoding import Reader, loaded_types
from agentrace.canonical.encoding import INLINE_VALUE, Encoder
from agentrace.canonical.needs import Redaction, Sink

__all__ = ["INLINE_VALUE", "Encoder", "Reader", "Redaction", "Sink", "loaded_types"]
