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
WAYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
NOBODY = dict.fromkeys((*WAYS, "ANTHROPIC_BASE_URL"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_a_replay_needs_no_key(place: Place, way: str) -> None:
    program = place.write("program.py", AGENT)
    stub = StubProvider().reply("Hello.").error(529, retry_after_ms=1).reply("one two three")
    secret = "sk-ant-api03-0123456789abcdef0123456789abcdef-AAAAAA"

    with stub.serve() as url:
        recorded = place.run(PYTHON, program, env={**NOBODY, "ANTHROPIC_BASE_URL": url, way: secret})
    replayed = place.replay("@last", "--", PYTHON, program, env=NOBODY)
    signed_in = place.replay("@last", "--", PYTHON, program, env={**NOBODY, way: "another"})

    assert (recorded.code, recorded.err, recorded.out.splitlines()[0]) == (0, "", "Hello.")
    assert (replayed.code, replayed.out) == (signed_in.code, signed_in.out) == (0, recorded.out)
    assert ["replay exact" in line for done in (replayed, signed_in) for line in done.own_words] == [True, True]
    assert [line for done in (replayed, signed_in) for line in done.err.splitlines()] == [
        *replayed.own_words,
        *signed_in.own_words,
    ]
    kept = b"".join(file.read_bytes() for file in place.store.rglob("*") if file.is_file())
    assert secret.encode() not in kept
