"""An agent's loop that resends its growing history in each turn, through the real client.

Task: ``url``, ``turns``, ``pairs`` (that many last turns are also made unrecorded), ``rebuilt`` (each turn makes all
dicts and strings anew, as an agent does that keeps its history elsewhere), ``recorded``.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import openai

from benchmarks.programs import answer, settle

MODEL = "gpt-4o-mini"
SIZE = 1500
WORDS = 4000
LETTERS = "abcdefghijklmnopqrstuvwxyz"

Message = dict[str, str]
Pause = Callable[[], AbstractContextManager[None]]
"""Makes a block in which nothing is recorded."""


class Prose:
    """Texts of random words: like real ones they repeat words, and nothing longer."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        self._words = [
            "".join(self._random.choice(LETTERS) for _ in range(self._random.randint(2, 9))) for _ in range(WORDS)
        ]

    def text(self, number: int) -> str:
        """A text of SIZE characters."""
        parts, length = [f"turn-{number:06d} "], 0
        while length < SIZE:
            parts.append(self._random.choice(self._words) + " ")
            length += len(parts[-1])
        return "".join(parts)[:SIZE]


class Client:
    """The real client, with a clock around its ``post``.

    Before that the client turns the messages into what it will send, which takes it 90 ms at turn 200 and us nothing;
    in its noise what we add could not be seen.
    """

    def __init__(self, url: str) -> None:
        client = openai.OpenAI(base_url=f"{url}/v1", max_retries=0)
        post = client.post
        self.cpu = 0.0
        """Of the last call: microseconds of the calling thread from ``post`` to the answer."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.thread_time_ns()
            try:
                return post(*args, **kwargs)
            finally:
                self.cpu = (time.thread_time_ns() - start) / 1e3

        client.post = timed  # type: ignore[method-assign]
        self._client = client

    def ask(self, messages: Any) -> str:
        """The assistant's answer."""
        return self._client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content or ""


def main(task: dict[str, Any]) -> dict[str, Any]:
    """CPU of the last turns with and without recording (microseconds), bytes of JSON sent, peak memory (MB)."""
    if not task["recorded"]:
        return _measured(task, nullcontext)
    import agentrace
    from benchmarks.programs.unrecorded import unrecorded

    agentrace.init()
    with agentrace.run("history"):
        told = _measured(task, unrecorded)
    agentrace.shutdown()
    return {**told, "peak_mb": _peak_mb(), "faults": agentrace.status().faults}


def _measured(task: dict[str, Any], pause: Pause) -> dict[str, Any]:
    client, turns, prose = Client(task["url"]), task["turns"], Prose()
    history: list[Message] = [{"role": "system", "content": "You are an agent."}]
    texts = [prose.text(number) for number in range(turns)]
    cpu: dict[bool, list[float]] = {True: [], False: []}
    json_bytes = 0
    settle()
    for number in range(turns):
        history.append({"role": "user", "content": texts[number]})
        messages = _anew(history) if task["rebuilt"] else history
        said = ""
        for recorded in _order(number, turns - task["pairs"]):
            with nullcontext() if recorded else pause():
                said = client.ask(messages)
            cpu[recorded].append(client.cpu)
        json_bytes += len(json.dumps(messages))
        history.append({"role": "assistant", "content": said})
    return {
        "recorded": statistics.median(cpu[True][-task["pairs"] :]),
        "bare": statistics.median(cpu[False]),
        "json_bytes": json_bytes,
        "last": history[:-1],
        "peak_mb": _peak_mb(),
    }


def _order(number: int, first_pair: int) -> tuple[bool, ...]:
    """Whether the call of a turn is recorded; from ``first_pair`` on it is made twice, each way first in turn."""
    if number < first_pair:
        return (True,)
    return (True, False) if number % 2 else (False, True)


def _anew(history: list[Message]) -> list[Message]:
    return [{name: (text + " ")[:-1] for name, text in message.items()} for message in history]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    answer(main)
