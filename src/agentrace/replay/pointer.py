"""What event loops know of the recorded order of the whole process."""

from __future__ import annotations

from typing import Any, Protocol

from agentrace.replay.marks import Order


class Pointer(Protocol):
    """The recorded order, as far as it has come."""

    order: Order
    lock: Any
    free: bool
    earlier_threads: frozenset[int]
    """Threads that were there when the replay began."""

    def next(self) -> int:
        """The first mark that is missing."""
        ...

    def missing(self, index: int) -> bool:
        """Whether a mark has not come about and what comes later waits for it."""
        ...

    def timer(self, loop: int) -> int | None:
        """The mark of the next timer of a recorded loop."""
        ...

    def skip(self, index: int) -> None:
        """The program does not come to a mark any more."""
        ...

    def settled(self, gate: int, asked: int) -> bool:
        """Whether the other threads have done what they did before this came; ``asked`` so often before."""
        ...

    def arrived(self) -> None:
        """This thread goes on when others have done something."""
        ...

    def watch(self, loop: Any) -> None:
        """See to it that the order is relaxed if the program cannot come to what is next."""
        ...

    def open_all(self) -> None:
        """Hold nothing up any more."""
        ...
