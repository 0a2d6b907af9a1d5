"""A secret that a program handles, wherever it turns up, is nowhere in the store; with redaction off it is everywhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from agentrace.journal import Snapshot
from agentrace.testing import StubProvider
from agentrace.testing.server import App, Message, Receive, Send, Serving
from tests.e2e.place import AGENTRACE, PYTHON, Place, status

PLACES = (
    "environment",
    "own key",
    "header",
    "prompt",
    "answer",
    "streamed answer",
    "tool argument",
    "tool result",
    "list",
    "bytes",
    "text of json",
    "keyword",
    "object",
    "yielded",
    "exception",
    "note",
    "cause",
    "argv value",
    "argv shape",
    "url parameter",
    "request body",
    "response body",
    "step",
    "child's argv",
    "retriever",
)
BY_NAME = {
    "dict field": "correct horse battery staple",
    "url password": "hunter2hunter2",
    "argv word": "swordfish-9000",
}
"""Secrets that only their name or their place tells."""


def key(place: str) -> str:
    """A key of a known shape, another one for each place."""
    return f"sk-proj-{base64.b64encode(hashlib.sha256(place.encode()).digest()).decode().translate(_PLAIN)}"


_PLAIN = str.maketrans({"+": "x", "/": "Y", "=": ""})
SECRETS = {place: key(place) for place in PLACES} | BY_NAME | {"environment": "zeT7-qu1et-Harb0r-88"}

PROGRAM = """
    import dataclasses, json, os, subprocess, sys
    import agentrace, httpx2, openai

    secrets = json.loads(sys.stdin.read())
    url = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")

    @dataclasses.dataclass
    class Login:
        user: str
        text: str

    @agentrace.tool
    def call(given, **more):
        return {"user": "ann", "said": f"your key is {secrets['tool result']}, keep it"}

    @agentrace.retriever
    def pages():
        yield f"page with {secrets['yielded']}"
        yield [secrets["retriever"]]

    @agentrace.tool
    def fail():
        try:
            raise KeyError(f"lookup of {secrets['cause']}")
        except KeyError as cause:
            error = RuntimeError(f"rejected: {secrets['exception']}")
            error.add_note(f"tried {secrets['note']}")
            raise error from cause

    call(f"log in with {secrets['tool argument']} now")
    call([1, [f"x {secrets['list']}"]])
    call(f"raw {secrets['bytes']}".encode())
    call(json.dumps({"inner": json.dumps({"t": secrets["text of json"]})}))
    call(1, option=f"--key {secrets['keyword']}")
    call(Login("ann", f"with {secrets['object']}"))
    call({"user": "ann", "password": secrets["dict field"]})
    call(f"the variable is {os.environ['ACME_API_KEY']}!")
    list(pages())
    try:
        fail()
    except RuntimeError:
        pass
    with agentrace.step("login", input=[secrets["step"]]) as step:
        step.output = {"with": secrets["step"]}

    client = openai.OpenAI(api_key=secrets["own key"], default_headers={"X-Api-Key": secrets["header"]}, max_retries=0)
    ask = client.chat.completions.create
    question = [{"role": "user", "content": f"What is {secrets['prompt']}?"}]
    assert secrets["answer"] in ask(model="m", messages=question).choices[0].message.content
    parts = [chunk.choices[0].delta.content or "" for chunk in ask(model="m", messages=question, stream=True)]
    assert secrets["streamed answer"] in "".join(parts)
    http = httpx2.Client(trust_env=False)
    with_password = url.replace("//", f"//ann:{secrets['url password']}@")
    http.get(f"{with_password}/v1/models?access_token={secrets['url parameter']}")
    body = {"model": "m", "messages": question, "metadata": {"client_secret": secrets["request body"]}}
    assert secrets["response body"] in http.post(f"{url}/v1/chat/completions", json=body).text
    subprocess.run([sys.executable, "-c", "import agentrace; agentrace.tool(name='x')(len)('ab')", secrets["child's argv"]])
"""


def recorded(directory: Path, redact: str) -> Place:
    """The store of the program, as it is before anything is sealed."""
    place = Place(directory, {"AGENTRACE_REDACT": redact, "AGENTRACE_SEAL": "0"})
    program = place.write("program.py", PROGRAM)
    stub = StubProvider().reply(f"It is {SECRETS['answer']}.")
    stub.reply(f"So: {SECRETS['streamed answer']}.", pieces=("So: ", SECRETS["streamed answer"], "."))
    stub.reply(f"I got {SECRETS['response body']}")
    stdin = json.dumps(SECRETS).encode()
    arguments = [f"--api-key={SECRETS['argv value']}", "--password", SECRETS["argv word"], SECRETS["argv shape"]]

    with Serving(in_small_pieces(stub.app)) as url:
        variables = {"OPENAI_BASE_URL": f"{url}/v1", "ACME_API_KEY": SECRETS["environment"]}
        done = place.run(PYTHON, program, *arguments, env=variables, stdin=stdin)

    assert (done.code, done.err) == (0, "")
    assert [status(record) for record in place.runs()] == ["completed", "completed"]
    return place


def in_small_pieces(app: App) -> App:
    """``app`` with every body sent a few bytes at a time, so that no piece holds a whole key."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        async def cut(message: Message) -> None:
            body = message.get("body", b"")
            for at in range(0, len(body) - 9, 9):
                await send({**message, "body": body[at : at + 9], "more_body": True})
                await asyncio.sleep(0)
            await send({**message, "body": body[-(len(body) % 9 or 9) :]} if body else message)

        await app(scope, receive, cut)

    return serve


def held_by(place: Place) -> bytes:
    """All that is in the store: every byte of every file, and all that can be read back from it."""
    files = [path.read_bytes() for path in place.store.rglob("*") if path.is_file()]
    return b"\n".join([*files, *decoded(place)])


def decoded(place: Place) -> Iterator[bytes]:
    """Every event, every payload, and every body that came in pieces."""
    snapshot = Snapshot(place.store)
    for entry in snapshot.runs():
        record = snapshot.record(entry.run_id)
        yield from record.events()
        yield from map(record.payload, record.digests())
    for run in place.runs():
        for step_id in run.trace.steps:
            yield from (b"".join(exchange.body) for exchange in run.exchanges(step_id))


def found_in(held: bytes) -> set[str]:
    """The places whose secret is there, in one of the spellings in which it could be read back."""
    return {
        place
        for place, secret in SECRETS.items()
        if any(spelling in held for spelling in (secret.encode(), quote(secret).encode(), *encoded(secret.encode())))
    }


def encoded(secret: bytes) -> Iterator[bytes]:
    """The middle of the base64 of a text that holds the secret, at each of the three offsets."""
    for offset in range(3):
        yield base64.b64encode(b"\0" * offset + secret)[4:-4]


def test_no_secret_is_in_the_store(tmp_path: Path) -> None:
    place = recorded(tmp_path, "default")

    assert found_in(held_by(place)) == set()
    sealed = place.do(AGENTRACE, "ls", "--all")
    assert sealed.out.count("completed") == 2
    assert found_in(held_by(place)) == set()
    assert found_in(place.do(AGENTRACE, "show", "--io", "@last").out.encode()) == set()


def test_without_redaction_every_secret_is(tmp_path: Path) -> None:
    place = recorded(tmp_path, "off")

    assert set(SECRETS) - found_in(held_by(place)) == set()
    place.do(AGENTRACE, "ls")
    assert set(SECRETS) - found_in(b"\n".join(decoded(place))) == set()


@pytest.mark.parametrize("place", SECRETS)
def test_the_search_finds_a_secret_however_it_is_written(place: str) -> None:
    secret = SECRETS[place]

    assert found_in(f"... {secret} ...".encode()) == {place}
    assert found_in(base64.b64encode(f"7{secret}8".encode())) == {place}
    assert found_in(f"?key={quote(secret)}".encode()) == {place}
