"""Tests in a directory of their own that the real pytest runs, and what came of them."""

from __future__ import annotations

import re

from tests.e2e.place import PYTHON, Done, Place

KEY = "sk-proj-" + "q7Tz9mXw4B" * 5
NOWHERE = "http://127.0.0.1:9/v1"

CONFTEST = """
    import os
    import pytest
    from openai import AsyncOpenAI, OpenAI

    WORD = os.environ.get("WORD", "")

    def message(text):
        return {"model": "gpt-4o", "messages": [{"role": "user", "content": text + WORD}]}

    @pytest.fixture(scope="session")
    def address():
        return os.environ["ADDRESS"]

    @pytest.fixture
    def ask(address):
        client = OpenAI(base_url=address, max_retries=0)
        return lambda text: client.chat.completions.create(**message(text)).choices[0].message.content

    @pytest.fixture
    def ask_async(address):
        async def ask(text):
            # Closed here: left to the collector, it would be closed in the loop of whichever test runs at that moment.
            async with AsyncOpenAI(base_url=address, max_retries=0) as client:
                return (await client.chat.completions.create(**message(text))).choices[0].message.content
        return ask

    @pytest.fixture(scope="session")
    def anyio_backend():
        return "asyncio"
"""


def run_pytest(place: Place, *arguments: str, **variables: str | None) -> Done:
    """One run of pytest, without a key and without a provider unless they are given."""
    env = {"ADDRESS": NOWHERE, "OPENAI_API_KEY": None, "COLUMNS": "200", **variables}
    return place.do(PYTHON, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *arguments, env=env)


def outcomes(done: Done) -> dict[str, str]:
    """How each test ended, by its name without file and class."""
    found = re.findall(
        r"^(PASSED|FAILED|ERROR|XFAIL|XPASS) \S+?\.py::(?:\w+::)?(\w+(?:\[\S+\])?)", done.out, re.MULTILINE
    )
    return {name: outcome for outcome, name in found}


def failure(done: Done, test: str) -> str:
    """What pytest shows of a failed test."""
    found = re.search(
        rf"^_+ (?:\w+\.)?{re.escape(test)} _+\n(.*?)(?=^(?:_{{5,}} |={{5,}} ))", done.out, re.DOTALL | re.MULTILINE
    )
    assert found, done.out
    return found[1]


def traces(place: Place) -> dict[str, bytes]:
    """The trace files, with their bytes."""
    return {str(path.relative_to(place.root)): path.read_bytes() for path in place.root.rglob("*.agentrace")}
