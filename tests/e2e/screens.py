"""Commands in a real pseudo-terminal, and what is left on its screen."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

SECONDS = 60.0
_PART = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[\?[\d;]*[hl]|\x1b[()]B|\x1b\][^\x07]*\x07|[\s\S]")


class Screen:
    """A process whose three ends are a terminal of 100 columns; gone when the block ends."""

    def __init__(self, command: Sequence[object], environ: Mapping[str, str], cwd: Path, term: str = "xterm") -> None:
        self.raw = ""
        """All that was written."""
        self._bytes = b""
        self._pid, self._fd = pty.fork()
        if not self._pid:
            os.chdir(cwd)
            parts = [str(part) for part in command]
            os.execvpe(parts[0], parts, {**environ, "TERM": term, "COLUMNS": "100"})

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._fd)

    def type(self, text: str) -> None:
        """As if it came from the keyboard."""
        os.write(self._fd, text.encode())

    def until(self, seen: str | Callable[[str], bool]) -> str:
        """Read until this is in what was written since the last call, which is returned."""
        found = (lambda text: seen in text) if isinstance(seen, str) else seen
        start, deadline = len(self.raw), time.monotonic() + SECONDS
        while not found(self.raw[start:]):
            assert time.monotonic() < deadline, self.raw[start:]
            if not self._read():
                break
        assert found(self.raw[start:]), self.raw[start:]
        return self.raw[start:]

    def interrupt(self) -> None:
        """Ctrl-C, until the process has ended: a signal that comes just before a read is not noticed before its end."""
        for _ in range(10):
            with suppress(OSError):  # the terminal is closed, and the process about to be gone
                self.type("\x03")
            if self._is_over_within(5.0):
                return

    def ended(self) -> int:
        """Read to the end; the exit code, negative for a signal."""
        assert self._is_over_within(SECONDS), f"it goes on: {self.raw}"
        while self._read():
            pass
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _is_over_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._read(0.02)
            if os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                return True
        return False

    def _read(self, seconds: float = SECONDS) -> bool:
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._fd, 65_536)
        except OSError:  # what Linux says when nobody has the other end open any more
            return False
        self._bytes += data
        self.raw = self._bytes.decode(errors="replace")
        return bool(data)


def shown(raw: str) -> list[str]:
    """The lines that are left on a screen after all of this was written to it, without colours and trailing blanks."""
    lines, row, column = [""], 0, 0
    for part in _PART.finditer(raw):
        text, number, command = part[0], int(part[1] or 1), part[2]
        if text == "\r":
            column = 0
        elif text == "\n":
            row, lines = row + 1, [*lines, *([""] if row + 1 == len(lines) else [])]
        elif text == "\b" or command == "D":
            column = max(0, column - number)
        elif command == "C":
            column += number
        elif command == "K":
            lines[row] = lines[row][:column]
        elif len(text) == 1 and text.isprintable():
            lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]
