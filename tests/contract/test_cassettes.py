"""What vcrpy records of real clients becomes the trace that a recording of them is, and they replay from it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import agentrace
from agentrace.archive import TraceFile, export
from agentrace.errors import ReplayDivergence
from agentrace.query import RunRecord, input_of
from agentrace.redact import redactor
from agentrace.testing import Reply, StubProvider
from agentrace.testing.server import Serving
from agentrace.vcr import read_cassette, told, told_in
from tests.contract import cassette_programs as programs
from tests.contract.far_end import Canned, FarEnd, canned
from tests.contract.recording import recording
from tests.contract.test_recorded_traffic import CASSETTES, SOURCES, Source

vcr = pytest.importorskip("vcr", reason="vcrpy records the cassettes")
yaml = pytest.importorskip("yaml", reason="vcrpy writes YAML")

Program = Callable[[str], list[Any]]
PROGRAMS = (*programs.MODELS, *programs.SERVICE)
IMPORTED = "IMPORTED: it was imported from a cassette"


def served(program: Program) -> Serving:
    """The far end of a program, which answers the same each time it is made."""
    if program in programs.SERVICE:
        return FarEnd(programs.service()).serve()
    return (programs.provider() if program is programs.by_openai else StubProvider(seed=3)).serve()


@contextmanager
def imported(cassette: Path) -> Iterator[RunRecord]:
    """The run of a cassette, in a trace file beside it."""
    run = told(read_cassette(cassette), redactor())
    file = cassette.with_suffix(".agentrace")
    with told_in([run]) as runs:
        export(runs, [run.run_id], file)
    yield TraceFile(file).record(run.run_id)


def taken(cassette: Path, program: Program, **options: Any) -> list[Any]:
    """What a program sees while vcrpy records it."""
    with served(program) as url, vcr.use_cassette(str(cassette), **options):
        seen = program(url)
    # The cassette is of this address, at which nobody is any more.
    cassette.with_suffix(".url").write_text(url)
    return seen


def again(cassette: Path, program: Program) -> tuple[list[Any], Any]:
    """What it sees on a replay of the imported run, and the replay."""
    with agentrace.replay(cassette.with_suffix(".agentrace")) as session:
        seen = program(cassette.with_suffix(".url").read_text())
    return seen, session


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("serializer", ["yaml", "json"])
def test_a_program_replays_from_its_cassette(program: Program, serializer: str, tmp_path: Path) -> None:
    cassette = tmp_path / f"cassette.{serializer}"
    if serializer == "json" and program in programs.SERVICE:
        pytest.skip("JSON holds no bytes that are no text")

    seen = taken(cassette, program, serializer=serializer)
    with imported(cassette):
        replayed, session = again(cassette, program)

    assert replayed == seen
    assert session.verdict == "exact_with_caveats"
    assert [text.startswith((IMPORTED, "the tool weather ran once")) for text in session.caveats] == [True] * len(
        session.caveats
    )
    assert any(text.startswith(IMPORTED) for text in session.caveats)


def calls(record: RunRecord) -> Counter[str]:
    """What was called, with what, and what came over the wire, in no order: that of calls at once is not known."""
    found: Counter[str] = Counter()
    for step in record.trace.steps.values():
        sent = step.dispatched
        wire = [
            (one.method, one.url.partition("://")[2].partition("/")[2], one.status, b"".join(one.body))
            for one in record.exchanges(step.id)
        ]
        told = json.dumps(input_of(record, step), sort_keys=True).replace(_port(record), "PORT")
        ended = step.failure.type if step.failure is not None else "ok"
        found[repr((sent.kind, sent.name.replace(_port(record), "PORT"), sent.operation, told, ended, wire))] += 1
    return found


def _port(record: RunRecord) -> str:
    urls = (one.url for step in record.trace.steps for one in record.exchanges(step))
    return str(urlsplit(next(urls)).port)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_trace_is_the_one_that_a_recording_is(program: Program, tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"

    taken(cassette, program)
    with served(program) as url, recording() as live:
        program(url)

    with imported(cassette) as record:
        assert calls(record) == calls(live.record)
        assert sum(calls(record).values()) > 0


def test_filtered_and_decompressed_cassettes_replay_too(tmp_path: Path) -> None:
    """Filters take keys out and codings off, and leave other headers as they are."""
    cassette = tmp_path / "cassette.yaml"

    def changed(response: Any) -> Any:
        body = response["body"]["string"]
        response["body"]["string"] = body.replace(b'"items": [1, 2]', b'"items": [1, 2, 3, 4]')
        return response

    taken(
        cassette,
        programs.by_httpx,
        filter_headers=["authorization", "user-agent"],
        decode_compressed_response=True,
        before_record_response=changed,
    )
    with imported(cassette):
        seen, session = again(cassette, programs.by_httpx)

    assert seen[0][:2] == [200, b'{"items": [1, 2, 3, 4]}']
    assert seen[2][:2] == [200, '{"packed": "café"}'.encode()]
    assert session.verdict == "exact_with_caveats"


def test_a_changed_request_is_told_with_what_differs(tmp_path: Path) -> None:
    """vcrpy compares methods and URLs, and would answer it."""
    cassette = tmp_path / "cassette.yaml"
    taken(cassette, programs.by_httpx_speaking)

    def changed(url: str) -> list[Any]:
        body = {"model": programs.MODEL, "messages": [{"role": "user", "content": "Goodbye"}]}
        with httpx.Client(base_url=url) as client:
            return [client.post("/v1/chat/completions?api-version=2", json=body).json()]

    with imported(cassette), pytest.raises(ReplayDivergence) as stopped:
        again(cassette, changed)

    assert stopped.value.code == "CALL_CHANGED"
    assert "[-Hello-][+Goodbye+]" in stopped.value.report
    assert "the request is not among the cassette's" in stopped.value.report


def test_calls_at_once_are_answered_in_whatever_order_they_are_made(tmp_path: Path) -> None:
    """In a cassette they stand as their answers came."""
    cassette = tmp_path / "cassette.yaml"
    taken(cassette, programs.by_openai_at_once)
    data = yaml.safe_load(cassette.read_text())
    data["interactions"] = data["interactions"][3:] + data["interactions"][2::-1]
    cassette.write_text(yaml.safe_dump(data))

    with imported(cassette):
        seen, session = again(cassette, programs.by_openai_at_once)

    assert [f"Question {number}" in text for number, text in enumerate(seen)] == [True] * 6
    assert [text.partition(":")[0] for text in session.caveats] == ["IMPORTED"]


def test_order_is_neither_checked_nor_waited_for(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"
    paths = ["/packed", "/bytes", "/events"]

    def asks(url: str) -> list[Any]:
        return [httpx.get(f"{url}{path}").content for path in paths]

    with FarEnd(programs.service()).serve() as url, vcr.use_cassette(str(cassette)):
        seen = asks(url)
    cassette.with_suffix(".url").write_text(url)
    paths.reverse()
    with imported(cassette):
        backwards, session = again(cassette, asks)

    assert backwards == seen[::-1]
    assert [text.partition(":")[0] for text in session.caveats] == ["IMPORTED"]


def test_equal_requests_are_answered_in_the_cassettes_order_and_that_is_said(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"
    answers = (Canned(b"[1]"), Canned(b"[2]"), Canned(b"[3]"))

    def polls(url: str) -> list[Any]:
        return [httpx.get(f"{url}/poll").json() for _ in range(3)]

    with FarEnd(canned({"GET /poll": answers})).serve() as url, vcr.use_cassette(str(cassette)):
        assert polls(url) == [[1], [2], [3]]
    cassette.with_suffix(".url").write_text(url)
    with imported(cassette):
        seen, session = again(cassette, polls)

    assert seen == [[1], [2], [3]]
    assert (
        "steps 1, 2, 3 asked for the same: a replay hands their answers out in the cassette's order" in session.caveats
    )


def test_a_bare_request_with_another_body_or_query_is_another(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"
    taken(cassette, programs.by_requests)

    with imported(cassette):
        for path, body in (("/items", {"name": "lamp", "price": 2}), ("/items?q=a+b&limit=3", None)):
            with pytest.raises(ReplayDivergence) as stopped:
                again(
                    cassette,
                    lambda url, path=path, body=body: [
                        httpx.request("POST" if body else "GET", f"{url}{path}", json=body)
                    ],
                )
            assert stopped.value.code == "CALL_CHANGED"


def test_a_request_that_is_left_out_is_missing(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"
    taken(cassette, programs.by_requests)

    with imported(cassette), pytest.raises(ReplayDivergence) as stopped:
        again(cassette, lambda url: [httpx.get(f"{url}/bytes").content])

    assert stopped.value.code == "CALL_MISSING"


def test_tools_run_and_what_they_ask_for_is_answered(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"

    @agentrace.tool
    def looked_up(url: str) -> Any:
        return httpx.get(f"{url}/packed").json()

    def program(url: str) -> list[Any]:
        return [looked_up(url), httpx.get(f"{url}/bytes").content]

    with FarEnd(programs.service()).serve() as url, vcr.use_cassette(str(cassette)):
        seen = program(url)
    cassette.with_suffix(".url").write_text(url)
    with imported(cassette):
        replayed, session = again(cassette, program)

    assert replayed == seen
    assert any(text.startswith("TOOL_EXECUTED: tool ") and "looked_up" in text for text in session.caveats)


def test_repetitions_by_a_client_belong_to_one_call_also_where_nothing_says_so(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"
    taken(cassette, programs.by_openai)
    data = yaml.safe_load(cassette.read_text())
    for one in data["interactions"]:
        headers = one["request"]["headers"]
        one["request"]["headers"] = {name: told for name, told in headers.items() if "retry" not in name.lower()}
    assert data != yaml.safe_load(cassette.read_text())
    cassette.write_text(yaml.safe_dump(data))

    run = told(read_cassette(cassette), redactor())
    with imported(cassette) as record:
        again(cassette, programs.by_openai)

    assert run.assumed == 1
    assert sorted(len(record.exchanges(step)) for step in record.trace.steps) == [1, 1, 1, 1, 1, 1, 2]


def test_no_secret_of_a_cassette_is_in_the_trace(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"
    stub = StubProvider(seed=3)
    stub.answer(Reply(text=f"the key is {programs.KEY}"))
    body = {"model": programs.MODEL, "messages": [{"role": "user", "content": f"my key is {programs.KEY}"}]}
    headers = {"authorization": f"Bearer {programs.KEY}", "x-api-key": "s3cr3t-0123456789"}

    with stub.serve() as url, vcr.use_cassette(str(cassette)):
        httpx.post(f"{url}/v1/chat/completions?key={programs.KEY}", json=body, headers=headers)
    run = told(read_cassette(cassette), redactor())
    everything = b"\n".join([*run.events, *(data for _, data in run.payloads)])

    assert programs.KEY in cassette.read_text()
    assert programs.KEY.encode() not in everything
    assert b"s3cr3t" not in everything
    assert everything.count(b"redacted:") > 3


# --- what others recorded -----------------------------------------------------------------------------------

TRIED = 5
"""Cassettes of one source that are tried, so that the suite stays quick."""


def _asked_again(source: Source, file: Path) -> list[Any]:
    """What a cassette's models were asked, if nobody else was asked anything."""
    hosts = ("api.openai.com", "azure.com", "api.anthropic.com")
    found = read_cassette(file).interactions
    whole = all(
        one.method == "POST"
        and one.body
        and urlsplit(one.url).path.endswith(source.endpoints)
        and (urlsplit(one.url).hostname or "").endswith(hosts)
        for one in found
    )
    return list(found) if whole else []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.folder)
def test_real_cassettes_replay_through_the_clients_of_today(source: Source, tmp_path: Path) -> None:
    """Where a client asks as it did: a default that it has got since is a change, and told as one."""
    folder = CASSETTES / source.folder
    if not folder.is_dir():
        pytest.skip(f"the cassettes of {source.folder} are not part of this repository")
    outcomes: Counter[str] = Counter()
    files = [(file, asked) for file in sorted(folder.rglob("*.yaml")) if (asked := _asked_again(source, file))]
    for file, asked in files[:: max(1, len(files) // TRIED)]:
        copy = tmp_path / "cassette.yaml"
        copy.write_bytes(file.read_bytes())
        try:
            with imported(copy), agentrace.replay(copy.with_suffix(".agentrace")) as session:
                for one in asked:
                    to = urlsplit(one.url)
                    source.asked(f"{to.scheme}://{to.netloc}", one.url, json.loads(one.body))
            outcomes[session.verdict] += 1
        except ReplayDivergence as divergence:
            outcomes[divergence.code] += 1

    assert set(outcomes) <= {"exact_with_caveats", "CALL_CHANGED"}
    assert outcomes["exact_with_caveats"] > 2 * outcomes["CALL_CHANGED"]
