"""The stub provider: a model provider on loopback that answers what a test tells it to."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from random import Random

from agentrace.errors import ConfigError

from .answers import Answer, Drop, Failure, Pause, Reply, Vectors, said
from .delivery import deliver
from .mint import Mint
from .rendering import rendered
from .routing import ENDPOINTS, Turn, turn_of
from .script import Answerer, Rule, When, Words, read_script, word_of
from .server import App, Message, Receive, Send, Serving
from .wire import Endpoint, Request

_SUITS: dict[type[Answer], frozenset[str]] = {
    Reply: frozenset({"model"}),
    Vectors: frozenset({"embedding"}),
    Failure: frozenset({"model", "embedding", "list"}),
    Drop: frozenset({"model", "embedding", "list"}),
}
"""Which kinds of endpoint an answer is for."""

_SEEDED_NOW = 1_790_000_000
"""The time a seeded stub tells: always the same, so that its answers are the same in every run."""


class StubProvider(Words["StubProvider"]):
    """A model provider to test agents with: it speaks the real wire and says what it is told.

    A request is answered by the first item of the script that suits its endpoint, which is then used up;
    else by the first rule that holds; else by an echo of the request. Script items and rules may be added
    at any time and from any thread.

    ``seed`` makes ids, times, texts and pauses the same for the same requests, in whatever order they
    arrive; without it they are random. ``latency`` is the wait before an answer and ``chunk_latency`` the
    wait between the chunks of a stream, in seconds; a pair is a range. ``keep`` is how many of the newest
    requests are kept.
    """

    def __init__(
        self, *, seed: int | None = None, latency: Pause = 0.0, chunk_latency: Pause = 0.0, keep: int = 10_000
    ) -> None:
        self._seed = seed
        self._random = Random()
        self._latency = latency
        self._chunk_latency = chunk_latency
        self._lock = threading.Lock()
        self._script: list[Answer] = []
        self._rules: list[Rule] = []
        self._requests: deque[Request] = deque(maxlen=keep)
        self._received = 0
        self._seen: Counter[int] = Counter()

    @classmethod
    def from_file(cls, path: Path | str, *, seed: int | None = None, keep: int = 10_000) -> StubProvider:
        """A stub with the script in a JSON file; ``seed`` replaces the file's. Raises `ConfigError`."""
        told = read_script(Path(path))
        seed = told.seed if seed is None else seed
        stub = cls(seed=seed, latency=told.latency, chunk_latency=told.chunk_latency, keep=keep)
        for item in told.script:
            answer, when, times = word_of(item)
            (stub if when is None else stub.when(when, times=times)).answer(answer)
        return stub

    def answer(self, answer: Answer) -> StubProvider:
        self._check(answer)
        with self._lock:
            self._script.append(answer)
        return self

    def when(self, condition: str | Callable[[Request], bool], *, times: int | None = None) -> When[StubProvider]:
        """A rule: what the next word says is the answer to every request for which ``condition`` holds.

        A string holds when it is in the text of the last message. With ``times`` the rule ends after as many
        answers.
        """

        def tell(answer: Answer) -> StubProvider:
            self._check(answer)
            return self._add(Rule(_holds(condition), answer, times))

        return When(tell)

    def rule(self, answerer: Answerer) -> StubProvider:
        """A rule as a function: it gets each request and returns a `Reply` or other answer, a text, or None.

        An async function may wait, for instance until another request has come.
        """
        return self._add(Rule(lambda request: True, answerer))

    @property
    def requests(self) -> list[Request]:
        """What was received so far, oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def remaining(self) -> list[Answer]:
        """What of the script has not been used."""
        with self._lock:
            return list(self._script)

    def serve(self, *, port: int = 0) -> Serving:
        """A server on 127.0.0.1 for a ``with`` or ``async with`` block, which gives its URL.

        The URL has no path: OpenAI's client wants ``base_url=f"{url}/v1"``, Anthropic's ``base_url=url``.
        """
        return Serving(self.app, port=port)

    @property
    def app(self) -> App:
        """The stub as an ASGI app. Where it is to drop a connection it raises ConnectionAbortedError."""
        return self

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request; a host server's other messages too."""
        if scope["type"] != "http":
            await _serve_other(scope, receive, send)
            return
        body = await _body(receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        headers = _headers(scope)
        turn = turn_of(scope["method"], path, body, headers)
        request = self._note(scope, headers, body, turn)
        mint = self._mint(request)
        answer = turn.failure or await self._chosen(request, turn.endpoint)
        delay = mint.seconds(self._latency if answer is None or answer.delay is None else answer.delay)
        if delay:
            await asyncio.sleep(delay)
        out = rendered(turn, answer, mint, delay)
        gap = self._chunk_latency if answer is None or answer.chunk_delay is None else answer.chunk_delay
        await deliver(send, out, answer if isinstance(answer, Drop) else None, lambda: mint.seconds(gap))

    def _check(self, answer: Answer) -> None:
        if answer.on is not None and answer.on not in ENDPOINTS:
            known = ", ".join(sorted(ENDPOINTS))
            raise ConfigError(f'there is no endpoint "{answer.on}"', do=f"use one of: {known}")

    def _add(self, rule: Rule) -> StubProvider:
        with self._lock:
            self._rules.append(rule)
        return self

    def _note(self, scope: Message, headers: dict[str, str], body: bytes, turn: Turn) -> Request:
        ask = turn.ask
        with self._lock:
            self._received += 1
            request = Request(
                number=self._received,
                time=time.time(),
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                headers=headers,
                body=body,
                endpoint=turn.endpoint.name,
                model=ask.model,
                stream=ask.stream,
                text=ask.text,
                role=ask.role,
                tools=tuple(tool.name for tool in ask.tools),
            )
            self._requests.append(request)
        return request

    def _mint(self, request: Request) -> Mint:
        """Chance; with a seed, what follows from it, the request and how often the same was asked before."""
        if self._seed is None:
            return Mint(self._random, int(request.time))
        key = zlib.crc32(request.body, zlib.crc32(f"{request.method} {request.path}".encode()))
        with self._lock:
            self._seen[key] += 1
            again = self._seen[key]
        return Mint(Random(f"{self._seed}/{key}/{again}"), _SEEDED_NOW)

    async def _chosen(self, request: Request, endpoint: Endpoint) -> Answer | None:
        """What script or rules say to a request; None if they say nothing."""
        with self._lock:
            place = next((n for n, answer in enumerate(self._script) if _suits(answer, endpoint)), None)
            if place is not None:
                return self._script.pop(place)
            rules = tuple(self._rules)
        for rule in rules:
            answer = await self._ruled(rule, request, endpoint)
            if answer is not None:
                return answer
        return None

    async def _ruled(self, rule: Rule, request: Request, endpoint: Endpoint) -> Answer | None:
        if not rule.condition(request):
            return None
        answer = await _asked(rule.answerer, request)
        if answer is None or not _suits(answer, endpoint):
            return None
        with self._lock:
            if rule.left == 0:
                return None
            rule.left = None if rule.left is None else rule.left - 1
        return answer


async def _asked(answerer: Answer | Answerer, request: Request) -> Answer | None:
    """The answer of a rule; a text is a reply."""
    if isinstance(answerer, Answer):
        return answerer
    found = answerer(request)
    if inspect.isawaitable(found):
        found = await found
    if found is None or isinstance(found, Answer):
        return found
    return said("reply", found, {})


def _headers(scope: Message) -> dict[str, str]:
    """The headers of a request by their names in lower case; those with the same name are one."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _suits(answer: Answer, endpoint: Endpoint) -> bool:
    return endpoint.kind in _SUITS[type(answer)] and answer.on in (None, endpoint.name)


def _holds(condition: str | Callable[[Request], bool]) -> Callable[[Request], bool]:
    return (lambda request: condition in request.text) if isinstance(condition, str) else condition


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _serve_other(scope: Message, receive: Receive, send: Send) -> None:
    """What is not HTTP: the start and stop of a host server, and websockets, which are turned away."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})
