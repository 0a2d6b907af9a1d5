"""The settings of one process: what was asked for in code, in the environment and in files, as one object."""

from __future__ import annotations

from agentrace.config.places import INTERNAL_VARIABLES, STORE_NAME, load, sources, variable
from agentrace.config.settings import Durability, OnError, Redaction, Settings
from agentrace.config.values import expects

__all__ = [
    "INTERNAL_VARIABLES",
    "STORE_NAME",
    "Durability",
    "OnError",
    "Redaction",
    "Settings",
    "expects",
    "load",
    "sources",
    "variable",
]
