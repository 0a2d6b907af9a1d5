"""Every spelling that a cassette has in the wild is read, and becomes the steps that a recording would hold."""

from __future__ import annotations

import base64
import gzip
import textwrap
import zlib
from pathlib import Path
from typing import Any

import pytest
import zstandard

from agentrace import events
from agentrace.errors import CassetteError
from agentrace.redact import redactor
from agentrace.vcr import found_at, read_cassette, tell_all
from tests.unit.cassettes import CHAT, laid_down, one, run_of

pytest.importorskip("yaml", reason="PyYAML reads cassettes")


# --- spellings ----------------------------------------------------------------------------------------------

YAML = """\
    interactions:
    - request:
        body: {request_body}
        headers:
          Accept: ['*/*']
          X-Bytes:
          - !!binary |
            YWJj
          X-One: plain
        method: post
        uri: http://shop.test/items?q=1
      response: {response}
    version: 1
    """


@pytest.mark.parametrize(
    ("spelled", "body"),
    [
        ("null", b""),
        ("''", b""),
        ('"caf\\xe9"', "café".encode()),
        ("!!binary AAH/", b"\x00\x01\xff"),
        ("{string: abc}", b"abc"),
        ("{base64_string: YWJj}", b"abc"),
        ("[ab, !!binary Y2Q=]", b"abcd"),
        ("!!python/unicode abc", b"abc"),
        ("!!python/object/new:_io.BytesIO {state: !!python/tuple [!!binary YWJj, 0, null]}", b"abc"),
        ("!!python/object/apply:builtins.iter {args: [[ab, cd]]}", b"abcd"),
        ("null\n        parsed_body: {b: [1, é], a: null}", '{"b":[1,"é"],"a":null}'.encode()),
    ],
)
def test_bodies(spelled: str, body: bytes, tmp_path: Path) -> None:
    text = textwrap.dedent(YAML).replace("{request_body}", textwrap.dedent(spelled.replace("\n        ", "\n    ")))
    text = text.replace("{response}", "{status: {code: 200, message: null}, headers: null, body: {}}")
    (tmp_path / "c.yaml").write_text(text)

    (found,) = read_cassette(tmp_path / "c.yaml").interactions

    assert found.body == body
    assert (found.method, found.url) == ("POST", "http://shop.test/items?q=1")
    assert found.headers == [(b"Accept", b"*/*"), (b"X-Bytes", b"abc"), (b"X-One", b"plain")]
    assert (found.status, found.reason, found.answer, found.at_ns) == (200, "", b"", 0)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"status": {"code": 404, "message": "Not\nFound"}}, (404, "Not Found", b"[]", "")),
        ({"status": {"code": "200", "message": None}, "body": "text"}, (200, "", b"text", "")),
        (
            {"status": None, "status_code": 201, "body": None, "content": "ok", "http_version": "HTTP/2"},
            (201, "", b"ok", "HTTP/2"),
        ),
        ({"body": {"base64_string": base64.b64encode(b"\xff").decode()}}, (200, "OK", b"\xff", "")),
        ({"body": None, "parsed_body": {"a": 1}}, (200, "OK", b'{"a":1}', "")),
        ({"http_version": "HTTP/1.1\r\nX: y"}, (200, "OK", b"[]", "")),
    ],
)
def test_answers(response: dict[str, Any], expected: tuple[Any, ...], tmp_path: Path) -> None:
    told_as = {name: value for name, value in one(response=response)["response"].items() if value is not None}
    interaction = {**one(), "response": told_as}

    (found,) = read_cassette(laid_down(tmp_path / "c.json", interaction)).interactions

    assert (found.status, found.reason, found.answer, found.http_version) == expected


def test_headers_come_one_to_a_value_and_on_one_line(tmp_path: Path) -> None:
    headers = {"Set-Cookie": ["a=1", "b=2"], "X": "1\r\nInjected: yes", "N": [3], "Gone": [None]}

    (found,) = read_cassette(laid_down(tmp_path / "c.json", one(response={"headers": headers}))).interactions

    assert found.answer_headers == [
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"X", b"1 Injected: yes"),
        (b"N", b"3"),
    ]


def test_times_are_those_of_recording_or_of_the_answer(tmp_path: Path) -> None:
    dated = {"headers": {"Date": ["Sun, 22 Nov 2026 05:00:00 GMT"]}}
    at = 1_795_323_600_000_000_000

    run, record = run_of(
        tmp_path,
        one(),
        one(response=dated),
        one(),
        one(response=dated, recorded_at="2026-11-22T05:00:01.5Z"),
        one(response={"headers": {"Date": ["yesterday"]}}),
    )

    later = at + 1_500_000_000
    assert [step.dispatched.ts for step in record.trace.steps.values()] == [at, at, at, later, later]
    assert (run.dated, run.requests) == (2, 5)
    assert int.from_bytes(run.run_id[:6], "big") == at // 1_000_000


# --- bodies and their headers -------------------------------------------------------------------------------

PLAIN = b'{"name": "caf\xc3\xa9"}'


def bare_deflate(data: bytes) -> bytes:
    coding = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coding.compress(data) + coding.flush()


@pytest.mark.parametrize(
    ("coding", "body", "encoding"),
    [
        ("gzip", gzip.compress(PLAIN, mtime=0), "gzip"),
        ("deflate", zlib.compress(PLAIN), "deflate"),
        ("deflate", bare_deflate(PLAIN), "deflate"),
        ("zstd", zstandard.compress(PLAIN), "zstd"),
        ("gzip", PLAIN, "gzip"),
        ("deflate", PLAIN, "deflate"),
        ("zstd", PLAIN, "zstd"),
        ("br", PLAIN, ""),
        ("identity", PLAIN, ""),
    ],
)
def test_a_coded_body_is_recorded_without_its_coding_and_played_back_with_it(
    coding: str, body: bytes, encoding: str, tmp_path: Path
) -> None:
    headers = {"content-encoding": [coding], "content-length": [str(len(body))], "x-kept": ["1"]}
    response = {"headers": headers, "body": {"base64_string": base64.b64encode(body).decode()}}

    run, record = run_of(tmp_path, one(response=response))
    (exchange,) = record.exchanges(1)

    assert b"".join(exchange.body) == PLAIN
    assert exchange.encoding == encoding
    assert dict(exchange.headers)["x-kept"] == "1"
    assert ("content-encoding" in dict(exchange.headers)) is (coding != "br")
    assert "privacy_risk" not in record.trace.run.health
    assert run.unseen == 0


def test_a_coding_that_cannot_be_taken_off_is_a_privacy_risk(tmp_path: Path) -> None:
    body = b"\x8b\x0b\x80caf\xff\x03"
    response = {"headers": {"content-encoding": ["br"]}, "body": {"base64_string": base64.b64encode(body).decode()}}

    run, record = run_of(tmp_path, one(response=response))

    assert run.unseen == 1
    assert "privacy_risk" in record.trace.run.health
    assert b"".join(record.exchanges(1)[0].body) == body


def test_a_length_that_is_not_the_bodys_is_corrected(tmp_path: Path) -> None:
    stale = {"headers": {"Content-Length": ["999"]}, "body": {"string": "[1]"}}

    run, record = run_of(tmp_path, one(response=stale), one(request={"method": "HEAD"}, response=stale))

    assert dict(record.exchanges(1)[0].headers) == {"Content-Length": "3"}
    assert dict(record.exchanges(2)[0].headers) == {"Content-Length": "999"}
    assert run.changed == 1


# --- which call it was --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "agent", "body", "expected"),
    [
        ("https://api.openai.com/v1/chat/completions", "OpenAI/Python 2.1", CHAT, ("model", "chat/completions")),
        ("https://x.azure.com/openai/deployments/d/chat/completions?api-version=1", "AsyncAzureOpenAI/Python 1.0", CHAT, ("model", "chat/completions")),
        ("https://proxy.test/v1/chat/completions", "", CHAT, ("model", "chat/completions")),
        ("https://api.openai.com/v1/files/f-1", "OpenAI/Python 2.1", "", ("tool", "files/f-1")),
        ("https://api.anthropic.com/v1/messages/count_tokens", "Anthropic/Python 1.0", "{}", ("tool", "messages/count_tokens")),
        ("https://bedrock.test/model/m/invoke", "AnthropicBedrock/Python 1.0", "{}", ("tool", "POST /model/m/invoke")),
        ("https://shop.test/a%20b", "", "", ("tool", "POST /a b")),
    ],
)  # fmt: skip
def test_the_call_is_found_as_the_integrations_know_it(
    uri: str, agent: str, body: str, expected: tuple[str, str], tmp_path: Path
) -> None:
    request = {"method": "POST", "uri": uri, "body": body, "headers": {"User-Agent": [agent]} if agent else {}}

    _, record = run_of(tmp_path, one(request=request))

    (step,) = record.trace.steps.values()
    assert (step.kind, step.dispatched.operation) == expected
    assert step.dispatched.shared


def test_an_error_of_a_client_is_a_failed_step(tmp_path: Path) -> None:
    request = {"method": "POST", "uri": "https://api.openai.com/v1/chat/completions", "body": CHAT}
    asked = {**request, "headers": {"User-Agent": ["OpenAI/Python 2.1"], "x-stainless-retry-count": ["0"]}}
    failed = {
        "status": {"code": 429, "message": "Too Many Requests"},
        "body": {"string": '{"error": {"code": "busy"}}'},
    }

    _, record = run_of(tmp_path, one(request=asked, response=failed), one(request=asked, response=failed))

    failures = [step.failure for step in record.trace.steps.values()]
    assert [failure.type for failure in failures if failure] == ["openai:RateLimitError"] * 2
    assert failures[0] is not None
    assert failures[0].message == "Error code: 429 - {'error': {'code': 'busy'}}"


# --- many ---------------------------------------------------------------------------------------------------


def test_directories_are_searched_and_what_is_no_cassette_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "test_shop").mkdir()
    laid_down(tmp_path / "test_shop" / "test_buy[tea].json", one())
    laid_down(tmp_path / "test_shop" / "test_sell.json", one(request={"method": "POST"}))
    (tmp_path / "compose.yaml").write_text("services: {}")
    (tmp_path / "README.md").write_text("no cassette by its name")

    found = tell_all(found_at([tmp_path]), redactor())

    assert [run.name for run in found.runs] == ["test_shop/test_buy[tea]", "test_shop/test_sell"]
    assert found.left_out == [tmp_path / "compose.yaml"]
    with pytest.raises(CassetteError, match="no list of `interactions`"):
        tell_all(found_at([tmp_path / "compose.yaml"]), redactor())
    (tmp_path / "empty").mkdir()
    with pytest.raises(CassetteError, match="holds no file"):
        found_at([tmp_path / "empty"])


def test_the_same_cassette_is_the_same_run(tmp_path: Path) -> None:
    dated = {"headers": {"Date": ["Sun, 22 Nov 2026 05:00:00 GMT"]}}
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.mkdir()

    runs = [run_of(path, one(response=dated))[0] for path in paths]
    other, _ = run_of(tmp_path, one(response={**dated, "body": {"string": "[2]"}}))

    assert runs[0] == runs[1]
    assert other.run_id != runs[0].run_id
    assert (tmp_path / "one" / "c.agentrace").read_bytes() == (tmp_path / "two" / "c.agentrace").read_bytes()


def test_an_imported_run_says_so(tmp_path: Path) -> None:
    _, record = run_of(tmp_path, one())

    run = record.trace.run
    assert run.origin == events.Origin(events.IMPORT)
    assert (run.status, run.started.argv if run.started else None) == ("completed", [])
