"""The semantic layer: a library's single request funnel, recorded as one step per call the program made.

The funnel sits above the library's retries and below its helpers. Its step is open while the library works, so that the
wires below store their exchanges under it; a streamed answer ends the step when its last exchange ends.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from agentrace.capture import process
from agentrace.capture.answers import answering
from agentrace.capture.call import begin, fail
from agentrace.capture.exchange import returned
from agentrace.capture.guard import fault
from agentrace.capture.scope import FLOW
from agentrace.capture.step import Spec, Step
from agentrace.integrations.declaration import Integration


def funnel(integration: Integration) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """How to replace a request funnel of ``integration``, sync or async."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(original):
            return _async_funnel(integration, original)
        return _sync_funnel(integration, original)

    return make


def _sync_funnel(integration: Integration, original: Callable[..., Any]) -> Callable[..., Any]:
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        step = _begin(integration, args, kwargs)
        if step is None:
            return original(self, *args, **kwargs)
        answering(step)
        FLOW.set(step)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            FLOW.set(step.outer)
            fail(step, error)
            raise
        FLOW.set(step.outer)
        returned(step)
        return result

    return request


def _async_funnel(integration: Integration, original: Callable[..., Any]) -> Callable[..., Any]:
    async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        step = _begin(integration, args, kwargs)
        if step is None:
            return await original(self, *args, **kwargs)
        answering(step)
        FLOW.set(step)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            FLOW.set(step.outer)
            fail(step, error)
            raise
        FLOW.set(step.outer)
        returned(step)
        return result

    return request


@lru_cache(maxsize=1024)
def spec_of(integration: str, kind: str, operation: str, json: bool) -> Spec:
    """What is known of a call of ``operation`` before it is made."""
    name = f"{integration}.{operation.partition(':')[0].replace('/', '.')}"
    return Spec(kind, name, operation, integration, json=json)


def _begin(integration: Integration, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | None:
    """The step of a funnel call; ``None`` if nothing is recorded or the call comes from inside another funnel call."""
    recording = process.current
    if recording is None:
        return None
    try:
        recording.prepare()
        enclosing = recording.enclosing()
        if enclosing is not None and enclosing.spec.integration == integration.name:
            return None
        told = integration.reader.request(args, kwargs)
        if recording.tools_offered is not None:
            recording.offer(integration.offered(told.input))
        spec = spec_of(integration.name, told.kind, told.operation, told.json)
    except Exception as error:
        fault(error)
        return None
    return begin(spec, told.input, 3)
