"""What a record gives back: exchanges as wires play them, responses as JSON, and what is wrong with it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrace import events
from agentrace.errors import CorruptRecord, RunNotFound
from agentrace.exchanges import Recorded
from agentrace.query import Runs
from agentrace.store import RunRecord, ServerSentEvent, Store, responses, server_sent_events
from tests.unit.recorded_runs import MODEL, STREAM, Process, Writing, completion, failure, streamed


def over(root: Path, process: Process, run: Writing) -> RunRecord:
    """The record of the run, which ends here."""
    run.end(1000)
    process.close()
    return Store(root).record(run.id)


# --- exchanges ----------------------------------------------------------------------------------------------


def test_an_exchange_comes_back_as_it_was_recorded(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    model = run.step("model", "openai.chat.completions", 1, {}, **STREAM)
    run.unanswered(model, 2, 3, "httpx2:ConnectError")
    run.exchange(model, 4, 5, 429, {"error": "slow down"})
    run.exchange(model, 6, 9, 200, streamed(["a", "b"]))
    run.answered(model, 10, outcome="exhausted")

    refused, limited, good = over(tmp_path, process, run).exchanges(model)

    assert refused.error is not None
    assert (refused.status, refused.error.type, refused.body, refused.closed) == (0, "httpx2:ConnectError", [], False)
    assert (limited.status, limited.headers, limited.body) == (
        429,
        [("content-type", "application/json")],
        [b'{"error": "slow down"}'],
    )
    assert (good.number, good.status, len(good.body), good.closed) == (3, 200, 4, False)


def test_a_large_body_comes_back_from_where_it_is_stored(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    model = run.step("model", "openai.chat.completions", 1, {}, **MODEL)
    run.exchange(model, 2, 3, 200, completion("word " * 5000))
    run.answered(model, 4)

    record = over(tmp_path, process, run)
    facts = record.facts(model)

    assert facts is not None
    assert facts.text == "word " * 5000


@pytest.mark.parametrize(
    ("outcome", "error", "expected"),
    [
        ("exhausted", None, (None, False)),
        ("closed_by_consumer", None, (None, True)),
        ("error", "httpx2:ReadError", ("httpx2:ReadError", False)),
        ("", None, (None, True)),
    ],
)
def test_how_a_body_ended_is_told(
    tmp_path: Path, outcome: str, error: str | None, expected: tuple[str | None, bool]
) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    tool = run.step("tool", "GET /", 1)
    run.event(events.ExchangeStarted, tool, 1, 1, "httpx", "GET", "u")
    run.event(events.ExchangeAnswered, tool, 2, 1, 200)
    if outcome:
        run.event(events.ExchangeEnded, tool, 3, 1, outcome, failure(error) if error else None)

    (exchange,) = over(tmp_path, process, run).exchanges(tool)

    assert (exchange.broken and exchange.broken.type, exchange.closed, exchange.error) == (*expected, None)


def test_pieces_of_a_body_that_were_written_by_several_threads_are_put_in_order(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    tool = run.step("tool", "GET /", 1)
    run.event(events.ExchangeStarted, tool, 1, 1, "httpx", "GET", "u")
    for first, text in ((1, b"wor"), (0, b"hello "), (2, b"ld")):
        chunk = events.Chunk(1, "bytes", run.encoder.clean_bytes(text))
        run.event(events.StreamChunks, tool, 2, 1, first, [chunk])

    (exchange,) = over(tmp_path, process, run).exchanges(tool)

    assert b"".join(exchange.body) == b"hello world"


def test_a_body_that_is_no_bytes_is_refused(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    tool = run.step("tool", "GET /", 1)
    run.event(events.ExchangeStarted, tool, 1, 1, "httpx", "GET", "u")
    run.event(events.StreamChunks, tool, 2, 1, 0, [events.Chunk(1, "bytes", events.Raw(b"\xa5hello"))])
    record = over(tmp_path, process, run)

    with pytest.raises(CorruptRecord):
        record.exchanges(tool)


def test_what_a_generator_handed_over_comes_back_in_order(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    tool = run.step("tool", "numbers", 1)
    run.yielded(tool, 2, 0, 1, 2)
    run.yielded(tool, 3, 2, {"three": 3})

    record = over(tmp_path, process, run)

    assert [(chunk.op, record.values.python(chunk.data)) for chunk in record.elements(tool)] == [
        ("yield", 1),
        ("yield", 2),
        ("yield", {"three": 3}),
    ]


# --- what responses mean ------------------------------------------------------------------------------------


def body(content: bytes, kind: str = "application/json") -> Recorded:
    """A response."""
    return Recorded(1, status=200, headers=[("Content-Type", kind)], body=[content])


@pytest.mark.parametrize(
    ("response", "parts"),
    [
        (body(b'{"a": 1}'), [{"a": 1}]),
        (body(b'{"a": 1}', "text/plain"), [{"a": 1}]),
        (body(b"not json"), []),
        (body(b""), []),
        (body(b'{"a": 123456789012345678901234567890}'), [{"a": 123456789012345678901234567890}]),
        (body(b'data: {"a": 1}\n\ndata: [DONE]\n\n', "text/event-stream; charset=utf-8"), [{"a": 1}]),
        (body(b'data: {"a": 1}\n\ndata: {"a"', "text/event-stream"), [{"a": 1}]),
        (body(b'{"a": 1}\n{"a": 2}\n', "application/x-ndjson"), [{"a": 1}, {"a": 2}]),
    ],
)
def test_a_response_is_read_as_the_json_that_it_holds(response: Recorded, parts: list[object]) -> None:
    assert responses(response) == parts


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("data: a\n\n", [ServerSentEvent("message", "a")]),
        (
            "event: ping\ndata: a\ndata: b\nid: 7\n\ndata:c\n\n",
            [
                ServerSentEvent("ping", "a\nb", "7"),
                ServerSentEvent("message", "c", "7"),
            ],
        ),
        (": a comment\r\ndata:  a\r\n\r\n", [ServerSentEvent("message", " a")]),
        ("\ufeffdata: a\r\rdata: b\r\r", [ServerSentEvent("message", "a"), ServerSentEvent("message", "b")]),
        ("event: empty\n\ndata\n\n", [ServerSentEvent("message", "")]),
        ("data: cut off", []),
        ("data: cut off\n", []),
        ("", []),
    ],
)
def test_event_streams_are_read_as_the_specification_says(text: str, told: list[ServerSentEvent]) -> None:
    assert list(server_sent_events(text)) == told


@pytest.mark.parametrize(
    "odd", [{"choices": ["x"]}, {"choices": 5}, {"choices": [{"message": "x"}]}, {"usage": 7}, "text", 3]
)
def test_a_response_that_is_not_what_its_provider_documents_means_nothing(tmp_path: Path, odd: object) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    model = run.step("model", "openai.chat.completions", 1, {}, **MODEL)
    run.exchange(model, 2, 3, 200, odd)
    run.answered(model, 4)

    facts = over(tmp_path, process, run).facts(model)

    assert facts is not None
    assert (facts.text, list(facts.tool_calls), facts.usage) == ("", [], None)


# --- stores -------------------------------------------------------------------------------------------------


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound):
        Store(tmp_path).record(bytes(16))


def test_opening_a_store_seals_what_a_dead_process_left(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.end(1)
    process.die()

    assert [entry.state for entry in Store(tmp_path).entries] == ["sealed"]
    assert list((tmp_path / "segments" / run.id.hex()).glob("*.seg"))


def test_a_store_that_may_only_be_read_is_read() -> None:
    directory = Path(tempfile.mkdtemp(prefix="agentrace-test-"))
    process = Process(directory)
    run = process.run("agent")
    run.end(1)
    process.die()

    try:
        status = _as_somebody_who_may_only_read(directory, lambda: Runs(directory).summary(run.id).status)
    finally:
        for path in (directory, *directory.rglob("*")):
            path.chmod(0o700)
        shutil.rmtree(directory)

    assert status == "completed"


def _as_somebody_who_may_only_read(directory: Path, act: Callable[[], str]) -> str:
    """What ``act`` returns where nothing in ``directory`` can be made or changed; root has to become somebody else."""
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
        if os.geteuid() == 0:
            os.chown(path, _NOBODY, _NOBODY)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
            os.write(write, act().encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as answer:
        return answer.read()


_NOBODY = 65_534


def test_a_whole_record_has_no_problems(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    tool = run.step("tool", "fetch", 1, {"text": "long " * 2000, "list": [{"n": n} for n in range(300)]})
    run.done(tool, 2, ("tuple", "word " * 2000))
    over(tmp_path, process, run)

    assert Store(tmp_path).problems(run.id) == []


def test_a_payload_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    kept = run.writer.payload
    run.encoder._sink = _Forgetful()  # type: ignore[assignment]
    run.done(run.step("tool", "fetch", 1), 2, "word " * 2000)
    assert kept is not None
    over(tmp_path, process, run)

    problems = Store(tmp_path).problems(run.id)

    assert [problem.kind for problem in problems] == ["payload"]
    assert "is not in the record" in problems[0].text


class _Forgetful:
    """Keeps nothing."""

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Forget it."""
