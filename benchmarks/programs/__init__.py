"""The programs that are measured. Each reads its task as JSON and prints its answer as one line of JSON."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from typing import Any


def answer(program: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Run ``program`` on the task that stands on stdin."""
    told = program(json.load(sys.stdin))
    print(json.dumps(told), flush=True)


def settle() -> None:
    """The same state of the garbage collector before everything that is timed."""
    gc.collect()


def quantile(sorted_values: list[int], share: float) -> int:
    """The value below which ``share`` of the values are."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]
