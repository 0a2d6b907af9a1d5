"""Clients that sign in by themselves: what they ask for beside their calls is answered by what is asked, not by order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic.lib.credentials import WorkloadIdentityCredentials

import agentrace
from agentrace.query import RunRecord
from agentrace.testing import StubProvider
from agentrace.testing.server import Serving
from tests.unit.openai_clients import HELLO, MODEL
from tests.unit.replays import Replayed, performed, record_of, replayed

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9"


@dataclass
class SignIns:
    """An app that hands out a token at every path that ends with ``token``, and else is a provider."""

    provider: StubProvider = field(default_factory=StubProvider)
    lasts: float = 3600
    handed_out: int = 0

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        """Answer one request."""
        if not scope["path"].endswith("token"):
            await self.provider.app(scope, receive, send)
            return
        self.handed_out += 1
        body = {"access_token": f"{TOKEN}{self.handed_out}", "token_type": "Bearer", "expires_in": self.lasts}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def federated(url: str, **options: Any) -> Any:
    """An openai client that exchanges a token of its environment for one of the provider."""
    identity: Any = {
        "identity_provider_id": "idp",
        "service_account_id": "account",
        "refresh_buffer_seconds": 0.0,
        "provider": {"token_type": "jwt", "get_token": lambda: "subject"},
    }
    client = options.pop("kind", openai.OpenAI)(
        base_url=f"{url}/v1", workload_identity=identity, max_retries=0, **options
    )
    client._workload_identity_auth.token_exchange_url = f"{url}/oauth/token"
    return client


@contextmanager
def far_end(**options: Any) -> Generator[tuple[SignIns, str], None, None]:
    """The app, served."""
    app = SignIns(**options)
    for number in range(8):
        app.provider.reply(f"answer {number}")
    with Serving(app) as url:
        yield app, url


def text(client: Any, word: str = "Hello") -> str:
    reply = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": word}])
    return str(reply.choices[0].message.content)


def once(program: Callable[[str], Any], **options: Any) -> tuple[Any, RunRecord, Callable[..., Replayed]]:
    """What a program sees, its record, and how it or another one is replayed where nobody answers."""
    with far_end(**options) as (_, url):
        seen, record = record_of(lambda: performed(lambda: program(url)))
    assert TOKEN.encode() not in repr(record.events).encode()
    return seen, record, lambda other=program: replayed(record, lambda: performed(lambda: other(url)))


def asks_of(record: RunRecord) -> list[list[str]]:
    """The ends of the paths that each step asked for."""
    return [
        [state.started.url.rpartition("/")[2] for state in states.values() if state.started]
        for states in record.trace.exchanges.values()
    ]


def twice(url: str) -> Any:
    with federated(url) as client:
        return text(client), text(client)


def test_an_openai_client_that_signs_in_is_replayed() -> None:
    seen, record, again = once(twice)
    replay = again()

    assert asks_of(record) == [["token", "completions"], ["completions"]]
    assert (replay.code, replay.seen, replay.verdict) == ("", seen, "exact_with_caveats")
    assert len(replay.caveats) == 1
    assert "held a secret: a replay serves a mark in its place" in replay.caveats[0]


def test_a_replay_of_such_a_replay_is_the_same() -> None:
    seen, _, again = once(twice)
    first = again()
    second = replayed(first.record, lambda: twice("http://127.0.0.1:9"))

    assert (second.code, second.seen, second.verdict, second.caveats) == ("", seen, first.verdict, first.caveats)


def test_an_async_client_signs_in_from_a_thread() -> None:
    async def asking(url: str) -> Any:
        async with federated(url, kind=openai.AsyncOpenAI) as client:
            reply = await client.chat.completions.create(model=MODEL, messages=HELLO)
            return reply.choices[0].message.content

    seen, record, again = once(lambda url: asyncio.run(asking(url)))

    assert asks_of(record) == [["token", "completions"]]
    assert (again().code, again().seen) == ("", seen)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_anthropic_client_that_signs_in_is_replayed(asynchronous: bool) -> None:
    ask: Any = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}

    def signed_in() -> Any:
        return WorkloadIdentityCredentials(
            identity_token_provider=lambda: "assertion", federation_rule_id="rule", organization_id="org"
        )

    async def asking(url: str) -> Any:
        async with anthropic.AsyncAnthropic(base_url=url, credentials=signed_in(), max_retries=0) as client:
            return [(await client.messages.create(**ask)).content for _ in range(2)]

    def program(url: str) -> Any:
        if asynchronous:
            return asyncio.run(asking(url))
        with anthropic.Anthropic(base_url=url, credentials=signed_in(), max_retries=0) as client:
            return [client.messages.create(**ask).content for _ in range(2)]

    seen, record, again = once(program)

    assert asks_of(record) == [["token", "messages"], ["messages"]]
    assert (again().code, again().seen) == ("", seen)


def test_a_token_that_is_not_asked_for_again_is_left_out() -> None:
    """The recorded token was too old at the second call; on the replay there is no time in between."""

    def program(url: str) -> Any:
        with federated(url) as client:
            first = text(client)
            if not running_quickly:
                client._workload_identity_auth.invalidate_token()
            return first, text(client, "again"), text(client, "and again")

    running_quickly = False
    seen, record, again = once(program)
    running_quickly = True
    replay = again()

    assert asks_of(record) == [["token", "completions"], ["token", "completions"], ["completions"]]
    assert (replay.code, replay.seen) == ("", seen)
    assert [c for c in replay.caveats if "sign" in c] == [
        "the client of step 2 (openai.chat.completions) does not sign in where it did in the recorded run"
    ]


def test_a_token_that_is_asked_for_more_often_is_handed_out_again() -> None:
    """An absolute time of expiry is long past when a run is replayed."""

    def program(url: str) -> Any:
        with federated(url) as client:
            first = text(client)
            if too_old:
                client._workload_identity_auth.invalidate_token()
            return first, text(client, "again")

    too_old = False
    seen, _, again = once(program)
    too_old = True
    replay = again()

    assert (replay.code, replay.seen) == ("", seen)
    assert any("signs in where it did not in the recorded run" in caveat for caveat in replay.caveats)


def test_a_sign_in_that_another_call_makes_first() -> None:
    """Two threads share a client: whoever comes first signs in for both."""

    def program(url: str) -> Any:
        with federated(url) as client:
            if second_first:
                client._workload_identity_auth._store_token({"access_token": "mine", "expires_in": 3600})
            seen = [text(client, "a")]
            client._workload_identity_auth.invalidate_token() if second_first else None
            return [*seen, text(client, "b")]

    second_first = False
    seen, _, again = once(program)
    second_first = True

    assert (again().code, again().seen) == ("", seen)


def test_a_provider_that_does_not_take_the_token_at_first() -> None:
    app = StubProvider().error(401)
    seen, record, again = once(lambda url: text(federated(url)), provider=app)

    assert asks_of(record) == [["token", "completions", "token", "completions"]]
    assert (again().code, again().seen) == ("", seen)


@pytest.mark.parametrize("when", ["before each call", "in each call"])
def test_a_token_of_the_program_goes_into_the_header_of_its_next_request(when: str) -> None:
    def program(url: str) -> Any:
        def token() -> str:
            return str(httpx2.post(f"{url}/token", json={"grant": "mine"}).json()["access_token"])

        key: Any = token if when == "in each call" else token()
        with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
            return text(client), text(client)

    seen, record, again = once(program)
    replay = again()

    inside = {"before each call": [["token"], ["completions"], ["completions"]]}
    assert asks_of(record) == inside.get(when, [["token", "completions"]] * 2)
    assert (replay.code, replay.seen, replay.verdict) == ("", seen, "exact_with_caveats")


def test_a_secret_in_an_answer_is_the_same_secret_in_the_next_question() -> None:
    @agentrace.tool
    def look_up(header: str, key: str) -> int:
        return len(header)

    def program(url: str) -> Any:
        token = httpx2.post(f"{url}/token", json={"grant": "mine"}).json()["access_token"]
        return look_up(f"Bearer {token}", token) > 0

    seen, _, again = once(program)

    assert (again().code, again().seen) == ("", seen)


# --- what the record does not hold --------------------------------------------------------------------------


def test_a_request_for_something_else_is_a_divergence() -> None:
    def elsewhere(url: str) -> Any:
        with federated(url) as client:
            client._workload_identity_auth.token_exchange_url = f"{url}/oauth/other"
            return text(client)

    _, _, again = once(twice)
    replay = again(elsewhere)

    assert replay.code == "CALL_CHANGED"
    assert "asks for POST 127.0.0.1:" in replay.report
    assert "/oauth/other as request 1, but the recorded run asked for POST 127.0.0.1:" in replay.report


def test_a_sign_in_of_which_the_record_holds_none_is_a_divergence() -> None:
    def with_a_key(url: str) -> Any:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0) as client:
            return text(client)

    _, _, again = once(with_a_key)
    replay = again(lambda url: text(federated(url)))

    assert replay.code == "CALL_CHANGED"
    assert "/oauth/token as request 1, but the recorded run asked for POST" in replay.report


def test_a_request_that_is_not_made_again_is_a_divergence() -> None:
    """The recorded client tried again; this one gives up, and the program sees another outcome."""

    def patient(url: str) -> Any:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=1) as client:
            return text(client)

    def hasty(url: str) -> Any:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0) as client:
            try:
                return text(client)
            except openai.RateLimitError as error:
                return error.status_code

    seen, _, again = once(patient, provider=StubProvider().error(429, retry_after_ms=1))

    assert (again().seen, again().verdict) == (seen, "exact")
    assert again(hasty).code == "CALL_CHANGED"
    assert "ended after request 1, but the recorded run then asked for POST" in again(hasty).report


def test_the_same_provider_at_another_address_answers_all_the_same() -> None:
    seen, record, _ = once(twice)
    replay = replayed(record, lambda: twice("http://localhost:9/proxy"))

    assert (replay.code, replay.seen) == ("CALL_CHANGED", None)  # the path of the sign-in is another one there
    replay = replayed(record, lambda: twice("http://localhost:9"))
    assert (replay.code, replay.seen) == ("", seen)
