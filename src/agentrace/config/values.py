"""What each setting accepts, from the text of a variable and from the value of an argument or a TOML file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, get_args

from agentrace.config.settings import Durability, Logs, OnError, Output, Redaction
from agentrace.patterns import check_retrievers, check_tools, items

WORDS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
"""How yes and no are written in a variable, in either case."""


class Kind(NamedTuple):
    """How the values of one kind of setting are read; both readers raise ValueError at what they refuse."""

    expects: str
    from_text: Callable[[str], object]
    from_value: Callable[[object], object]


def expects(name: str) -> str:
    """What a setting accepts, in words: of ``on_error`` it is ``"warn" or "raise"``. KeyError: no setting."""
    return KINDS[name].expects


def _require(accepted: bool) -> None:
    if not accepted:
        raise ValueError


def _flag_of_text(text: str) -> bool:
    _require(text.lower() in WORDS)
    return WORDS[text.lower()]


def _flag(value: object) -> bool:
    _require(isinstance(value, bool))
    return value is True


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError
    return tuple(_text(item) for item in value)


def _texts_of_text(text: str) -> tuple[str, ...]:
    return tuple(items(text))


def _tools(value: object) -> tuple[str, ...]:
    named = _texts(value)
    check_tools(named)
    return named


def _retrievers(value: object) -> tuple[str, ...]:
    named = _texts(value)
    check_retrievers(named)
    return named


def _patterns(value: object) -> tuple[str, ...]:
    import re

    patterns = _texts(value)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, OverflowError) as error:
            raise ValueError(f"{pattern!r} is no regular expression, {error}") from error
    return patterns


def _patterns_of_text(text: str) -> tuple[str, ...]:
    return _patterns([line for line in text.splitlines() if line.strip()])


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError
    _require(0 <= value <= _LONGEST_WAIT)
    return float(value)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError
    _require(0 <= value <= 1)
    return float(value)


def _path(value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError
    path = os.fspath(value)
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise ValueError
    # An unexpanded ~ (a Dockerfile's ENV, a .env file) would make a directory of that name.
    return Path(os.path.expanduser(path))


def _one_of(*allowed: str) -> Kind:
    def choice(value: object) -> str:
        _require(isinstance(value, str) and value in allowed)
        return str(value)

    return Kind(" or ".join(f'"{one}"' for one in allowed), choice, choice)


_LONGEST_WAIT: Final = 86_400.0
_FLAG: Final = Kind("true or false", _flag_of_text, _flag)
_TEXT: Final = Kind("a text that is not blank", _text, _text)
_TEXTS: Final = Kind("a list of texts", _texts_of_text, _texts)
_TOOLS: Final = Kind('a list of NAME, MODULE:PATTERN or "auto"', lambda text: _tools(_texts_of_text(text)), _tools)
_RETRIEVERS: Final = Kind(
    "a list of NAME or MODULE:PATTERN", lambda text: _retrievers(_texts_of_text(text)), _retrievers
)
_PATTERNS: Final = Kind("a list of regular expressions", _patterns_of_text, _patterns)
_SECONDS: Final = Kind("a number of seconds, at most a day", lambda text: _seconds(float(text)), _seconds)
_SHARE: Final = Kind("a number from 0 to 1", lambda text: _share(float(text)), _share)
_PATH: Final = Kind("a path", _path, _path)

KINDS: Final[dict[str, Kind]] = {
    "home": _PATH,
    "disabled": _FLAG,
    "on_error": _one_of(*get_args(OnError)),
    "durability": _one_of(*get_args(Durability)),
    "redact": _one_of(*get_args(Redaction)),
    "redact_patterns": _PATTERNS,
    "tools": _TOOLS,
    "retrievers": _RETRIEVERS,
    "exclude_urls": _TEXTS,
    "patch": _TEXTS,
    "logs": _one_of(*get_args(Logs)),
    "output": _one_of(*get_args(Output)),
    "record_env": _TEXTS,
    "sample_rate": _SHARE,
    "name": _TEXT,
    "workflow": _TEXT,
    "agent": _TEXT,
    "session_id": _TEXT,
    "tenant": _TEXT,
    "workspace": _TEXT,
    "project": _TEXT,
    "operator": _TEXT,
    "tags": _TEXTS,
    "seal": _FLAG,
    "exit_timeout": _SECONDS,
}
"""The kind of each setting, in the order of ``Settings``."""
