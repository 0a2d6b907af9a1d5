"""What a program logs and prints, heard where the settings ask for it; nothing is loaded where they do not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

from agentrace.capture.process import Recording
from agentrace.config import Settings

When: TypeAlias = Callable[[str, Callable[[Any], None]], None]
"""Calls a function with a module once the program has imported it."""


class Hearing:
    """What is listened to in this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._output: Any = None
        """A ``capture.output.Listening``."""

    def begin(self, when: When, recording: Recording) -> None:
        """Listen from now on."""
        if self._settings.logs != "off":
            log_records = import_module("agentrace.capture.log_records")
            when("logging", functools.partial(log_records.note_records, threshold=self._settings.logs))
        if self._settings.output != "off":
            self._output = import_module("agentrace.capture.output").Listening(self._settings.output)
            self._output.follow()
            recording.main_may_be_ready = self._following(recording.main_may_be_ready)

    def end(self) -> None:
        """Listen no more. What replaced a function of ``logging`` is taken back with all other replacements."""
        if self._output is not None:
            self._output.stop()

    def forget(self) -> None:
        """In a forked child: what is half heard is the parent's."""
        if self._output is not None:
            self._output.forget()

    def _following(self, asked: Callable[[], bool] | None) -> Callable[[], bool]:
        """Also asked before each step: whether a stream was replaced since."""
        waiting = [asked] if asked is not None else []

        def ready() -> bool:
            self._output.follow()
            if waiting and not waiting[0]():
                waiting.clear()
            return True

        return ready
