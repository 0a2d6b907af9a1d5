"""Real answers of providers, as others recorded them: served to the real clients, recorded, read and replayed."""

from __future__ import annotations

import gzip
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2
import openai
import pytest
from msgspec import to_builtins

from agentrace.events import StepFailed
from agentrace.query import Conversations, RunRecord
from tests.contract import anthropic_json, anthropic_scenarios, openai_json, openai_scenarios
from tests.contract.far_end import FarEnd
from tests.contract.observed import observed
from tests.contract.recording import recording, replaying
from tests.contract.scenarios import counts

CASSETTES = Path(__file__).parents[3] / "shared" / "cassettes"
MOST = 120
"""Exchanges of one source that are tried, so that the suite stays quick."""

Asked = Callable[[str, str, dict[str, Any]], Any]
"""Asks again what was asked: our server's URL, the URL of then, the request's JSON."""


@dataclass(frozen=True)
class Source:
    """A folder of cassettes, and the client whose traffic they hold."""

    folder: str
    endpoints: tuple[str, ...]
    """The ends of the paths that a model answers."""
    asked: Asked
    told: Callable[[bytes], dict[str, Any]]


def by_openai(url: str, uri: str, body: dict[str, Any]) -> Any:
    """The client that was used for such a request: also that of the same API in another company's cloud."""
    http = httpx2.Client(verify=False)
    rest: dict[str, Any] = {"api_key": openai_scenarios.KEY, "max_retries": 0, "http_client": http}
    if "/deployments/" in uri:
        client: openai.OpenAI = openai.AzureOpenAI(azure_endpoint=url, api_version="2024-02-01", **rest)
    else:
        client = openai.OpenAI(base_url=f"{url}/v1", **rest)
    resources: dict[str, Callable[..., Any]] = {
        "/chat/completions": client.chat.completions.create,
        "/completions": client.completions.create,
        "/responses": client.responses.create,
        "/embeddings": client.embeddings.create,
    }
    with client:
        create = next(method for end, method in resources.items() if urlsplit(uri).path.endswith(end))
        return _result(create, body, openai.Stream, openai.OpenAIError)


def by_anthropic(url: str, uri: str, body: dict[str, Any]) -> Any:
    """The client of today, which has no method for completions any more, but still sends them."""
    http = httpx2.Client(verify=False)
    with anthropic.Anthropic(base_url=url, api_key=anthropic_scenarios.KEY, max_retries=0, http_client=http) as client:
        if uri.endswith("/complete"):
            return client.post("/v1/complete", cast_to=object, body=body)
        messages = client.beta.messages if "beta=true" in uri else client.messages
        return _result(messages.create, body, anthropic.Stream, anthropic.AnthropicError)


def _result(create: Callable[..., Any], body: dict[str, Any], stream: type, failure: type[Exception]) -> Any:
    """What a call gives, with what of the body the method has no parameter for; a stream is read to its end."""
    known = inspect.signature(create).parameters
    stated = {name: value for name, value in body.items() if name in known and name != "output_format"}
    unknown = {name: value for name, value in body.items() if name not in stated}
    try:
        result = create(**stated, extra_body=unknown or None)
        return list(result) if isinstance(result, stream) else result
    except failure as error:
        return error


_OF_OPENAI = (("/chat/completions", "/completions", "/responses", "/embeddings"), by_openai, openai_json.told_by)
_OF_ANTHROPIC = (("/messages", "/complete"), by_anthropic, anthropic_json.told_by)

SOURCES = (
    Source("openllmetry/openai/traces", *_OF_OPENAI),
    Source("openllmetry/openai/traces/test_azure", *_OF_OPENAI),
    Source("openllmetry/openai/metrics", *_OF_OPENAI),
    Source("otel-contrib/openai-v2", *_OF_OPENAI),
    Source("openllmetry/anthropic", *_OF_ANTHROPIC),
    Source("openllmetry/langchain", *_OF_ANTHROPIC),
)


def exchanges(source: Source) -> list[dict[str, Any]]:
    """Requests that a model answers, each with its answer; of several with the same answer the first."""
    folder = CASSETTES / source.folder
    if not folder.is_dir():
        pytest.skip(f"the cassettes of {source.folder} are not part of this repository")
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the cassettes")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    hosts = ("api.openai.com", "azure.com") if source.asked is by_openai else ("api.anthropic.com",)
    found: dict[Any, dict[str, Any]] = {}
    for file in sorted(folder.rglob("*.yaml")):
        if len(found) == MOST:
            break
        for one in yaml.load(file.read_bytes(), loader)["interactions"]:
            to = urlsplit(one["request"]["uri"])
            body = one["response"]["body"]["string"]
            answered = to.path.endswith(source.endpoints) and (to.hostname or "").endswith(hosts)
            if answered and one["request"]["body"] and len(found) < MOST:
                found.setdefault((to.path, body), one)
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
        told = [(n, [vs] if isinstance(vs, str) else vs) for n, vs in response["headers"].items()]
        headers = [(n.encode(), v.encode()) for n, vs in told for v in vs if not _is_blanked_cookie(n, v)]
        coded = body.startswith(b"\x1f\x8b")
        dropped = {b"transfer-encoding", b"content-length", b"connection", *(() if coded else (b"content-encoding",))}
        headers = [pair for pair in headers if pair[0].lower() not in dropped]
        self.bodies.append(gzip.decompress(body) if coded else body)
        await send({"type": "http.response.start", "status": response["status"]["code"], "headers": headers})
        for start in range(0, len(body), 700):
            await send({"type": "http.response.body", "body": body[start : start + 700], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_blanked_cookie(name: str, value: str) -> bool:
    """Whether it lost its name to those who recorded it: cookie jars fail on that."""
    return name.lower() == "set-cookie" and "=" not in value


def program(source: Source, answers: list[dict[str, Any]], url: str) -> list[Any]:
    """Everything that was asked then."""
    told = [(one["request"]["uri"], json.loads(one["request"]["body"])) for one in answers]
    return [observed(source.asked(url, uri, body)) for uri, body in told]


@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.folder)
def test_real_answers_are_recorded_read_and_replayed(source: Source) -> None:
    answers = exchanges(source)
    playing = Playing(iter(answers + answers))
    with FarEnd(playing).serve() as url:
        plain = program(source, answers, url)
        playing.bodies.clear()
        with recording() as recorded:
            live = program(source, answers, url)
    with replaying(recorded.record) as again:
        replayed = program(source, answers, url)

    record = recorded.record
    assert len(answers) >= 3
    assert live == plain
    assert [_lasting(seen) for seen in replayed] == [_lasting(seen) for seen in live]
    assert again.tape is not None
    assert again.tape.latched is None
    assert len(record.trace.steps) == len(playing.bodies) == len(answers)
    for (step_id, step), body in zip(record.trace.steps.items(), playing.bodies, strict=True):
        (exchange,), facts, told = record.exchanges(step_id), record.facts(step_id), source.told(body)
        assert b"".join(exchange.body) in (body, b"") or body.startswith(b"".join(exchange.body))
        assert facts is not None
        if not isinstance(step.ended, StepFailed):
            assert step.ended is not None
            assert step.ended.outcome == ("exhausted" if body.startswith((b"data:", b"event:")) else "ok")
            counted = None if facts.usage is None else counts(facts.usage)
            assert (facts.finish_reason, facts.text, counted) == (told["finish"], told["text"], told["usage"])
            assert facts.model == (told["model"] or facts.model)
    no_message_is_lost(record, source, playing.bodies)


def no_message_is_lost(record: RunRecord, source: Source, bodies: list[bytes]) -> None:
    """Every text of the requests is in a message that a step up to theirs added, and every answer is one."""
    conversations, known = Conversations(record), ""
    for (step_id, step), body in zip(record.trace.steps.items(), bodies, strict=True):
        added = conversations.added(step)
        assert added is not None
        said = [*(placed.message for placed in added.asked), *added.answer]
        known += json.dumps(to_builtins(said), ensure_ascii=False)
        request, facts = record.values.json(step.dispatched.input), record.facts(step_id)
        assert [text for text in texts(request) if json.dumps(text, ensure_ascii=False)[1:-1] not in known] == []
        assert facts is not None
        if not isinstance(step.ended, StepFailed):
            assert "".join(message.text for message in added.answer) == source.told(body)["text"]
            assert [call for message in added.answer for call in message.tool_calls] == list(facts.tool_calls)


def texts(request: dict[str, Any]) -> Iterator[str]:
    """What is said in a request, read without any of our code."""
    said = [request.get(name) for name in ("messages", "input", "prompt", "system", "instructions")]
    while said:
        item = said.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            said += item
        elif isinstance(item, dict) and item.get("type") != "reasoning":
            said += [item.get(name) for name in ("content", "text", "output")]


def _lasting(seen: Any) -> Any:
    """What does not depend on there being a connection, and holds no cookie."""
    if isinstance(seen, dict):
        left_out = {"live", "timed", "cookies", "downloaded", "headers"}
        return {key: _lasting(value) for key, value in seen.items() if key not in left_out}
    return [_lasting(item) for item in seen] if isinstance(seen, (list, tuple)) else seen
