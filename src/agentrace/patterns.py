"""How settings and options name functions of the program: ``NAME``, ``MODULE:PATTERN``, or what requests offer.

Apart from the settings, because the command that becomes the program looks at its options and loads nothing for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from agentrace.errors import ConfigError

AUTO: Final = "auto"
"""Instead of a name: the tools that requests offer to a model."""
_FORM: Final = r"(\w+(\.\w+)*:)?([\w*?]|\[!?[\w-]+\])+"
"""Names of functions, in which ``*``, ``?`` and ``[...]`` stand for what they do in file names."""


def check_tools(patterns: Iterable[str]) -> None:
    """Raises ValueError with the reason for what names no function and is not ``auto``."""
    for pattern in _checked(patterns):
        if pattern != AUTO and pattern.lower() == AUTO:
            raise ValueError(f"{pattern!r} would be a function; what requests offer is {AUTO!r}")


def check_retrievers(patterns: Iterable[str]) -> None:
    """Raises ValueError with the reason for what names no function."""
    for pattern in _checked(patterns):
        if pattern == AUTO:
            raise ValueError(f"{AUTO!r} finds tools only; a function of that name is MODULE:{AUTO}")


def _checked(patterns: Iterable[str]) -> Iterable[str]:
    for pattern in patterns:
        if not re.fullmatch(_FORM, pattern):
            colon = "; write a colon between a module and its functions" if "." in pattern else ""
            raise ValueError(f"{pattern!r} is neither NAME nor MODULE:PATTERN{colon}")
        yield pattern


def items(text: str) -> list[str]:
    """The patterns of a text that separates them by commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


_CHECKS: Final = {"tools": check_tools, "retrievers": check_retrievers}


def as_variable(option: str, texts: Iterable[str]) -> str:
    """What the option ``--tools`` or ``--retrievers`` was given, as its variable says it. Raises ConfigError."""
    given = list(texts)
    for text in given:
        try:
            _CHECKS[option](items(text) or [text])
        except ValueError as error:
            raise ConfigError(
                f"the option --{option} is {text!r}: {error}",
                do="give it NAME or MODULE:PATTERN, as in --tools 'shop.tools:*'",
                slug="config-value",
            ) from error
    return ",".join(given)
