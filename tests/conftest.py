"""What all tests share: a fault of agentrace itself fails the test in which it happens."""

from __future__ import annotations

import os

os.environ["AGENTRACE_DEBUG"] = "1"
