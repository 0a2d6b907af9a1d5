"""When the parts of one answer are handed over: in the recorded order, and at the speed that was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

from agentrace.capture.answers import control_passed
from agentrace.capture.scope import FLOW
from agentrace.capture.step import Step
from agentrace.replay import in_gevent
from agentrace.replay.in_trio import trio
from agentrace.replay.marks import Order
from agentrace.replay.order import Turnstile
from agentrace.replay.parked import end


class InTurn:
    """The turns of the answer to one step."""

    __slots__ = ("_order", "_source", "_speed", "_step", "_turnstile")

    def __init__(self, turnstile: Turnstile | None, order: Order, source: int, step: Step, speed: float) -> None:
        """``turnstile`` is ``None`` where nothing waits for anything."""
        self._turnstile = turnstile
        self._order = order
        self._source = source
        self._step = step
        self._speed = speed

    def wait(self, exchange: int, part: int) -> None:
        """Return when it is the part's turn."""
        left = self._left(exchange, part) if self._speed else 0.0
        if left > 0:
            time.sleep(left)
        if self._turnstile is not None:
            self._turnstile.wait(self._source, exchange, part)
        self._stop_if_latched()

    async def turn(self, exchange: int, part: int) -> None:
        """The same for a coroutine."""
        left = self._left(exchange, part) if self._speed else 0.0
        if left > 0:
            import asyncio

            loop = asyncio._get_running_loop()
            library = None if loop is not None else trio()
            if loop is not None:
                over = loop.create_future()
                loop.call_later(left, end, over)
                await over
            elif library is not None:
                await library.sleep(left)
        with self._inside():
            if self._turnstile is not None:
                await self._turnstile.turn(self._source, exchange, part)
            else:
                await control_passed()
        self._stop_if_latched()

    def never(self) -> NoReturn:
        """A thread that was still at work when the recorded program ended goes on until this one does."""
        if self._turnstile is not None and in_gevent.endless(self._turnstile, self._source):
            raise self._hangs()
        while threading.current_thread().daemon and self._turnstile is not None and not self._turnstile.free:
            time.sleep(0.05)
        raise self._hangs()

    async def never_turn(self) -> NoReturn:
        """Wait for the cancellation that ended the call in the recorded run."""
        with self._inside():
            if self._turnstile is not None:
                await self._turnstile.endless(self._source)
            else:
                import asyncio

                if asyncio._get_running_loop() is not None:
                    await asyncio.get_running_loop().create_future()
        raise self._hangs()

    @contextmanager
    def _inside(self) -> Generator[None]:
        """What resumes the task meanwhile belongs to the call, as it did."""
        outside = FLOW.get()
        FLOW.set(self._step)
        try:
            yield
        finally:
            FLOW.set(outside)

    def _hangs(self) -> BaseException:
        report = f"{self._step.path} was cancelled in the recorded run, and is not now"
        return self._step.run.stopped("TIMEOUT", report, self._step)

    def _stop_if_latched(self) -> None:
        tape = self._step.run.tape
        stop = None if tape is None else tape.stopped()
        if stop is not None:
            raise stop

    def _left(self, exchange: int, part: int) -> float:
        """Seconds until the part came in the recorded run."""
        index = self._order.places.get((self._source, exchange, part))
        if index is None or not (exchange or part >= 0):
            return 0.0
        return (self._order.marks[index].at_ns / self._speed - self._step.elapsed_ns()) / 1e9
