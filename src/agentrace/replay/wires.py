"""What the record of a whole run holds of its wires: who was asked, and where clients signed in for themselves."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from typing import Final

from msgspec.structs import replace

from agentrace.capture.requests import Asked, asked, own, same
from agentrace.exchanges import Recorded
from agentrace.fold import ExchangeState
from agentrace.query import RunRecord

NOWHERE: Final = -1
"""Number of an exchange that has no place in the recorded order."""
_CREDENTIAL: Final = re.compile(rb'redacted:|"(?:access|id|refresh|session)_?token"', re.IGNORECASE)
"""What a body holds that hands out a credential, taken out of the record or not."""


class Wires:
    """The exchanges of a run, beyond those of one step."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record

    @property
    def hosts(self) -> Collection[str]:
        """Who was asked for anything."""
        return self._hosts

    @cached_property
    def _hosts(self) -> frozenset[str]:
        known = self._record.trace.exchanges.values()
        return frozenset(_asked(state).host for states in known for state in states.values() if state.started)

    def is_sign_in(self, request: Asked, operation: str) -> bool:
        """Whether a recorded request of a call is one by which its client signs in, of its own accord."""
        return not own(request, operation) and any(_place(request) == _place(asked) for asked, _, _ in self._sign_ins)

    def sign_in(self, request: Asked, operation: str, step: int) -> Recorded | None:
        """What a client was handed that signed in like this elsewhere: the last time before a step, else the next."""
        if own(request, operation):
            return None
        found = [(at, answer) for past, at, answer in self._sign_ins if same(past, request, operation, self.hosts)]
        before = [answer for at, answer in found if at <= step]
        answer = before[-1] if before else found[0][1] if found else None
        return None if answer is None else replace(answer, number=NOWHERE)

    @cached_property
    def _sign_ins(self) -> list[tuple[Asked, int, Recorded]]:
        """Requests that were answered with a credential, with their step and the answer, in the order of steps."""
        found: list[tuple[Asked, int, Recorded]] = []
        for step_id, states in sorted(self._record.trace.exchanges.items()):
            step = self._record.trace.steps.get(step_id)
            if step is None or not step.dispatched.integration:
                continue
            operation = step.dispatched.operation
            beside = {number for number, state in states.items() if not own(_asked(state), operation)}
            for recorded in self._record.exchanges(step_id) if beside else ():
                whole = 200 <= recorded.status < 300 and not recorded.closed and recorded.broken is None
                if recorded.number in beside and whole and _CREDENTIAL.search(b"".join(recorded.body)):
                    found.append((_asked(states[recorded.number]), step_id, recorded))
        return found


def _asked(state: ExchangeState) -> Asked:
    return asked("", "") if state.started is None else asked(state.started.method, state.started.url)


def _place(request: Asked) -> tuple[str, str, str]:
    return request.method, request.host, request.path
