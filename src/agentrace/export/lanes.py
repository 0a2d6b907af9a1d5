"""Which slices share a line: a viewer draws a slice inside the one around it, so only what ran inside it may be there.

Slices of one thread or task that overlap without one being inside the other get lines of their own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from msgspec import Struct


class Slice(Struct, frozen=True):
    """Something that took time, in microseconds since the beginning of the picture."""

    key: Hashable
    outer: Hashable
    """The key of what it happened in; ``None`` for none."""
    start: int
    end: int
    """Not before ``start``."""


def lanes(slices: Sequence[Slice]) -> dict[Hashable, int]:
    """The lane of each slice by its key, from 0; ``slices`` have what is around another one before it.

    On a lane two slices are one after the other, or one is inside the other and happened in it.
    """
    outer = {one.key: one.outer for one in slices}
    stacks: list[list[Slice]] = []
    """The slices of each lane that are open, the innermost last."""
    chosen: dict[Hashable, int] = {}
    for one in sorted(slices, key=lambda one: (one.start, -one.end)):
        inside: int | None = None
        idle: int | None = None
        for lane, stack in enumerate(stacks):
            while stack and stack[-1].end <= one.start and not _around(stack[-1], one, outer):
                stack.pop()
            if not stack:
                idle = lane if idle is None else idle
            elif _around(stack[-1], one, outer):
                inside = lane
                break
        found = inside if inside is not None else idle
        if found is None:
            found = len(stacks)
            stacks.append([])
        stacks[found].append(one)
        chosen[one.key] = found
    return chosen


def _around(around: Slice, one: Slice, outer: Mapping[Hashable, Hashable]) -> bool:
    """Whether ``one`` happened in ``around`` and is inside it."""
    if not (around.start <= one.start and one.end <= around.end):
        return False
    key = one.outer
    while key is not None and key != around.key:
        key = outer.get(key)
    return key is not None
