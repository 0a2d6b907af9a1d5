"""What all tests share: a fault of agentrace itself fails the test in which it happens."""

from __future__ import annotations

import os
import signal

os.environ["AGENTRACE_DEBUG"] = "1"
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As of a command that a shell put into the background; the processes that tests interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
