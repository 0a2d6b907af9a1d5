"""A program that signs in to its provider is replayed where nobody can."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrace.testing import StubProvider
from tests.e2e.place import PYTHON, Place

AGENT = """
    import anthropic

    client = anthropic.Anthropic(max_retries=1)
    ask = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}
    print(client.messages.create(**ask).content[0].text)
    with client.messages.stream(**ask) as stream:
        print("".join(stream.text_stream), stream.get_final_message().usage.output_tokens)
"""
NOBODY = dict.fromkeys(("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"))
SECRET = "sk-ant-api03-0123456789abcdef0123456789abcdef-AAAAAA"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("recorded_with", "replayed_with"),
    [({"ANTHROPIC_API_KEY": SECRET}, {}), ({"ANTHROPIC_AUTH_TOKEN": SECRET}, {"ANTHROPIC_AUTH_TOKEN": "another"})],
)
def test_a_replay_needs_no_key(place: Place, recorded_with: dict[str, str], replayed_with: dict[str, str]) -> None:
    program = place.write("program.py", AGENT)
    stub = StubProvider().reply("Hello.").error(529, retry_after_ms=1).reply("one two three")

    with stub.serve() as url:
        recorded = place.run(PYTHON, program, env={**NOBODY, "ANTHROPIC_BASE_URL": url, **recorded_with})
    replayed = place.replay("@last", "--", PYTHON, program, env={**NOBODY, **replayed_with})

    assert (recorded.code, recorded.err, recorded.out.splitlines()[0]) == (0, "", "Hello.")
    assert (replayed.code, replayed.out) == (0, recorded.out)
    (line,) = replayed.err.splitlines()  # and no warning that one key is used for another
    assert "replay exact" in line
    kept = b"".join(file.read_bytes() for file in place.store.rglob("*") if file.is_file())
    assert SECRET.encode() not in kept
