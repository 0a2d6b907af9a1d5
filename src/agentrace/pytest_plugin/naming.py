"""Where the trace file of a test is: named by its marker, or else after its module and its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest
from blake3 import blake3

from agentrace.errors import ConfigError
from agentrace.replay.manner import Manner

SUFFIX: Final = ".agentrace"
FOLDER: Final = "traces"
_LONGEST: Final = 100
"""Characters of a file's name beside its suffix."""


class Marked(msgspec.Struct, frozen=True):
    """What the marker of a test says."""

    path: Path
    """The trace file, absolute."""
    manner: Manner


def marked(item: pytest.Item) -> Marked:
    """What the marker nearest to a test says; without one, what holds by default. Raises ``ConfigError``."""
    marker = item.get_closest_marker("agentrace")
    args, options = ((), {}) if marker is None else (marker.args, dict(marker.kwargs))
    given = args[0] if args else options.pop("path", None)
    order, speed = options.pop("order", "recorded"), options.pop("speed", 0.0)
    right = order in ("recorded", "free") and isinstance(speed, (int, float)) and speed >= 0
    if len(args) > 1 or options or not right or not isinstance(given, (str, Path, type(None))):
        raise ConfigError(
            f"the marker of {item.nodeid} is not understood: {marker}",
            do='write @pytest.mark.agentrace("traces/checkout.agentrace"), with order="free" or speed=1 if need be',
        )
    return Marked(trace_path(item, given), Manner(order, float(speed)))


def trace_path(item: pytest.Item, given: str | Path | None) -> Path:
    """The trace file of a test. A relative path counts from the directory of the test's file.

    A path that does not end in ``.agentrace`` is a directory. Of a parametrized test each variant has a file of its
    own: its id is put behind the name.
    """
    here = item.path.parent
    name, variant = _names(item)
    if given is not None and Path(given).suffix == SUFFIX:
        path = here / given
        return path.with_name(f"{fit(path.stem + variant)}{SUFFIX}") if variant else path
    folder = here / (Path(FOLDER, item.path.stem) if given is None else given)
    return folder / f"{fit(name + variant)}{SUFFIX}"


def _names(item: pytest.Item) -> tuple[str, str]:
    """``Class.test`` and ``-variant``; the latter is empty for a test without parameters."""
    function = getattr(item, "originalname", None) or item.name
    classes = item.nodeid.split("::")[1:-1]
    spec = getattr(item, "callspec", None)
    return ".".join([*classes, function]), "" if spec is None else f"-{spec.id}"


def fit(name: str) -> str:
    """``name`` as the name of a file on any system: two names that differ stay different.

    >>> fit("test_pay-oslo")
    'test_pay-oslo'
    >>> fit("test_pay-a/b")
    'test_pay-a_b-69cc84d9'
    """
    plain = re.sub(r"[^\w.,=+-]", "_", name, flags=re.ASCII)
    if plain == name and len(name) <= _LONGEST:
        return name
    digest = blake3(name.encode(errors="backslashreplace")).hexdigest(4)
    return f"{plain[: _LONGEST - 9]}-{digest}"
