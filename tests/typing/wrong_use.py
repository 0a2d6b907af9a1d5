# pyright: reportUnnecessaryTypeIgnoreComment=true, reportUnusedExpression=false, reportUnusedCoroutine=false
"""What type checkers refuse: each `ignore` is an error of both, and one that is none any more is told to be needless."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import agentrace
from agentrace import Codec, run, step, tool, trace


@tool
def lookup(order: int, *, limit: int = 3) -> str:
    return ""


@trace(name="x")
async def fetch(order: int) -> str:
    return ""


lookup()  # type: ignore[call-arg]
lookup("a")  # type: ignore[arg-type]
lookup(1, 2)  # type: ignore[call-arg]
lookup(1, limits=2)  # type: ignore[call-arg]
number: int = lookup(1)  # type: ignore[assignment]
text: str = fetch(1)  # type: ignore[assignment]

tool(5)  # type: ignore[call-overload]
tool("lookup")  # type: ignore[call-overload]
tool(names="x")  # type: ignore[call-overload]
tool(effects="writes")  # type: ignore[call-overload]
tool(replay="never")  # type: ignore[call-overload]
tool(ignore=5)  # type: ignore[call-overload]
tool(ignore=[1])  # type: ignore[list-item]
tool(codec="json")  # type: ignore[call-overload]

Codec("x/1")  # type: ignore[call-arg]
Codec("x/1", "encode", bytes)  # type: ignore[arg-type]
Codec(1, bytes, bytes)  # type: ignore[arg-type]
codec = Codec("x/1", bytes, bytes)
codec.name = "y"  # type: ignore[misc]

step()  # type: ignore[call-arg]
step("x", kind="toll")  # type: ignore[arg-type]
run(5)  # type: ignore[arg-type]
with step("x") as planned:
    planned.outputs = 1  # type: ignore[attr-defined]

agentrace.getenv()  # type: ignore[call-overload]
nothing = agentrace.nothing  # type: ignore[attr-defined]
agentrace.now("UTC")  # type: ignore[arg-type]


class Shop:
    @tool
    def buy(self, item: str) -> str:
        return item

    @property
    @tool
    def sign(self) -> str:
        return ""

    @tool
    def all(self) -> Iterator[int]:
        yield 1


Shop().buy(1)  # type: ignore[arg-type]
Shop().sign()  # type: ignore[operator]
Shop().sign = "x"  # type: ignore[misc]
items: list[int] = Shop().all()  # type: ignore[assignment]
wrong: Any = agentrace.ASGIMiddleware(1)  # type: ignore[arg-type]

recordings = agentrace.open()
agentrace.open(5)  # type: ignore[arg-type]
agentrace.open("a", "b")  # type: ignore[call-arg]
recordings[0]  # type: ignore[index]
recordings.run(7)  # type: ignore[arg-type]
recordings.runs("failed")  # type: ignore[call-arg]
recordings.runs(since="yesterday")  # type: ignore[arg-type]
recordings.runs(limit="5")  # type: ignore[arg-type]
recordings.runs(name=["a"])  # type: ignore[arg-type]
recordings.runs(stat="failed")  # type: ignore[call-arg]
recordings.sql()  # type: ignore[call-arg]
recordings.run().name = "x"  # type: ignore[misc]
recordings.run().step("1")  # type: ignore[arg-type]
recordings.run().steps().to_panda()  # type: ignore[attr-defined]
recordings.run().duration + 1  # type: ignore[operator]
parent_name: str = recordings.step("@last:1").parent.name  # type: ignore[union-attr]
started: str = recordings.run().started  # type: ignore[assignment]
recordings.runs(status="compleeted")  # type: ignore[arg-type]
recordings.steps(kind=["toll"])  # type: ignore[list-item]
recordings.messages(role="human")  # type: ignore[arg-type]
