"""What a mutant is: a break of the code on purpose, and the tests that have to notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One break: what it is, where, and who has to notice."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
