"""What a shell and its completion agree on: how it asks, and what it is answered."""

from __future__ import annotations

from typing import Final

VARIABLE: Final = "_AGENTRACE_COMPLETE"
"""The variable by which a shell asks what can be typed, once a tab was pressed."""
PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+/")
"""Characters that no shell takes for anything but themselves; a name with others is not offered, its id is."""
