"""Makes random agent programs."""

from __future__ import annotations

import random

from tests.property.random_agents import SEEN, Node
from tests.property.random_world import ASYNC, SYNC


class Maker:
    """Makes programs by chance."""

    def __init__(self, seed: int, size: int = 14) -> None:
        self._chance = random.Random(seed)
        self._left = size

    def program(self) -> Node:
        """A program."""
        parts = [self.part(is_async=False, depth=0) for _ in range(self._chance.randint(2, 4))]
        return Node("each", [*parts, Node("asyncio", [self.part(is_async=True, depth=0)])])

    def part(self, *, is_async: bool, depth: int, beside: bool = False) -> Node:
        """Something that a program does; ``beside`` others in the same loop."""
        chance = self._chance
        if depth > 3 or self._left <= 0 or chance.random() < 0.3:
            return self._leaf(is_async)
        kinds = _MAY_ASYNC if is_async else _MAY
        # When the result of a thread comes into a loop is not recorded: only that of the call that the thread made.
        do = chance.choice([kind for kind in kinds if not (beside and kind == "to_thread")])
        inside_async = (is_async and do != "to_thread") or do == "asyncio"
        is_beside = inside_async and (beside or do == "timeout" or do not in _ONE_FLOW)
        count = chance.randint(1, 2) if do in _ONE_FLOW else chance.randint(2, 4)
        parts = [self.part(is_async=inside_async, depth=depth + 1, beside=is_beside) for _ in range(count)]
        if do in ("group", "try", "rounds") and chance.random() < 0.4:
            at = chance.randrange(len(parts))
            parts[at] = Node("each", [parts[at], Node("raise", number=at)])
            if do == "rounds":
                return Node("try", [Node(do, parts, number=chance.randint(1, 6))])
        return Node(do, parts, name=f"agent{depth}", number=chance.randint(1, 6))

    def _leaf(self, is_async: bool) -> Node:
        chance = self._chance
        self._left -= 1
        do = chance.choice(_LEAVES_ASYNC if is_async else _LEAVES)
        names = [*SYNC] if not is_async or chance.random() < 0.1 else [*ASYNC]
        given = chance.choice([0, 0, 0, 1, SEEN])
        return Node(do, name=chance.choice(names), given=0 if do == "retry" else given, number=chance.randint(1, 4))


_ONE_FLOW = frozenset({"agent", "asyncio", "branch", "each", "loop", "timeout", "try"})
_MAY = ["agent", "asyncio", "branch", "each", "loop", "pool", "threads", "try"]
_MAY_ASYNC = [
    *("agent", "branch", "each", "loop", "to_thread", "try"),
    *("completed", "first", "gather", "group", "limit", "queue", "rounds", "timeout"),
]
_LEAVES = ["call", "call", "call", "retry", "stream", "talk", "value"]
_LEAVES_ASYNC = ["call", "call", "call", "call", "retry", "spin", "stream", "value"]
