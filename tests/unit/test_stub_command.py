"""The stub provider told by a file, and run as a command."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentrace.errors import ConfigError
from agentrace.testing import Reply, StubProvider
from tests.unit.openai_clients import HELLO, MODEL, client, posted


def ask(url: str, text: str) -> str | None:
    answer = client(url).chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content


# --- files --------------------------------------------------------------------------------------------------


def test_a_file_says_the_same_as_the_words(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text(
        json.dumps(
            {
                "seed": 3,
                "latency": [0.0, 0.001],
                "script": [
                    {"reply": "Hello", "delay": 0.1, "usage": {"input": 9}},
                    {"reply": {"a": 1}, "on": "chat"},
                    {"tool_calls": [["get_weather", {"city": "Oslo"}], ["get_time", {}]]},
                    {"refusal": "No."},
                    {"when": "weather", "times": 2, "reply": "Rain."},
                    {"error": 429, "retry_after": 0.01},
                    {"drop": 2, "how": "close", "of": {"text": "abc"}},
                    {"drop": None},
                    {"embedding": [[0.1, 0.2], [0.3, 0.4]]},
                ],
            }
        )
    )

    stub = StubProvider.from_file(file)
    told = (
        StubProvider(seed=3)
        .reply("Hello", delay=0.1, usage={"input": 9})  # type: ignore[arg-type]  # as the file has it
        .reply({"a": 1}, on="chat")
        .tool_calls(("get_weather", {"city": "Oslo"}), ("get_time", {}))
        .refusal("No.")
        .error(429, retry_after=0.01)
        .drop(2, how="close", of=Reply(text="abc"))
        .drop()
        .embedding([0.1, 0.2], [0.3, 0.4])
    )

    assert stub.remaining == told.remaining


def test_rules_and_seed_of_a_file_hold(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text('{"seed": 3, "script": [{"when": "weather", "times": 1, "reply": "Rain."}]}')

    def answers(stub: StubProvider) -> list[str | None]:
        with stub.serve() as url:
            return [ask(url, "weather"), ask(url, "weather"), ask(url, "news")]

    first, again, other = (answers(StubProvider.from_file(file, seed=seed)) for seed in (None, 3, 4))

    assert first == again
    assert first[0] == other[0] == "Rain."
    assert first[1:] != other[1:]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"scripts": []}', "unknown field `scripts`"),
        ('{"script": [{"text": "x"}]}', "an item of the script has to have one word, this has 0"),
        ('{"script": [{"reply": "x", "error": 429}]}', "this has 2"),
        ('{"script": [{"error": "x"}]}', "Expected `int`, got `str`"),
        ('{"script": [{"reply": "x", "when": 1}]}', "a rule of the script cannot be read"),
        ('{"script": [{"reply": "x", "times": 1}]}', "a rule of the script cannot be read"),
        ('{"script": [{"reply": "x", "when": "y", "times": "z"}]}', "a rule of the script cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "script.json"
    file.write_text(text)

    with pytest.raises(ConfigError) as wrong:
        StubProvider.from_file(file)

    assert says in str(wrong.value)
    assert wrong.value.do


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json cannot be read"):
        StubProvider.from_file(tmp_path / "none.json")


# --- the command --------------------------------------------------------------------------------------------


COMMAND = [sys.executable, "-m", "agentrace.testing.stub"]


def command(*arguments: str) -> subprocess.Popen[str]:
    arguments = (*COMMAND, *arguments)
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"script": [{"reply": "From a file"}]}')

    with command("--port", "0", "--script", str(script), "--print-url", "--seed", "5") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        content = posted(url, "/chat/completions", {"model": MODEL, "messages": HELLO}).json()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert content["choices"][0]["message"]["content"] == "From a file"
    assert content["created"] == 1_790_000_000
    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"script": [{"rpely": "x"}]}')

    with StubProvider().serve() as url:
        port = url.rpartition(":")[2]
        said = [
            subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
            for arguments in (["--script", str(script)], ["--port", port])
        ]

    assert [(one.returncode, one.stdout) for one in said] == [(2, ""), (2, "")]
    assert "an item of the script has to have one word" in said[0].stderr
    assert "in use" in said[1].stderr
    assert not any("Traceback" in one.stderr for one in said)


def test_the_command_can_be_read_by_people() -> None:
    with command() as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()

    assert re.fullmatch(r"a stub provider answers on http://127\.0\.0\.1:\d+ until Ctrl-C\n", line)
