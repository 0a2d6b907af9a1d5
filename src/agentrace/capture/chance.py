"""The generator of the module ``random``, from which tools and the program draw alike.

A tool that is answered on a replay draws nothing. So the record tells where the generator stood when the tool ended,
and a replay draws until it stands there: a program that seeds it draws what it drew.
"""

from __future__ import annotations

import sys
from typing import Any, Final

WORDS: Final = 624
"""Words of the generator's state, a Mersenne Twister's; the number behind them tells how many are used up."""


def generator() -> Any:
    """The one behind the functions of ``random``; ``None`` if the program has not imported it."""
    module = sys.modules.get("random")
    return None if module is None else getattr(module, "_inst", None)


def standing(drawn: Any) -> int:
    """Where a generator stands: the first word of its state times 1024, plus how many are used up; 0 for none."""
    if drawn is None:
        return 0
    state = drawn.getstate()[1]
    return state[0] << 10 | state[WORDS] if len(state) > WORDS else 0
