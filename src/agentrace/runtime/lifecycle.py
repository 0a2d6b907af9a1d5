"""The ends of a process as its recording sees them: exit, exceptions, signals, fork.

The exit code and the exception are learnt from what the interpreter keeps anyway, except for ``sys.exit``, ``exit`` and
``quit``, whose argument is noted on the way through.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib.machinery import BuiltinImporter
from types import FrameType
from typing import Any, Final

from agentrace.capture import behind, call, exchange, recording
from agentrace.capture.carriers import replace
from agentrace.native import get_ident


class Ending:
    """How this process is going to end, as far as it is known."""

    def __init__(self, child_raised: Callable[[BaseException], None]) -> None:
        self.exit_argument: Any = None
        self.exited = False
        self._child_raised = child_raised
        self._outermost: FrameType | None = None
        """The frame in which the main thread's program runs, once it has asked to exit."""
        self._passing: BaseException | None = None
        self._handled: BaseException | None = None
        """What the parent was handling when it started this child; it is no end of the child."""
        self._child_over = False
        self._before: Any = getattr(sys, "last_value", None)

    def error(self) -> BaseException | None:
        """The exception that ended the program, if one did."""
        if self._passing is not None:
            return self._passing
        # A shell goes on after what it shows: what it showed last is not how it ends.
        last = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
        return last if isinstance(last, BaseException) and last is not self._before else None

    def note_passing(self) -> None:
        """In a multiprocessing child's last ``finally``: the exception that is on its way out, if one is.

        From Python 3.13 on it comes too late to see one: what :meth:`watch_children` noted holds.
        """
        error = sys.exc_info()[1]
        if isinstance(error, SystemExit):
            self.exit_argument, self.exited = error.code, True
        elif error is not self._handled:
            self._passing = error
        elif not self._child_over:
            self.exited = False  # it returns, whatever was caught on the way

    def exit_code(self) -> int:
        """The exit status: of ``sys.exit``, 130 for an interrupt, 1 for an exception, else 0.

        Of a program that the interpreter could not open it is the interpreter's own: 2, and 1 for a directory.
        """
        error = self.error()
        if error is not None:
            return 130 if isinstance(error, KeyboardInterrupt) else 1
        if not self.exited and _never_began():
            return 1 if os.path.isdir(sys.argv[0]) else 2
        if not self.exited or self.exit_argument is None or _has_returned(self._outermost):
            return 0  # also when somebody caught what sys.exit raised, and the program went on to its end
        return self.exit_argument & 0xFF if isinstance(self.exit_argument, int) else 1

    def watch(self) -> None:
        """Note what ``sys.exit``, ``exit`` and ``quit`` are given."""
        replace(sys, "exit", self._exit)
        shell = sys.modules.get("_sitebuiltins")  # not there without ``site``
        if shell is not None:
            replace(shell.Quitter, "__call__", self._quit)

    def watch_children(self, module: Any) -> None:
        """Note what multiprocessing makes of a child's end. ``module`` is ``multiprocessing.process``."""
        replace(module.BaseProcess, "_bootstrap", self._bootstrap)
        if module.parent_process() is not None:
            self._watch_printing()

    def _bootstrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        # It catches and prints what the child raised, so no frame of ours is in what is printed.
        def _bootstrap(child: Any, *args: Any, **kwargs: Any) -> Any:
            self.exited, self._handled = False, sys.exc_info()[1]
            self._watch_printing()
            code = original(child, *args, **kwargs)
            self._note_child(code)
            return code

        return _bootstrap

    def _watch_printing(self) -> None:
        replace(traceback, "print_exc", self._print_exc)

    def _print_exc(self, original: Callable[..., Any]) -> Callable[..., Any]:
        # The exception is described at once and not kept: it would keep alive what its frames hold.
        def print_exc(*args: Any, **kwargs: Any) -> Any:
            error = sys.exc_info()[1]
            try:
                return original(*args, **kwargs)
            finally:
                if error is not None and sys._getframe(1).f_globals.get("__name__") == "multiprocessing.process":
                    self._note_child(1)
                    self._child_raised(error)

        return print_exc

    def _note_child(self, code: int) -> None:
        self.exit_argument, self.exited, self._outermost, self._child_over = code, True, None, True

    def _exit(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def exit(status: Any = None, /) -> Any:  # noqa: A001
            self._note_exit(status, sys._getframe(1))
            return original(status)

        return exit

    def _quit(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(quitter: Any, code: Any = None) -> Any:
            self._note_exit(code, sys._getframe(1))
            return original(quitter, code)

        return __call__

    def _note_exit(self, status: Any, caller: FrameType) -> None:
        if threading.current_thread() is threading.main_thread():
            self.exit_argument, self.exited = status, True
            self._outermost = _outermost(caller)


def _outermost(frame: FrameType) -> FrameType:
    while frame.f_back is not None:
        frame = frame.f_back
    return frame


def _never_began() -> bool:
    """Whether the interpreter was given a program's file and did not open it.

    It gives ``__main__`` the loader of that file once it has, and none takes that away again.
    """
    main, named = sys.modules.get("__main__"), sys.argv[0] if sys.argv else ""
    if named in ("", "-", "-c", "-m") or named not in sys.orig_argv[1:] or hasattr(sys, "ps1"):
        return False
    return getattr(main, "__loader__", None) is BuiltinImporter


def _has_returned(frame: FrameType | None) -> bool:
    """Whether a frame that is over was left by ``return``, and not by an exception."""
    if frame is None:
        return False
    import opcode

    code = frame.f_code.co_code
    return 0 <= frame.f_lasti < len(code) and opcode.opname[code[frame.f_lasti]].startswith("RETURN")


class Signals:
    """SIGTERM while the program left it at its default: told in the trace, then the default happens."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._installed = False

    def install(self) -> None:
        """Only where the program has not decided itself and Python allows it."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._handle)
            self._installed = True

    def remove(self) -> None:
        """Put the default back, if it is still ours to put back."""
        ours = self._installed and threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._installed = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        try:
            self._told(signal.Signals(number).name)
        finally:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


_WRITERS: Final = frozenset(module.__file__ for module in (behind, call, exchange, recording))
_WAITING: Final = frozenset({behind.Behind._work.__code__})
"""Code of writers that is on top of a thread's stack only while there is nothing to write."""
_FRAMES: Final = 12
"""How far below the top of a thread's stack one of the writers may be."""
_PATIENCE: Final = 0.1


def let_writers_finish() -> None:
    """Wait, for a tenth of a second at most, until no other thread is in the middle of writing an event.

    What such a thread does not get written before the process ends would be a hole in a run that has ended.
    """
    deadline = time.monotonic() + _PATIENCE
    while _others_are_writing() and time.monotonic() < deadline:
        time.sleep(0.001)


def _others_are_writing() -> bool:
    mine = get_ident()
    for ident, top in sys._current_frames().items():
        frame: FrameType | None = None if ident == mine or top.f_code in _WAITING else top
        for _ in range(_FRAMES):
            if frame is None:
                break
            if frame.f_code.co_filename in _WRITERS:
                return True
            frame = frame.f_back
    return False


class Hooks:
    """Functions that the interpreter calls; they can never be unregistered, so they look up who is there."""

    def __init__(self) -> None:
        self.at_exit: Callable[[], None] | None = None
        self.before_fork: Callable[[], None] | None = None
        self.after_fork: Callable[[], None] | None = None
        self._registered = False

    def register(self) -> None:
        """Once per process."""
        if self._registered:
            return
        self._registered = True
        atexit.register(self._call, "at_exit")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=lambda: self._call("before_fork"), after_in_child=lambda: self._call("after_fork")
            )

    def _call(self, name: str) -> None:
        hook = getattr(self, name)
        if hook is not None:
            hook()
