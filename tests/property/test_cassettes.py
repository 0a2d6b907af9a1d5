"""Whatever vcrpy writes of any traffic is what the trace of it plays back, in YAML and in JSON."""

from __future__ import annotations

import gzip
import string
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrace.archive import TraceFile, export
from agentrace.errors import CassetteError
from agentrace.query import RunRecord
from agentrace.redact import redactor
from agentrace.vcr import read_cassette, told, told_in

pytest.importorskip("vcr", reason="vcrpy writes the cassettes")
from vcr.request import Request
from vcr.serialize import serialize
from vcr.serializers import jsonserializer, yamlserializer

# Of the first example that is drawn the tables of characters are made, and of each replay a file.
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# With redaction off: what a random text is taken for is the redaction's own matter.
NOTHING = redactor("off")

words = st.text(string.ascii_letters + string.digits + "-._~", min_size=1, max_size=12)
# YAML has no form of its own for some characters that JSON and HTTP allow; vcrpy escapes them.
texts = st.text(st.characters(codec="utf-8"), max_size=60)
bodies = st.one_of(st.just(b""), texts.map(str.encode), st.binary(max_size=60))
values = (
    st.text(string.ascii_letters + string.digits + " ;=/,\u00e9", min_size=1, max_size=20).map(str.strip).filter(bool)
)
headers = st.dictionaries(
    words.map(lambda name: f"x-{name}".lower()), st.lists(values, min_size=1, max_size=3), max_size=3
)
reasons = st.one_of(st.none(), st.sampled_from(["OK", "Not Found", ""]))


@st.composite
def passed(draw: st.DrawFn, binary: bool) -> tuple[Request, dict[str, Any], bytes]:
    """A request, its answer as vcrpy has it, and the answer's body without its coding."""
    path = "/".join(draw(st.lists(words, max_size=3)))
    query = "&".join(f"{name}={draw(words)}" for name in draw(st.lists(words, max_size=2)))
    url = f"http://{draw(st.sampled_from(['a.test', 'b.test:8080']))}/{path}{'?' if query else ''}{query}"
    some = bodies if binary else texts.map(str.encode)
    body, told_in_headers = draw(some), draw(headers)
    coded = body
    if binary and body and body[:2] != b"\x1f\x8b" and draw(st.booleans()):
        told_in_headers["content-encoding"] = ["gzip"]
        coded = draw(st.sampled_from([body, gzip.compress(body, mtime=0)]))
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
    sent = {name: many[0] for name, many in draw(headers).items()}
    status = {"code": draw(st.integers(200, 599)), "message": draw(reasons)}
    request = Request(method, url, draw(some) or None, sent)
    return request, {"status": status, "headers": told_in_headers, "body": {"string": coded}}, body


def record_of(place: Path, text: str, suffix: str) -> RunRecord:
    """The record of a cassette's text, read back from a trace file."""
    (place / f"c{suffix}").write_text(text, encoding="utf-8", newline="")
    run = told(read_cassette(place / f"c{suffix}"), NOTHING)
    with told_in([run]) as runs:
        export(runs, [run.run_id], place / "c.agentrace")
    return TraceFile(place / "c.agentrace").record(run.run_id)


def check(traffic: Sequence[tuple[Request, dict[str, Any], bytes]], serializer: Any, suffix: str) -> None:
    requests = [request for request, _, _ in traffic]
    expected = [
        (
            request.method,
            request.url,
            [(name, value) for name, many in response["headers"].items() for value in many],
            response["status"]["code"],
            response["status"]["message"] or "",
            body,
            request.body or b"",
        )
        for request, response, body in traffic
    ]
    text = serialize({"requests": requests, "responses": [response for _, response, _ in traffic]}, serializer)
    with tempfile.TemporaryDirectory() as place:
        record = record_of(Path(place), text, suffix)
        found = []
        for step, states in record.trace.exchanges.items():
            (exchange,) = record.exchanges(step)
            started = states[1].started
            assert started is not None
            sent = record.values.python(started.body)
            told_headers = [(name, value.encode("latin-1").decode()) for name, value in exchange.headers]
            head = exchange.method, exchange.url, sorted(told_headers), exchange.status, exchange.reason
            found.append((*head, b"".join(exchange.body), sent or b""))
        assert found == [(*one[:2], sorted(one[2]), *one[3:]) for one in expected]
        assert [step.dispatched.ordinal for step in record.trace.steps.values()] == list(range(len(traffic)))


@FEW
@given(st.lists(passed(binary=True), max_size=4))
def test_what_a_yaml_cassette_holds_is_played_back(traffic: list[Any]) -> None:
    check(traffic, yamlserializer, ".yaml")


@FEW
@given(st.lists(passed(binary=False), max_size=4))
def test_what_a_json_cassette_holds_is_played_back(traffic: list[Any]) -> None:
    check(traffic, jsonserializer, ".json")


_YAML = """\
interactions:
- request:
    body: '{"a": [1, 2]}'
    headers: {Accept: ['*/*'], User-Agent: [OpenAI/Python 2.1]}
    method: POST
    uri: https://api.openai.com/v1/chat/completions
  response:
    body: {string: !!binary H4sIAAAAAAAC/6uuBQBDv6ajAgAAAA==}
    headers: {Content-Encoding: [gzip], Date: ['Sun, 22 Nov 2026 05:00:00 GMT']}
    status: {code: 200, message: OK}
version: 1
"""


@FEW
@given(
    st.lists(st.tuples(st.integers(0, len(_YAML)), st.integers(0, 9), st.text(max_size=6)), min_size=1, max_size=4),
    st.integers(0, len(_YAML)),
)
def test_a_damaged_cassette_is_read_or_refused_with_an_error_of_ours(
    damages: list[tuple[int, int, str]], end: int
) -> None:
    text = _YAML
    for at, length, instead in damages:
        text = text[:at] + instead + text[at + length :]
    for cut in (text, text[:end]):
        with tempfile.TemporaryDirectory() as place:
            refused = refusal(Path(place), cut.encode("utf-8", "replace").decode())
        assert refused is None or (refused.do and refused.slug.startswith("cassette"))


def refusal(place: Path, text: str) -> CassetteError | None:
    """Why a text is not imported; ``None`` if it is."""
    try:
        record_of(place, text, ".yaml")
    except CassetteError as refused:
        return refused
    return None
