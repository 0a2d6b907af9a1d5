"""DuckDB's engine, loaded when it is first needed and without the Python around it, which takes longer than itself."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def engine() -> Any:
    """The module with ``connect`` and the errors; ``duckdb`` itself has the same, and more."""
    try:
        return import_module("_duckdb")
    except ImportError:  # it is part of the distribution, but no promise of it
        return import_module("duckdb")
