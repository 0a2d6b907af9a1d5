"""Canonical values: how a Python value stands in a trace, losslessly or said to be lossy.

Names are loaded when first used: a program that is recorded encodes, and decodes nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from agentrace.canonical.decoding import Reader, loaded_types
    from agentrace.canonical.encoding import INLINE_VALUE, Encoder
    from agentrace.canonical.needs import Redaction, Sink

__all__ = ["INLINE_VALUE", "Encoder", "Reader", "Redaction", "Sink", "loaded_types"]

_HOME_OF: Final = {
    "INLINE_VALUE": "encoding",
    "Encoder": "encoding",
    "Reader": "decoding",
    "Redaction": "needs",
    "Sink": "needs",
    "loaded_types": "decoding",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
