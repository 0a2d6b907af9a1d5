"""What type checkers see of notes and scores; it is checked and never run."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_type

import agentrace

assert_type(agentrace.log("message"), None)
agentrace.log("message", "warning", order=1042, boxes={1, 2})
agentrace.log("message", level="fatal")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
agentrace.log(b"bytes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

assert_type(agentrace.score("care", 0.5), None)
agentrace.score("care", True, comment="why", source="who", of="run")
agentrace.score("care", Decimal("0.5"))
agentrace.score("care", "0.5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
agentrace.score("care", 1, of="session")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
