"""``%load_ext agentrace`` in a notebook or IPython: from then on each cell is a run of its own."""

from __future__ import annotations

from typing import Any

from agentrace.capture.runs import Begun, begin_run
from agentrace.capture.scope import Flow
from agentrace.runtime import init


class _Cells:
    """The cells of one shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self._running: dict[int, tuple[Any, Begun, Flow | None]] = {}
        """The cells that are going on, by the identity of what the shell tells of each, which is kept for it."""

    def watch(self) -> None:
        self.shell.events.register("pre_run_cell", self._begins)
        self.shell.events.register("post_run_cell", self._ended)

    def forget(self) -> None:
        self.shell.events.unregister("pre_run_cell", self._begins)
        self.shell.events.unregister("post_run_cell", self._ended)
        while self._running:
            _, (_, begun, outside) = self._running.popitem()
            begun.leave(outside)
            begun.end()

    def _begins(self, info: Any) -> None:
        # What was run before, and an empty first one. The shell's own counter is at this cell or, since 9, at the next.
        number = len(self.shell.history_manager.input_hist_parsed)
        begun = begin_run(f"cell {number}")
        if begun is not None:
            begun.open()
            self._running[id(info)] = info, begun, begun.enter()

    def _ended(self, result: Any) -> None:
        found = self._running.pop(id(result.info), None)
        if found is not None:
            _, begun, outside = found
            begun.leave(outside)
            begun.end(result.error_before_exec or result.error_in_exec)


_watched: dict[int, _Cells] = {}


def load_ipython_extension(shell: Any) -> None:
    """Record this process, if it is not recorded yet, and make a run of each cell that begins after this one."""
    init()
    cells = _watched[id(shell)] = _Cells(shell)
    cells.watch()


def unload_ipython_extension(shell: Any) -> None:
    """Cells are no runs of their own any more; the process is recorded as before."""
    cells = _watched.pop(id(shell), None)
    if cells is not None:
        cells.forget()
