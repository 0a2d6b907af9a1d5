"""Random agent programs: what they may do, and how they are run.

A program is a tree of nodes, whose tools ask a world (``random_world``). What a program sees is kept in the order in
which it sees it: each flow keeps its own, and what shares a loop or a pool keeps what is seen there by whom.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from msgspec import Struct

import agentrace
from tests.property.random_world import SYNC, Failed, Refused, here, pages, talk, world, world_or_none

SEEN = -1
"""As ``given``: the call is asked about what the flow saw last, not about a number."""


class Node(Struct, omit_defaults=True):
    """One thing that a program does."""

    do: str
    parts: list[Node] = []
    name: str = ""
    given: Any = 0
    number: int = 0


class Flow:
    """A sequence of things that a program does, and what it saw."""

    def __init__(self, name: str = "", together: list[Any] | None = None, noise: Callable[[], None] = lambda: None):
        self.name = name
        self.seen: list[Any] = []
        self.together = together
        """What was seen by all flows of the same loop or pool."""
        self.noise = noise
        self.noted = 0
        """How much had been seen there when this flow last saw something."""

    def see(self, what: Any, *, apart: bool = False) -> None:
        """Note what was seen; ``apart`` if a thread has not just been answered, so that others may note things too."""
        self.seen.append(what)
        if self.together is not None and not (apart and getattr(here, "pooled", False)):
            self.together.append((self.name, what))
            self.noted = len(self.together)

    def given(self, node: Node) -> Any:
        """What a call is asked about."""
        if node.given != SEEN:
            return node.given
        return {"of": self.noted, "last": repr(self.seen[-1:])}

    def children(self, node: Node, together: list[Any] | None) -> list[Flow]:
        """A flow for each part."""
        return [Flow(f"{self.name}{at}", together, self.noise) for at in range(len(node.parts))]


def seen_of(error: BaseException) -> tuple[str, str]:
    """An exception as what a program saw."""
    return type(error).__name__, repr(error.args)


def run(node: Node, flow: Flow) -> None:
    """Do what ``node`` says in this thread."""
    flow.noise()
    DOES[node.do](node, flow)


async def run_async(node: Node, flow: Flow) -> None:
    """Do what ``node`` says in this task."""
    flow.noise()
    doing = DOES_ASYNC.get(node.do)
    if doing is not None:
        await doing(node, flow)
    else:
        DOES[node.do](node, flow)


def _each(node: Node, flow: Flow) -> None:
    for part in node.parts:
        run(part, flow)


def call(node: Node, flow: Flow) -> None:
    try:
        flow.see(SYNC[node.name](flow.given(node)))
    except Refused as error:
        flow.see(seen_of(error))


def _retry(node: Node, flow: Flow) -> None:
    for _ in range(node.number):
        try:
            flow.see(SYNC[node.name](node.given))
            break
        except Refused as error:
            flow.see(str(error))
            time.sleep(0)


def _loop(node: Node, flow: Flow) -> None:
    for _ in range(node.number):
        _each(node, flow)


def _branch(node: Node, flow: Flow) -> None:
    """The next step depends on what was seen last."""
    last = repr(flow.seen[-1:])
    run(node.parts[len(last) % len(node.parts)], flow)


def _raise(node: Node, flow: Flow) -> None:
    raise Failed(node.number)


def _try(node: Node, flow: Flow) -> None:
    try:
        _each(node, flow)
    except Failed as error:
        flow.see(seen_of(error), apart=True)


def _agent(node: Node, flow: Flow) -> None:
    @agentrace.agent(name=node.name)
    def inside() -> int:
        _each(node, flow)
        return len(flow.seen)

    flow.see(inside(), apart=True)


def _stream(node: Node, flow: Flow) -> None:
    """Read some elements, and close the stream early if there are more."""
    stream = pages(flow.given(node))
    try:
        for _, element in zip(range(node.number), stream, strict=False):
            flow.see(element)
    except Refused as error:
        flow.see(seen_of(error))
    finally:
        stream.close()  # type: ignore[attr-defined]


def _talk(node: Node, flow: Flow) -> None:
    """Drive a generator from outside: ask, send, throw, close."""
    talking = talk(flow.given(node))
    try:
        flow.see(next(talking))
        for at in range(node.number):
            flow.see(talking.send(f"said {at}"))
        if node.number % 2:
            flow.see(talking.throw(Failed(node.number - 1)))
    except StopIteration as over:
        flow.see(("returned", over.value))
    except (Refused, Failed) as error:
        flow.see(seen_of(error))
    finally:
        talking.close()


def _value(node: Node, flow: Flow) -> None:
    values: list[Callable[[], Any]] = [agentrace.now, agentrace.uuid4, agentrace.random]
    reached = world_or_none()
    if getattr(here, "pooled", False) and reached is not None:
        reached.thread_goes_on()
        reached.thread_waits()
    flow.see(values[node.number % 3]())


def _pool(node: Node, flow: Flow) -> None:
    """Threads of a pool, whose results are taken as they complete."""
    noted()
    together: list[Any] = []
    children = flow.children(node, together)
    with ThreadPoolExecutor(node.number) as pool:
        futures = {pool.submit(in_thread, part, one): one for part, one in zip(node.parts, children, strict=True)}
        for future in as_completed(futures):
            together.append(futures[future].name)
            if future.result():
                world().noted()
    flow.see((together, [one.seen for one in children]), apart=True)


def _threads(node: Node, flow: Flow) -> None:
    """Threads that put what they have into a queue."""
    noted()
    together: list[Any] = []
    children = flow.children(node, together)
    done: queue.Queue[tuple[str, bool]] = queue.Queue()

    def body(part: Node, one: Flow) -> None:
        holds = False
        try:
            holds = in_thread(part, one)
        finally:
            done.put((one.name, holds))

    threads = [threading.Thread(target=body, args=given) for given in zip(node.parts, children, strict=True)]
    for thread in threads:
        thread.start()
    for _ in threads:
        name, holds = done.get()
        together.append(name)
        if holds:
            world().noted()
    for thread in threads:
        thread.join()
    flow.see((together, [one.seen for one in children]), apart=True)


def in_thread(node: Node, flow: Flow) -> bool:
    """The inside of a thread; whether its end is still to be noted."""
    here.pooled = True
    try:
        run(node, flow)
    except Failed as error:
        flow.see(seen_of(error), apart=True)
    finally:
        call(Node("call", name="ask", given="the end"), flow)
        here.pooled = False
    reached = world_or_none()
    return reached is not None and reached.hand_on()


def noted() -> None:
    """What this thread was answered has been noted."""
    reached = world_or_none()
    if reached is not None:
        reached.thread_goes_on()


DOES: dict[str, Callable[[Node, Flow], None]] = {
    "agent": _agent,
    "branch": _branch,
    "call": call,
    "each": _each,
    "loop": _loop,
    "pool": _pool,
    "raise": _raise,
    "retry": _retry,
    "stream": _stream,
    "talk": _talk,
    "threads": _threads,
    "try": _try,
    "value": _value,
}
"""In a thread, by ``Node.do``."""
DOES_ASYNC: dict[str, Callable[[Node, Flow], Any]] = {}
"""In an event loop: ``random_loops`` says what."""
