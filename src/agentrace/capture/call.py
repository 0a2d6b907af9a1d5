"""One recorded call: ``begin``, any number of ``chunk``, exactly one end.

Every shape of callable (function, coroutine, generator, async generator), every integration and ``step(...)`` go
through these few functions; nothing else writes step events. Each catches agentrace's own faults, so a caller needs no
guard around them. Entering and leaving the step's flow is the caller's, who knows when control passes.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any, Final
from weakref import ref

from msgspec import Raw

from agentrace import events
from agentrace.capture import process
from agentrace.capture.arguments import counting
from agentrace.capture.codec import CANONICAL, kept
from agentrace.capture.failure import describe
from agentrace.capture.guard import fault
from agentrace.capture.ordinals import ProcessScope
from agentrace.capture.scope import Flow
from agentrace.capture.step import Spec, Step
from agentrace.capture.texts import sayable
from agentrace.errors import ReplayDivergence


def begin(spec: Spec, arguments: Any, frames: int = 1) -> Step | None:
    """Write ``StepDispatched`` and return the step; ``None`` when nothing is recorded or recording it failed.

    ``frames`` is the number of agentrace's own frames between this function and the program.
    """
    recording = process.current
    if recording is None:
        return None
    try:
        if recording.main_may_be_ready is not None:
            recording.prepare()
        outer = recording.flow()
        run = outer.run
        if spec.offered and spec.offered not in run.offered:
            return None
        if not run.opened:
            if not run.sampled:
                return _begun_unwritten(spec, outer)
            run.open()
        value, fidelity = run.encoder.encode_json(arguments) if spec.json else run.encoder.encode(arguments)
        if spec.ignore and fidelity != "exact":
            fidelity = run.encoder.encode(counting(arguments, spec.ignore))[1]
        besides = recording.scope.besides
        loop = recording.scope.running_loop()
        if loop is not None:
            _seen_in_loop(recording.scope, outer, loop)
        step = Step(spec, outer, next(outer.ordinals), value)
        run.steps += 1
        try:
            site = call_site(sys._getframe(frames))
        except ValueError:  # the interpreter itself made the call, as it does at exit
            site = ""
        seq = run.next_seq()
        try:
            data = events.encode_fields(
                (
                    events.STEP_DISPATCHED,
                    seq,
                    step.id,
                    run.clock.wall_ns(),
                    spec.kind,
                    spec.name,
                    spec.operation,
                    outer.parent,
                    outer.path,
                    step.ordinal,
                    outer.shared or (bool(besides) and recording.scope.beside_others()),
                    outer.thread,
                    outer.task,
                    0 if loop is None or outer.loop is None else outer.loop.ordinal,
                    value,
                    fidelity,
                    spec.integration,
                    site,
                    spec.effects,
                    spec.replay,
                    0 if loop is None else run.process.tick(outer),
                    spec.ignore,
                )
            )
        except BaseException:
            run.give_up(seq)
            raise
        run.write(data)
        return step
    except Exception as error:
        fault(error)
        return None


def _begun_unwritten(spec: Spec, outer: Flow) -> Step:
    outer.run.steps += 1
    return Step(spec, outer, next(outer.ordinals), events.NO_VALUE)


def _ends(step: Step) -> bool:
    """Note that the step is over, once; whether that is to be written."""
    if step.ended or step.run.closed:
        return False
    step.ended = True
    step.let_go()
    return step.run.sampled


def complete(step: Step, output: Any, outcome: str = "ok") -> None:
    """Write ``StepCompleted`` with the value the call returned."""
    if step.ended or step.run.closed:  # as in _ends, but for the call of it, which every recorded call would pay
        return
    step.ended = True
    step.let_go()
    if not step.run.sampled:
        return
    try:
        if step.notes is not None:
            step.notes.settle()
        if step.chunks or step.shape:
            step.run.unfinished.pop(step, None)
        value, fidelity = step.run.encoder.encode(output)
        codec = CANONICAL
        if fidelity == "opaque" and step.spec.codec is not None:
            value, fidelity, codec = kept(step.spec.codec, output, step.run.encoder)
        _completed(step, value, fidelity, outcome, codec)
    except Exception as error:
        fault(error)


def complete_by_exchange(step: Step, outcome: str = "ok") -> None:
    """Write ``StepCompleted`` for a call whose output is made again from its recorded exchanges."""
    if not _ends(step):
        return
    try:
        if step.notes is not None:
            step.notes.settle()
        _completed(step, events.NO_VALUE, "exchange", outcome)
    except Exception as error:
        fault(error)


def fail(step: Step, error: BaseException, source: str = "") -> None:
    """Write ``StepFailed``. A cancellation is told as such, with its ``source``."""
    if isinstance(error, ReplayDivergence) or not _ends(step):
        return
    try:
        run = step.run
        tick, behind = run.process.place(step.outer)
        if step.notes is not None:
            step.notes.settle()
        if step.chunks or step.shape:
            run.unfinished.pop(step, None)
        cancelled = is_cancellation(error)
        if cancelled and not source:
            source = "generator" if isinstance(error, GeneratorExit) else "task"
        failure = describe(error, run.encoder.encode, run.clean)
        run.emit(
            events.StepFailed,
            step.id,
            "cancelled" if cancelled else "error",
            failure,
            source,
            step.chunks,
            step.elapsed_ns(),
            step.first_chunk_ns,
            tick,
            step.exchanges,
            step.shape,
            behind,
            step.drawn(),
        )
    except Exception as own:
        fault(own)


def is_cancellation(error: BaseException) -> bool:
    """Whether the call was told to stop: by its event loop or hub, or because its generator was closed.

    A future that was cancelled raises an ordinary exception of the same name in whoever asks for its result.
    """
    if isinstance(error, Exception):
        return False
    return isinstance(error, GeneratorExit) or any(map(_stops, type(error).__mro__))


def _stops(cls: type) -> bool:
    package = _OF_OTHERS.get(cls.__name__)
    return cls.__name__ == "CancelledError" or (package is not None and str(cls.__module__).startswith(package))


_OF_OTHERS: Final = {"Cancelled": "trio", "GreenletExit": "greenlet", "Timeout": "gevent."}
"""By name, the package of exceptions other than ``CancelledError`` by which calls are told to stop."""


def chunk(step: Step, op: str, value: Any) -> None:
    """Write one element of a stream as it passes."""
    if step.ended or step.run.closed or not step.run.sampled:
        return
    try:
        at_ns = step.elapsed_ns()
        if not step.first_chunk_ns:
            step.first_chunk_ns = at_ns
        if not step.chunks:
            step.run.unfinished[step] = lambda: complete(step, None, "closed_by_consumer")
        data, fidelity = step.run.encoder.encode(value)
        if fidelity == "opaque" and op == "yield" and step.spec.codec is not None:
            data, _, _ = kept(step.spec.codec, value, step.run.encoder)
        place = step.run.process.place(step.outer)
        told = events.Chunk(at_ns, op, data, random=step.drawn())
        step.run.emit(events.StreamChunks, step.id, 0, step.passed, [told], *place)
        step.passed += 1
        step.chunks += op == "yield"
    except Exception as error:
        fault(error)


def _completed(step: Step, value: Raw, fidelity: str, outcome: str, codec: str = CANONICAL) -> None:
    run = step.run
    tick, behind = run.process.place(step.outer)
    seq = run.next_seq()
    try:
        data = events.encode_fields(
            (
                events.STEP_COMPLETED,
                seq,
                step.id,
                run.clock.wall_ns(),
                value,
                fidelity,
                codec,
                outcome,
                step.chunks,
                run.clock.monotonic_ns() - step.started_ns,
                step.first_chunk_ns,
                tick,
                step.exchanges,
                step.shape,
                behind,
                step.drawn(),
            )
        )
    except BaseException:
        run.give_up(seq)
        raise
    run.write(data)


def _seen_in_loop(scope: ProcessScope, flow: Flow, loop: Any) -> None:
    """Note which loop and task use ``flow``: a second task makes its order a matter of timing."""
    if flow.loop is None or flow.loop.of() is not loop:
        flow.loop = scope.loop_state(loop)
        flow.loop.run = ref(flow.run)
    flow.used_by(scope.current_task())


_sites: dict[int, tuple[CodeType, dict[int, str]]] = {}
_MOST_SITES: Final = 10_000


def call_site(frame: FrameType | None) -> str:
    """``file:line function`` of the nearest frame that is not a library's."""
    while frame is not None:
        code = frame.f_code
        known = _sites.get(id(code))
        if known is None or known[0] is not code:
            if len(_sites) > _MOST_SITES:
                _sites.clear()
            known = _sites[id(code)] = (code, {})
            if is_library(code.co_filename):
                known[1][-1] = ""
        if -1 not in known[1]:
            site = known[1].get(frame.f_lasti)
            if site is None:
                place = f"{code.co_filename}:{frame.f_lineno} {code.co_qualname}"
                site = known[1][frame.f_lasti] = sayable(place)
            return site
        frame = frame.f_back
    return ""


_LIBRARIES: Final = tuple({sys.prefix + "/lib/", sys.base_prefix + "/lib/", __file__.rpartition("/capture/")[0] + "/"})


def is_library(filename: str) -> bool:
    """Whether a file of code is the standard library's, an installed one's or ours."""
    installed = "/site-packages/" in filename or "/dist-packages/" in filename
    return installed or filename.startswith((*_LIBRARIES, "<frozen", "<agentrace"))
