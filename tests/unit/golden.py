"""Rendered output compared with the files of tests/golden; ``GOLDEN=write pytest`` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"


def expect(name: str, text: str) -> None:
    """``text`` is what the golden file of that name holds."""
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.write_text(text)
    assert text == file.read_text(), f"tests/golden/{name} says otherwise; GOLDEN=write pytest writes it anew"
