"""``--tools auto`` in real processes: unmodified agents recorded, killed and replayed with nothing there any more."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrace.cli.replay import DIVERGED
from agentrace.testing import StubProvider
from tests.e2e.place import AGENTRACE, PYTHON, Place, names_of, status, told

AGENT = """
    import asyncio, json, os, sys, time

    SCHEMA = {"type": "object", "properties": {}}

    def lookup(order): return {"order": order, "read": open("stock").read()}
    async def refund(order):
        await asyncio.sleep(0.01 * (order % 3))
        return open("stock").read()
    def _weather(city): return f"sun in {city}, {time.time_ns()}"
    class Clerk:
        def ask(self, order): return [order, open("stock").read()]

    TOOLS = {"lookup": lookup, "refund": refund, "weather": _weather}
    clerk = Clerk()

    async def call(name, given):
        found = TOOLS.get(name) or getattr(clerk, name)
        made = found(**given)
        return json.dumps(await made if asyncio.iscoroutine(made) else made)

    async def by_openai(url):
        import openai
        asking = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
        tools = [{"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in [*TOOLS, "ask"]]
        said = [{"role": "user", "content": "Where is it?"}]
        while True:
            done = await asking.chat.completions.create(model="m", messages=said, tools=tools)
            answer = done.choices[0].message
            said.append(answer.model_dump(exclude_none=True))
            if not answer.tool_calls:
                return answer.content
            results = await asyncio.gather(
                *(call(c.function.name, json.loads(c.function.arguments)) for c in answer.tool_calls))
            for c, result in zip(answer.tool_calls, results):
                said.append({"role": "tool", "tool_call_id": c.id, "content": result})

    def by_anthropic(url):
        import anthropic
        from concurrent.futures import ThreadPoolExecutor
        asking = anthropic.Anthropic(base_url=url, api_key="k", max_retries=0)
        tools = [{"name": n, "input_schema": SCHEMA} for n in [*TOOLS, "ask"]]
        said = [{"role": "user", "content": "Where is it?"}]
        while True:
            with asking.messages.stream(model="m", max_tokens=99, messages=said, tools=tools) as stream:
                answer = stream.get_final_message()
            said.append({"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in answer.content]})
            used = [b for b in answer.content if b.type == "tool_use"]
            if not used:
                return answer.content[0].text
            with ThreadPoolExecutor(5) as pool:
                results = list(pool.map(lambda b: asyncio.run(call(b.name, b.input)), used))
            said.append({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": b.id, "content": r} for b, r in zip(used, results)]})

    print(lookup(0)["read"] if os.path.exists("stock") else "bare")
    url = os.environ["STUB"]
    print(by_anthropic(url) if sys.argv[1] == "anthropic" else asyncio.run(by_openai(url)))
"""
CALLS = (
    ("lookup", {"order": 1}),
    ("refund", {"order": 2}),
    ("weather", {"city": "Rome"}),
    ("ask", {"order": 3}),
    ("refund", {"order": 4}),
)
EXPECTED = ["ask", "lookup", "refund", "refund", "weather"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write("agent.py", AGENT)
    made.write("stock", "plenty")
    return made


@pytest.fixture
def url() -> Iterator[str]:
    with StubProvider().tool_calls(*CALLS).reply("On its way.").serve() as address:
        yield address


@pytest.mark.parametrize("library", ["openai", "anthropic"])
def test_an_unmodified_agent_is_replayed_with_everything_gone(library: str, place: Place, url: str) -> None:
    done = place.run("--tools", "auto", PYTHON, "agent.py", library, env={"STUB": url})
    source = place.the_run()
    place.write("stock", "none left")

    again = place.replay("@last", env={"STUB": "http://127.0.0.1:9"})

    assert (done.code, done.err, done.out) == (0, "", "plenty\nOn its way.\n")
    assert sorted(name for name in names_of(source) if "." not in name) == EXPECTED
    assert again.code == 0, again.err
    assert "agentrace: replay exact: 7 calls answered from the record" in again.err
    # What was called before anything was offered is the program's own doing, and done again.
    assert again.out == "none left\nOn its way.\n"
    # Threads begin as they like.
    assert sorted(map(repr, told(place.runs()[-1]))) == sorted(map(repr, told(source)))
    assert listed(place) == NAMES


NAMES = ["__main__:Clerk.ask", "__main__:_weather as weather", "__main__:lookup", "__main__:refund"]


def listed(place: Place) -> list[str]:
    """What the newest run says was recorded by name, the same for people and programs."""
    shown = " ".join(place.do(AGENTRACE, "show").out.split())
    names: list[str] = json.loads(place.do(AGENTRACE, "show", "--json").out)["recorded_by_name"]
    assert f"recorded by name: {', '.join(names)} replayable: yes" in shown
    return names


def test_a_run_killed_in_a_tool_is_replayed_up_to_there(place: Place, url: str) -> None:
    place.write(
        "agent.py",
        AGENT.replace(
            "def _weather(city): return", "def _weather(city):\n        os.kill(os.getpid(), 9)\n        return"
        ),
    )

    done = place.run("--tools", "auto", PYTHON, "agent.py", "anthropic", env={"STUB": url})
    source = place.the_run()
    again = place.replay("@last", "--", PYTHON, "agent.py", "anthropic", env={"STUB": "http://127.0.0.1:9"})

    assert done.code == -signal.SIGKILL
    assert status(source) == "interrupted"
    assert source.trace.run.started is not None
    assert source.trace.run.started.tools == ["auto"]
    assert "weather" in names_of(source)
    # The tool would have killed the process again.
    assert again.code == DIVERGED
    assert "RECORD_INCOMPLETE" in again.err


@pytest.mark.parametrize("by", ["pyproject", "code"])
def test_every_place_for_settings_has_it(by: str, place: Place, url: str) -> None:
    env = {"STUB": url}
    if by == "pyproject":
        place.write("pyproject.toml", '[tool.agentrace]\ntools = ["auto"]\n')
    else:
        made = place.root / "agent.py"
        made.write_text("import agentrace\nagentrace.init(tools=['auto'])\n" + made.read_text())

    command = [PYTHON, "agent.py", "openai"]
    done = place.do(*command, env=env) if by == "code" else place.run(*command, env=env)

    assert (done.code, done.err) == (0, "")
    assert sorted(name for name in names_of(place.the_run()) if "." not in name) == EXPECTED


def test_a_test_that_has_a_trace(place: Place, url: str) -> None:
    place.write("pyproject.toml", '[tool.agentrace]\ntools = ["auto"]\n')
    place.write(
        "test_agent.py",
        """
        import os, sys, asyncio, pytest
        sys.argv = ["agent.py", "none"]

        def lookup(order): return open("stock").read()
        TOOLS = {"lookup": lookup}

        @pytest.mark.agentrace
        def test_agent():
            import openai
            asking = openai.OpenAI(base_url=os.environ["STUB"] + "/v1", api_key="k", max_retries=0)
            tools = [{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}]
            said = [{"role": "user", "content": "Where is it?"}]
            asking.chat.completions.create(model="m", messages=said, tools=tools)
            assert TOOLS["lookup"](1) == "plenty"
        """,
    )

    recorded = place.do(PYTHON, "-m", "pytest", "-q", "--agentrace=record", env={"STUB": url})
    place.write("stock", "none left")
    (place.root / "pyproject.toml").unlink()
    replayed = place.do(PYTHON, "-m", "pytest", "-q", env={"STUB": "http://127.0.0.1:9"})

    assert recorded.code == 0, recorded.out
    assert replayed.code == 0, replayed.out


@pytest.mark.parametrize("given", ["[", "", " ", "shop.tools", "AUTO"])
def test_what_names_no_function_is_an_error_of_the_command(given: str, place: Place) -> None:
    done = place.run("--tools", given, PYTHON, "-c", "print('ran')")

    assert done.out == ""
    assert done.code != 0
    assert f"the option --tools is {given!r}" in done.err
    assert "--tools 'shop.tools:*'" in done.err
