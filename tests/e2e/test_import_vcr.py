"""A team moves: its cassettes are imported, looked at, and its program and tests run from them offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentrace.testing import StubProvider
from tests.e2e.place import AGENTRACE, PYTHON, Done, Place

pytest.importorskip("vcr", reason="vcrpy records the cassettes")

AGENT = """
import asyncio
import os
import sys
import openai

async def main():
    async with openai.AsyncOpenAI(base_url=os.environ["MODELS"], api_key="sk-proj-0123456789abcdef0123456789abcdef") as client:
        async def ask(what):
            messages = [{"role": "user", "content": what}]
            answer = await client.chat.completions.create(model="gpt-4o-mini", messages=messages)
            return answer.choices[0].message.content
        for text in await asyncio.gather(*map(ask, sys.argv[1:])):
            print(text)

if __name__ == "__main__":
    asyncio.run(main())
"""

RECORDING = """
import asyncio
import vcr
import agent

with vcr.use_cassette("cassettes/test_agent/test_answers.yaml"):
    asyncio.run(agent.main())
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Done]:
    """A place with an agent, a cassette of it in pytest-recording's layout, and what it printed then."""
    root = tmp_path_factory.mktemp("recorded")
    with StubProvider(seed=5).serve() as url:
        place = Place(root, {"MODELS": f"{url}/v1"})
        place.write("agent.py", AGENT)
        place.write("record.py", RECORDING)
        done = place.do(PYTHON, "record.py", "one", "two", "three")
    assert done.code == 0, done.err
    place.write("cassettes/compose.yaml", "services: {}")
    return place, done


def command(place: Place, *arguments: object, code: int = 0) -> Done:
    done = place.do(AGENTRACE, *arguments)
    assert done.code == code, done
    return done


def test_a_directory_of_cassettes_becomes_a_trace_file_and_the_program_replays_from_it(
    recorded: tuple[Place, Done],
) -> None:
    place, live = recorded

    imported = command(place, "import-vcr", "cassettes", "-o", "traces.agentrace")
    listed = json.loads(command(place, "ls", "--json", "traces.agentrace").out)
    shown = command(place, "show", "traces.agentrace")
    replayed = command(place, "replay", "traces.agentrace", "--", PYTHON, "agent.py", "three", "one", "two")

    assert imported.out.splitlines()[:2] == [
        "1 cassette, 3 requests: 3 model",
        "left out, no cassettes: cassettes/compose.yaml",
    ]
    assert (listed["name"], listed["mode"], listed["steps"]) == ("test_agent/test_answers", "import", 3)
    assert listed["input_tokens"] > 0
    assert "gpt-4o-mini" in shown.out
    assert "imported" in shown.out
    assert sorted(replayed.out.splitlines()) == sorted(live.out.splitlines())
    (verdict,) = [line for line in replayed.own_words if "replay" in line]
    assert verdict.startswith("agentrace: replay exact_with_caveats [IMPORTED: it was imported from a cassette")
    assert "3 calls answered from the record, no connection made" in verdict
    assert b"sk-proj-0123" not in (place.root / "traces.agentrace").read_bytes()


def test_a_changed_program_diverges(recorded: tuple[Place, Done]) -> None:
    place, _ = recorded
    command(place, "import-vcr", "cassettes/test_agent/test_answers.yaml", "-o", "one.agentrace")

    diverged = command(place, "replay", "one.agentrace", "--", PYTHON, "agent.py", "one", "2", code=3)

    assert "CALL_CHANGED" in diverged.err


def test_a_cassette_is_imported_into_the_store_once(recorded: tuple[Place, Done]) -> None:
    place, _ = recorded

    first = command(place, "import-vcr", "cassettes")
    second = command(place, "import-vcr", "cassettes")

    assert f"1 run imported into {place.store}" in first.out
    assert second.out.endswith(f"0 runs imported into {place.store}\n1 run there already\n")
    assert command(place, "verify", "test_agent/test_answers").out.startswith("ok")
    assert "model" in command(place, "sql", "select kind from steps").out


def test_nothing_is_imported_where_one_of_them_is_broken(recorded: tuple[Place, Done], tmp_path: Path) -> None:
    place = Place(tmp_path, recorded[0].variables)
    place.write("cassettes/a.yaml", (recorded[0].root / "cassettes/test_agent/test_answers.yaml").read_text())
    place.write("cassettes/b.yaml", "interactions: [{request: {}}]")

    refused = command(place, "import-vcr", "cassettes", code=2)

    assert "cassettes/b.yaml, interaction 1: response is missing" in refused.err
    assert "docs/errors.md#cassette-damaged" in refused.err
    assert command(place, "ls").err.startswith("no runs")
    both = command(place, "import-vcr", "cassettes", "-o", "x.agentrace", "--home", "store", code=2)
    assert "say one of -o and --home" in both.err


def test_a_test_runs_from_an_imported_trace(recorded: tuple[Place, Done]) -> None:
    place, _ = recorded
    written = command(place, "import-vcr", "cassettes", "-o", "traces/")
    assert written.out.endswith("1 trace file in traces/\n")
    place.write(
        "test_agent.py",
        """
        import asyncio, sys
        import pytest
        import agent

        @pytest.mark.agentrace
        def test_answers(monkeypatch, capsys, agentrace_run):
            monkeypatch.setattr(sys, "argv", ["agent.py", "one", "two", "three"])
            asyncio.run(agent.main())
            print(agentrace_run.verdict)
            assert agentrace_run.verdict == "exact_with_caveats"
        """,
    )

    tested = place.do(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_agent.py")

    assert tested.code == 0, tested.out
