"""``--tools auto``: what a request offers is recorded wherever the program holds it, and nothing else is."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from agentrace.query import inferred, replayable
from agentrace.testing import StubProvider, recorded
from tests.contract.recording import recording, replaying
from tests.unit import offered_shapes
from tests.unit.offered_shapes import (
    FOUND,
    NOT_FOUND,
    Loading,
    chat_tools,
    described,
    offer,
    source,
    tools,
)
from tests.unit.openai_clients import HELLO, MODEL, client

url, load = offered_shapes.url, offered_shapes.load


# --- what is found ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", FOUND)
def test_a_tool_is_recorded_from_the_request_that_offers_it(shape: str, url: str, load: Loading) -> None:
    module = load(source(FOUND[shape]))
    unrecorded = module.use()

    with recorded(tools=["auto"]) as record:
        before = module.use()
        assert record.steps == []
        offer(url, "lookup")
        during = module.use()

    assert before == during == unrecorded == module.use()
    assert set(tools(record)) == {"lookup"}
    assert len(described(record).tools) >= 1
    assert described(record).missing_tools == {}
    assert record.trace.run.ended.faults == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("shape", FOUND)
def test_a_replay_answers_the_same_calls(shape: str, url: str, load: Loading) -> None:
    module = load(source(FOUND[shape]))

    def program() -> Any:
        before = module.use()
        offer(url, "lookup")
        done = len(module.REAL)
        return before, module.use(), len(module.REAL) - done

    with recording(tools=["auto"]) as made:
        early, seen, calls = program()
    with replaying(made.record, {"tools": ["auto"]}) as again:
        early_again, seen_again, calls_again = program()

    assert again.tape is not None
    assert again.tape.verdict()[0] in ("exact", "exact_with_caveats")
    assert again.tape.latched is None
    assert (early_again, seen_again) == (early, seen)
    assert calls_again == 0, f"{calls_again} of {calls} calls were made for real"


@pytest.mark.parametrize("shape", FOUND)
def test_afterwards_everything_is_as_it_was(shape: str, url: str, load: Loading) -> None:
    module = load(source(FOUND[shape]))

    def functions() -> dict[str, Any]:
        held = [
            *vars(module).values(),
            *(m for c in vars(module).values() if isinstance(c, type) for m in vars(c).values()),
        ]
        plain = [value for value in held if inspect.isfunction(value)]
        return {f"{f.__qualname__} {number}": (f, f.__code__, dict(vars(f))) for number, f in enumerate(plain)}

    before = functions()
    with recorded(tools=["auto"]) as record:
        offer(url, "lookup")
        module.use()
    written = len(record.written)
    module.use()

    assert functions() == before
    assert len(record.written) == written


@pytest.mark.parametrize("shape", NOT_FOUND)
def test_what_is_not_found_is_told_with_the_reason(shape: str, url: str, load: Loading) -> None:
    text, reason = NOT_FOUND[shape]
    module = load(source(text))

    with recorded(tools=["auto"]) as record:
        offer(url, "lookup")
        module.use()

    assert tools(record) == []
    assert described(record).missing_tools == {"lookup": reason.format(module=module.__name__)}
    assert described(record).tools == []


def test_the_reason_stands_with_the_verdict_on_the_run(url: str) -> None:
    stub = StubProvider().tool_calls(("lookup", {"order": 1})).reply("done")
    with stub.serve() as address, recording(tools=["auto"]) as made:
        asked = client(address).chat.completions.create(model=MODEL, messages=HELLO, tools=chat_tools("lookup"))
        message = asked.choices[0].message
        assert message.tool_calls is not None
        answer: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "1"}
        told: Any = [*HELLO, message.model_dump(exclude_none=True), answer]
        client(address).chat.completions.create(model=MODEL, messages=told, tools=chat_tools("lookup"))

    (reason,) = replayable(made.record, inferred(made.record)).because
    assert reason.startswith("the tool lookup ran once without being recorded: no function that the program's modules")


# --- what is left alone -------------------------------------------------------------------------------------


def test_functions_of_libraries_are_never_touched(url: str, load: Loading, tmp_path: Path) -> None:
    text = "def lookup(order): return order\nTOOLS = {'lookup': lookup}\nclass Shop:\n    lookup = lookup"
    places = ("lib/site-packages", "lib/dist-packages", "layer")
    libraries = [load(text, place) for place in places]
    info = tmp_path / "layer" / "shop-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text(f"{libraries[-1].__name__}.py,sha256=x,10\n")
    names = ", ".join(f"{library.__name__} as l{number}" for number, library in enumerate(libraries))
    held = ", ".join(f"l{number}.lookup" for number in range(len(libraries)))
    own = load(f"import {names}\nTOOLS = [{held}]\nlookup = TOOLS[0]")
    codes = [library.lookup.__code__ for library in libraries]

    with recorded(tools=["auto"]) as record:
        offer(url, "lookup")
        assert [library.lookup.__code__ for library in libraries] == codes
        assert [tool(1) for tool in own.TOOLS] == [1, 1, 1]

    assert tools(record) == []
    assert "lookup" in described(record).missing_tools


def test_beside_what_pip_put_there_a_program_is_still_its_own(url: str, load: Loading, tmp_path: Path) -> None:
    module = load("def lookup(order): return order", "task")
    info = tmp_path / "task" / "shop-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("shop/__init__.py,sha256=x,10\n")

    with recorded(tools=["auto"]) as record:
        offer(url, "lookup")
        module.lookup(1)

    assert tools(record) == ["lookup"]


def test_what_a_decorator_records_already_is_recorded_once(url: str, load: Loading) -> None:
    module = load("import agentrace\n@agentrace.tool(name='mine')\ndef lookup(order): return order\n")

    with recorded(tools=["auto"]) as record:
        offer(url, "lookup")
        module.lookup(1)

    assert tools(record) == ["mine"]


def test_names_and_auto_together_record_each_function_once(url: str, load: Loading) -> None:
    module = load("def lookup(order): return order\ndef other(order): return order\n")

    with recorded(tools=["auto", f"{module.__name__}:lookup"]) as record:
        module.lookup(0)
        module.other(0)
        offer(url, "lookup", "other")
        module.lookup(1)
        module.other(1)

    assert tools(record) == ["lookup", "lookup", "other"]
    assert described(record).tools == [f"{module.__name__}:{name}" for name in ("lookup", "other")]
    started = record.trace.run.started
    assert started is not None
    assert started.tools == ["auto", f"{module.__name__}:lookup"]


def test_nothing_of_the_program_is_asked(url: str, load: Loading) -> None:
    text = """
class Proxy:
    asked = []
    @property
    def __class__(self): self.asked.append("class"); return dict
    def __getattr__(self, name): self.asked.append(name); raise AttributeError(name)
    def __eq__(self, other): self.asked.append("eq"); return True
    __hash__ = object.__hash__
class Meta(type):
    def __getattribute__(cls, name): Proxy.asked.append(name); return super().__getattribute__(name)
class Odd(metaclass=Meta):
    pass
proxy = Proxy()
TOOLS = {"lookup": Proxy(), "other": [Proxy()], proxy: 1}
LIST = [Proxy()]
Proxy.asked.clear()
"""
    module = load(text)

    with recorded(tools=["auto"]):
        offer(url, "lookup", "other")

    assert module.Proxy.asked == []


def test_without_the_setting_nothing_is_looked_at(url: str, load: Loading) -> None:
    module = load("def lookup(order): return order\n")
    with recorded() as record:
        offer(url, "lookup")
        module.lookup(1)
    assert tools(record) == []
