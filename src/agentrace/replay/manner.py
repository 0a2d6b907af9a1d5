"""How a run is replayed."""

from __future__ import annotations

from msgspec import Struct


class Manner(Struct, frozen=True):
    """How a run is replayed."""

    order: str = "recorded"
    """``recorded``, or ``free``: answers are handed over as soon as they are asked for."""
    speed: float = 0.0
    """Of streams: 0 without waiting, 1 as recorded, 2 twice as fast."""
    observe: bool = False
    """Go on after a divergence where that is possible, to see what else there is."""
