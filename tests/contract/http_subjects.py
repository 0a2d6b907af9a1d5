"""Bare clients of httpx and httpx2 as subjects: every exchange that no known library made is a step of its own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import httpx
import httpx2

import agentrace
from agentrace.testing.server import ConnectionDropped
from tests.contract import made_bodies
from tests.contract.far_end import Canned, canned
from tests.contract.openai_scenarios import KEY
from tests.contract.scenarios import Expected, Scenario, Subject, World

_JSON = (("content-type", "application/json"),)
_LINES = b"".join(b"line %d\n" % n for n in range(50))
_BIG = bytes(n * 7 % 251 for n in range(300_000))


def answers() -> Any:
    """What every path answers."""
    return canned(
        {
            "GET /things": Canned(b'{"things": [1, 2]}', headers=_JSON),
            "GET /things?q=a+b&q=2": Canned(b'{"things": []}', headers=_JSON),
            "POST /things": Canned(b'{"made": true}', 201, _JSON),
            "PUT /file": Canned(b"", 204, ()),
            "HEAD /things": Canned(b"", headers=_JSON),
            "GET /lines": Canned(
                (_LINES[:100], _LINES[100:101], _LINES[101:]), headers=(("content-type", "text/plain"),)
            ),
            "GET /big": Canned(_BIG, headers=(("content-type", "application/octet-stream"),)),
            "GET /moved": Canned(b"gone", 302, (("location", "/things"),)),
            "GET /missing": Canned(b'{"detail": "nothing here"}', 404),
            "GET /guarded": (Canned(b"who are you?", 401), Canned(b'"come in"')),
            "GET /broken": Canned(b"half of", drop=True),
            "GET /slow": Canned(wait=True),
        }
    )


def mute() -> Any:
    """A server that hangs up, or takes its time, before it has said anything."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await asyncio.Event().wait()
        raise ConnectionDropped(reset=scope["path"] == "/reset")

    return app


def client(world: World) -> Any:
    return world.http_client(headers={"authorization": f"Bearer {KEY}"})


async def get(world: World) -> Any:
    return await world.of(world.client.get(f"{world.url}/things"))


async def get_with_query(world: World) -> Any:
    return await world.of(world.client.get(f"{world.url}/things", params={"q": ["a b", 2]}))


async def get_big(world: World) -> Any:
    return await world.of(world.client.get(f"{world.url}/big"))


async def post_json(world: World) -> Any:
    return await world.of(world.client.post(f"{world.url}/things", json={"name": "lamp", "price": 1.5}))


async def head(world: World) -> Any:
    return await world.of(world.client.head(f"{world.url}/things"))


async def redirected(world: World) -> Any:
    return await world.of(world.client.get(f"{world.url}/moved", follow_redirects=True))


async def not_redirected(world: World) -> Any:
    return await world.of(world.client.get(f"{world.url}/moved"))


async def missing(world: World) -> Any:
    return (await world.of(world.client.get(f"{world.url}/missing"))).raise_for_status()


async def broken(world: World) -> Any:
    return await world.of(world.client.get(f"{world.url}/broken"))


async def slow(world: World) -> Any:
    return await world.of(world.client.get(f"{world.url}/slow", timeout=world.http.Timeout(5.0, read=0.2)))


async def nobody_there(world: World) -> Any:
    return await world.of(world.client.get("http://127.0.0.1:1/"))


async def guarded(world: World) -> Any:
    class Knock(world.http.Auth):  # type: ignore[misc]
        def auth_flow(self, request: Any) -> Iterator[Any]:
            response = yield request
            if response.status_code == 401:
                request.headers["x-again"] = "1"
                yield request

    return await world.of(world.client.get(f"{world.url}/guarded", auth=Knock()))


# --- bodies that come, or go, in pieces ---------------------------------------------------------------------


async def lines(world: World) -> Any:
    async with world.inside(world.client.stream("GET", f"{world.url}/lines")) as response:
        return [await world.all(response.aiter_lines() if world.asynchronous else response.iter_lines()), response]


async def raw_pieces(world: World) -> Any:
    async with world.inside(world.client.stream("GET", f"{world.url}/lines")) as response:
        pieces = await world.all(response.aiter_raw() if world.asynchronous else response.iter_raw())
        return [b"".join(pieces), response.num_bytes_downloaded]


async def left(world: World) -> Any:
    async with world.inside(world.client.stream("GET", f"{world.url}/lines")) as response:
        return await world.first(response.aiter_lines() if world.asynchronous else response.iter_lines(), 2)


async def unread(world: World) -> Any:
    async with world.inside(world.client.stream("GET", f"{world.url}/lines")) as response:
        return [response.status_code, response]


async def post_pieces(world: World) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b'{"name": '
        yield b'"lamp"}'

    async def pieces_async() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    content = pieces_async() if world.asynchronous else pieces()
    return await world.of(world.client.post(f"{world.url}/things", content=content))


async def post_made(world: World) -> Any:
    content = made_bodies.pieces_later() if world.asynchronous else made_bodies.pieces()
    return await world.of(world.client.post(f"{world.url}/things", content=content))


async def post_form(world: World) -> Any:
    files = {"file": ("notes.txt", b"\x00\xff one", "text/plain")}
    return await world.of(world.client.post(f"{world.url}/things", data={"kind": "note"}, files=files))


async def put_file(world: World) -> Any:
    file = io.BytesIO(b"one two three")
    answer = await world.of(world.client.put(f"{world.url}/file", files={"file": file}))
    return [answer, file.tell()]


# --- inside steps -------------------------------------------------------------------------------------------


async def inside_a_task(world: World) -> Any:
    async with world.inside(agentrace.step("look", kind="task")):
        answer = await world.of(world.client.get(f"{world.url}/things"))
    return answer


async def inside_a_tool(world: World) -> Any:
    """On a replay the tool is answered, so it asks nobody."""

    @agentrace.tool(name="look_up")
    def look_up(place: str) -> Any:
        return world.client.get(f"{world.url}/{place}").json()

    @agentrace.tool(name="look_up")
    async def look_up_async(place: str) -> Any:
        return (await world.client.get(f"{world.url}/{place}")).json()

    return await world.of((look_up_async if world.asynchronous else look_up)("things"))


async def inside_a_tool_that_fails(world: World) -> Any:
    @agentrace.tool(name="look_up")
    def look_up(place: str) -> Any:
        raise LookupError(world.client.get(f"{world.url}/{place}").json()["detail"])

    return look_up("missing")


async def without_a_client(world: World) -> Any:
    return world.http.get(f"{world.url}/things", trust_env=False, verify=False)


# --- what is left of them -----------------------------------------------------------------------------------


def step(wire: str, request: str, outcome: str = "exhausted", status: int = 200, last: str = "") -> Expected:
    """The step of one exchange."""
    method, _, path = request.partition(" ")
    name = f"{method} 127.0.0.1{path}"
    return Expected("tool", name, request, outcome, (status,), last or outcome)


def subject(module: ModuleType) -> Subject:
    """Bare clients of one library."""
    wire = module.__name__

    def one(name: str, does: Any, request: str, outcome: str = "exhausted", status: int = 200, **more: Any) -> Scenario:
        return Scenario(name, does, (step(wire, request, outcome, status),), app=answers, **more)

    def tool(name: str, outcome: str, status: int) -> Expected:
        return Expected("tool", name, "", outcome, (status,), "exhausted")

    things, lines_of = step(wire, "GET /things"), "GET /lines"
    codings = ("gzip", "deflate", "raw-deflate", *(("zstd",) if module is httpx else ()))
    look = Expected("task", "look", "", "ok", (), "")
    return Subject(
        wire,
        module,
        client,
        (
            one("get", get, "GET /things"),
            one("get-query", get_with_query, "GET /things"),
            one("get-big", get_big, "GET /big"),
            one("post-json", post_json, "POST /things", status=201),
            one("head", head, "HEAD /things"),
            Scenario("redirected", redirected, (step(wire, "GET /moved", status=302), things), app=answers),
            one("not-redirected", not_redirected, "GET /moved", status=302),
            one("missing", missing, "GET /missing", status=404),
            one("broken", broken, "GET /broken", "error"),
            one("slow", slow, "GET /slow", "error"),
            one("nobody-there", nobody_there, "GET /", "error", 0),
            Scenario(
                "guarded", guarded, (step(wire, "GET /guarded", status=401), step(wire, "GET /guarded")), app=answers
            ),
            one("lines", lines, lines_of),
            one("raw-pieces", raw_pieces, lines_of),
            *(one(f"lines-{coding}", lines, lines_of, encoding=coding, same_bytes=False) for coding in codings),
            *(one(f"big-{coding}", get_big, "GET /big", encoding=coding, same_bytes=False) for coding in codings),
            one("left", left, lines_of, "closed_by_consumer", leaves=True),
            one("left-gzip", left, lines_of, "closed_by_consumer", encoding="gzip", same_bytes=False, leaves=True),
            one("unread", unread, lines_of, "closed_by_consumer", leaves=True),
            one("post-pieces", post_pieces, "POST /things", status=201, verdict="exact_with_caveats"),
            Scenario(
                "post-made",
                post_made,
                (step(wire, "POST /things", status=201), *made_bodies.PICKED),
                app=answers,
                verdict="exact_with_caveats",
            ),
            one("post-form", post_form, "POST /things", status=201),
            one("put-file", put_file, "PUT /file", status=204),
            Scenario("inside-a-task", inside_a_task, (look, things), app=answers),
            Scenario("inside-a-tool", inside_a_tool, (tool("look_up", "ok", 200),), app=answers),
            Scenario(
                "inside-a-tool-that-fails",
                inside_a_tool_that_fails,
                (tool("look_up", "error", 404),),
                app=answers,
                only="sync",
            ),
            one("without-a-client", without_a_client, "GET /things", only="sync"),
        ),
        key=KEY,
    )


_OF_EITHER = {
    *("get", "post-json", "redirected", "broken", "slow", "nobody-there", "lines", "lines-gzip", "lines-zstd"),
    *(
        "big-zstd",
        "left",
        "unread",
        "post-pieces",
        "post-made",
        "post-form",
        "put-file",
        "inside-a-tool",
        "without-a-client",
    ),
}


def chosen(made: Subject) -> tuple[Scenario, ...]:
    """What is done with the older library too: it has the same code beneath."""
    return tuple(scenario for scenario in made.scenarios if scenario.name in _OF_EITHER)


HTTP = (subject(httpx2), replace(subject(httpx), scenarios=chosen(subject(httpx))))
