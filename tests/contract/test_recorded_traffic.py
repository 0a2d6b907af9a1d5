"""Real answers of a provider, as others recorded them: served to the real client, recorded, read and replayed."""

from __future__ import annotations

import gzip
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
import pytest

from agentrace.events import StepFailed
from tests.contract.far_end import FarEnd
from tests.contract.observed import observed
from tests.contract.openai_json import told_by
from tests.contract.openai_scenarios import KEY
from tests.contract.recording import recording, replaying

CASSETTES = Path(__file__).parents[3] / "shared" / "cassettes"
SOURCES = ("openllmetry/openai/traces", "openllmetry/openai/metrics", "otel-contrib/openai-v2")
ENDPOINTS = ("/chat/completions", "/completions", "/responses", "/embeddings")
MOST = 120
"""Exchanges of one source that are tried, so that the suite stays quick."""

pytestmark = pytest.mark.skipif(not CASSETTES.is_dir(), reason="the cassettes are not part of this repository")


def exchanges(source: str) -> list[dict[str, Any]]:
    """Requests that a model answers, each with its answer; of several with the same answer the first."""
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the cassettes")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[Any, dict[str, Any]] = {}
    for file in sorted((CASSETTES / source).rglob("*.yaml")):
        if len(found) == MOST:
            break
        for one in yaml.load(file.read_bytes(), loader)["interactions"]:
            path = urlsplit(one["request"]["uri"]).path
            body = one["response"]["body"]["string"]
            if path.endswith(ENDPOINTS) and one["request"]["body"] and len(found) < MOST:
                found.setdefault((path, body), one)
    return list(found.values())


class Playing:
    """A server that gives one recorded answer after the other."""

    def __init__(self, answers: Iterator[dict[str, Any]]) -> None:
        self._answers = answers
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response = next(self._answers)["response"]
        body = response["body"]["string"]
        body = body if isinstance(body, bytes) else body.encode()
        headers = [(n.encode(), v.encode()) for n, vs in response["headers"].items() for v in vs]
        coded = body.startswith(b"\x1f\x8b")
        dropped = {b"transfer-encoding", b"content-length", b"connection", *(() if coded else (b"content-encoding",))}
        headers = [pair for pair in headers if pair[0].lower() not in dropped]
        self.bodies.append(gzip.decompress(body) if coded else body)
        await send({"type": "http.response.start", "status": response["status"]["code"], "headers": headers})
        for start in range(0, len(body), 700):
            await send({"type": "http.response.body", "body": body[start : start + 700], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def asked(client: openai.OpenAI, uri: str, body: dict[str, Any]) -> Any:
    """Ask again what was asked then, with the client of today."""
    path = urlsplit(uri).path
    resources: dict[str, Callable[..., Any]] = {
        "/chat/completions": client.chat.completions.create,
        "/completions": client.completions.create,
        "/responses": client.responses.create,
        "/embeddings": client.embeddings.create,
    }
    create = next(method for end, method in resources.items() if path.endswith(end))
    known = inspect.signature(create).parameters
    stated = {name: value for name, value in body.items() if name in known}
    unknown = {name: value for name, value in body.items() if name not in known}
    try:
        result = create(**stated, extra_body=unknown or None)
        return list(result) if isinstance(result, openai.Stream) else result
    except openai.OpenAIError as error:
        return error


def client_for(uri: str, url: str) -> openai.OpenAI:
    """The client that was used for such a request."""
    http = httpx2.Client(verify=False)
    if "/deployments/" in uri:
        azure = openai.AzureOpenAI(
            azure_endpoint=url, api_version="2024-02-01", api_key=KEY, max_retries=0, http_client=http
        )
        return azure
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, http_client=http)


def program(answers: list[dict[str, Any]], url: str) -> list[Any]:
    """Everything that was asked then."""
    seen: list[Any] = []
    for one in answers:
        with client_for(one["request"]["uri"], url) as client:
            body = one["request"]["body"]
            seen.append(observed(asked(client, one["request"]["uri"], json.loads(body))))
    return seen


@pytest.mark.parametrize("source", SOURCES)
def test_real_answers_are_recorded_read_and_replayed(source: str) -> None:
    answers = exchanges(source)
    playing = Playing(iter(answers + answers))
    with FarEnd(playing).serve() as url:
        plain = program(answers, url)
        playing.bodies.clear()
        with recording() as recorded:
            live = program(answers, url)
    with replaying(recorded.record) as again:
        replayed = program(answers, url)

    record = recorded.record
    assert len(answers) > 20
    assert live == plain
    assert [_lasting(seen) for seen in replayed] == [_lasting(seen) for seen in live]
    assert again.tape is not None
    assert again.tape.latched is None
    assert len(record.trace.steps) == len(playing.bodies) == len(answers)
    for (step_id, step), body in zip(record.trace.steps.items(), playing.bodies, strict=True):
        (exchange,), facts, told = record.exchanges(step_id), record.facts(step_id), told_by(body)
        assert b"".join(exchange.body) in (body, b"") or body.startswith(b"".join(exchange.body))
        assert facts is not None
        if not isinstance(step.ended, StepFailed):
            usage = facts.usage
            counted = None if usage is None else (usage.input, usage.output, usage.cache_read, usage.reasoning)
            assert (facts.finish_reason, facts.text, counted) == (told["finish"], told["text"], told["usage"])
            assert facts.model == (told["model"] or facts.model)


def _lasting(seen: Any) -> Any:
    """What does not depend on there being a connection, and holds no cookie."""
    if isinstance(seen, dict):
        left_out = {"live", "timed", "cookies", "downloaded", "headers"}
        return {key: _lasting(value) for key, value in seen.items() if key not in left_out}
    return [_lasting(item) for item in seen] if isinstance(seen, (list, tuple)) else seen
