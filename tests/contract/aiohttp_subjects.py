"""Sessions of aiohttp as a subject: every request of theirs is a step of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

import agentrace
from tests.contract import made_bodies
from tests.contract.far_end import Canned, canned
from tests.contract.http_subjects import answers, mute, step
from tests.contract.openai_scenarios import KEY
from tests.contract.scenarios import Expected, Scenario, Subject, World


def nothing_yet(_: World) -> None:
    """Sessions are made in their loop."""


def session(world: World, **options: Any) -> aiohttp.ClientSession:
    """The world's session, made at its first use."""
    if world.client is None:
        headers = {"authorization": f"Bearer {KEY}"}
        timeout = aiohttp.ClientTimeout(total=5)
        world.client = aiohttp.ClientSession(headers=headers, timeout=timeout, **options)
        world.closes(world.client.close)
    made: aiohttp.ClientSession = world.client
    return made


async def whole(world: World, path: str, method: str = "GET", **options: Any) -> Any:
    async with session(world).request(method, f"{world.url}{path}", **options) as response:
        body = await response.read()
    return [response, body]


async def get(world: World) -> Any:
    response, _ = await whole(world, "/things")
    return [response, await response.json(), await response.text()]


async def get_with_query(world: World) -> Any:
    return await whole(world, "/things", params=[("q", "a b"), ("q", "2")])


async def get_big(world: World) -> Any:
    return await whole(world, "/big")


async def get_as_it_came(world: World) -> Any:
    session(world, auto_decompress=False)
    response, body = await whole(world, "/big")
    return [response, len(body) > 0]


async def post_json(world: World) -> Any:
    return await whole(world, "/things", "POST", json={"name": "lamp"})


async def post_form(world: World) -> Any:
    form = aiohttp.FormData({"kind": "note"})
    form.add_field("file", b"\x00\xff one", filename="notes.txt", content_type="text/plain")
    response, body = await whole(world, "/things", "POST", data=form)
    return [response.status, body]


async def post_pieces(world: World) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"name": '
        for _ in range(50):  # so that it takes longer than the way to a recorded answer
            await asyncio.sleep(0)
        yield b'"lamp"}'
        world.notes["made"] = True

    return await whole(world, "/things", "POST", data=pieces())


async def post_made(world: World) -> Any:
    return await whole(world, "/things", "POST", data=made_bodies.pieces_later())


async def post_made_in_parts(world: World) -> Any:
    with aiohttp.MultipartWriter("mixed", boundary="here") as parts:
        parts.append(made_bodies.pieces_later())
        parts.append("a text")
    return await whole(world, "/things", "POST", data=parts)


async def head(world: World) -> Any:
    return await whole(world, "/things", "HEAD")


async def nothing(world: World) -> Any:
    return await whole(world, "/file", "PUT")


async def redirected(world: World) -> Any:
    return await whole(world, "/moved")


async def not_redirected(world: World) -> Any:
    return await whole(world, "/moved", allow_redirects=False)


async def missing(world: World) -> Any:
    return await whole(world, "/missing", raise_for_status=True)


async def missing_asked_later(world: World) -> Any:
    async with session(world).get(f"{world.url}/missing") as response:
        told = await response.json()
        response.raise_for_status()
    return told


async def broken(world: World) -> Any:
    return await whole(world, "/broken")


async def slow(world: World) -> Any:
    return await whole(world, "/slow", timeout=aiohttp.ClientTimeout(total=5, sock_read=0.2))


async def slow_altogether(world: World) -> Any:
    return await whole(world, "/slow", timeout=aiohttp.ClientTimeout(total=0.2))


async def slow_and_given_up(world: World) -> Any:
    async with session(world).get(f"{world.url}/slow") as response:
        return await asyncio.wait_for(response.read(), 0.1)


async def slow_and_asked_again(world: World) -> Any:
    """A wait that is cancelled is no end of the body."""
    async with session(world).get(f"{world.url}/pause") as response:
        pieces = [await response.content.readany()]
        while True:
            try:
                pieces.append(await asyncio.wait_for(response.content.readany(), 0.02))
            except TimeoutError:
                continue
            if not pieces[-1]:
                return b"".join(pieces)


async def hung_up(world: World) -> Any:
    return await whole(world, "/", "POST")


async def reset_twice(world: World) -> Any:
    """A request that may be repeated is, once, by the session itself."""
    return await whole(world, "/reset")


async def late(world: World) -> Any:
    return await whole(world, "/late", timeout=aiohttp.ClientTimeout(total=0.1))


async def cancelled(world: World) -> Any:
    asking = asyncio.ensure_future(whole(world, "/late"))
    await world.asked()
    asking.cancel()
    return await asyncio.gather(asking, return_exceptions=True)


async def nobody_there(world: World) -> Any:
    async with session(world).get("http://127.0.0.1:1/") as response:
        return response


async def lines(world: World) -> Any:
    async with session(world).get(f"{world.url}/lines") as response:
        return [[line async for line in response.content], response]


async def pieces(world: World) -> Any:
    async with session(world).get(f"{world.url}/lines") as response:
        return [b"".join([piece async for piece in response.content.iter_chunked(64)]), response]


async def any_pieces(world: World) -> Any:
    async with session(world).get(f"{world.url}/lines") as response:
        return b"".join([piece async for piece in response.content.iter_any()])


async def exactly(world: World) -> Any:
    async with session(world).get(f"{world.url}/lines") as response:
        first = await response.content.readexactly(7)
        return [first, await response.content.readuntil(b"line 2"), await response.text()]


async def left(world: World) -> Any:
    async with session(world).get(f"{world.url}/lines") as response:
        return [await response.content.readline(), response.status]


async def unread(world: World) -> Any:
    response = await session(world).get(f"{world.url}/lines")
    status = response.status
    response.close()
    return status


async def many_at_once(world: World) -> Any:
    asked = [whole(world, path) for path in ("/things", "/big", "/missing", "/lines")]
    return [body for _, body in await asyncio.gather(*asked)]


async def through_a_middleware(world: World) -> Any:
    async def again(request: Any, handler: Any) -> Any:
        response = await handler(request)
        return await handler(request) if response.status == 401 else response

    return await whole(world, "/guarded", middlewares=(again,))


async def inside_a_tool(world: World) -> Any:
    @agentrace.tool(name="look_up")
    async def look_up(place: str) -> Any:
        async with session(world).get(f"{world.url}/{place}") as response:
            return await response.json()

    return await look_up("things")


def pausing() -> Any:
    """A body whose second piece comes late."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def late(message: Any) -> None:
            if message.get("body") == b"two":
                await asyncio.sleep(0.06)
            await send(message)

        await canned({"GET /pause": Canned((b"one ", b"two"))})(scope, receive, late)

    return app


def _one(name: str, does: Any, request: str, outcome: str = "exhausted", status: int = 200, **more: Any) -> Scenario:
    last = more.pop("last", outcome if outcome not in ("ok", "cancelled") else "exhausted")
    expected = step("aiohttp", request, outcome, status, last)
    return Scenario(name, does, (expected,), **{"app": answers, "only": "async", **more})


_CLOSED = "closed_by_consumer"
_THINGS = step("aiohttp", "GET /things")

AIOHTTP = Subject(
    "aiohttp",
    aiohttp,
    nothing_yet,
    (
        _one("get", get, "GET /things"),
        _one("get-query", get_with_query, "GET /things"),
        _one("get-big", get_big, "GET /big"),
        _one("post-json", post_json, "POST /things", status=201),
        _one("post-form", post_form, "POST /things", status=201),
        _one("post-pieces", post_pieces, "POST /things", status=201, verdict="exact_with_caveats"),
        *(
            Scenario(
                name,
                does,
                (step("aiohttp", "POST /things", status=201), *made_bodies.PICKED),
                app=answers,
                only="async",
                verdict="exact_with_caveats",
            )
            for name, does in (("post-made", post_made), ("post-made-in-parts", post_made_in_parts))
        ),
        _one("head", head, "HEAD /things", "ok"),
        _one("nothing", nothing, "PUT /file", "ok", 204),
        Scenario(
            "redirected",
            redirected,
            (step("aiohttp", "GET /moved", _CLOSED, 302), _THINGS),
            app=answers,
            only="async",
        ),
        _one("not-redirected", not_redirected, "GET /moved", status=302),
        _one("missing", missing, "GET /missing", _CLOSED, 404),
        _one("missing-asked-later", missing_asked_later, "GET /missing", status=404),
        _one("broken", broken, "GET /broken", "error"),
        _one("slow", slow, "GET /slow", "error"),
        _one("slow-altogether", slow_altogether, "GET /slow", "error"),
        _one("slow-and-given-up", slow_and_given_up, "GET /slow", "cancelled", last="error"),
        _one("slow-and-asked-again", slow_and_asked_again, "GET /pause", app=pausing),
        _one("hung-up", hung_up, "POST /", "error", 0, app=mute),
        Scenario("reset-twice", reset_twice, (step("aiohttp", "GET /reset", "error", 0),) * 2, app=mute, only="async"),
        _one("late", late, "GET /late", "error", 0, app=mute),
        _one("cancelled", cancelled, "GET /late", "cancelled", 0, app=mute, last="error"),
        _one("nobody-there", nobody_there, "GET /", "error", 0),
        _one("lines", lines, "GET /lines"),
        _one("pieces", pieces, "GET /lines"),
        _one("any-pieces", any_pieces, "GET /lines"),
        _one("exactly", exactly, "GET /lines"),
        *(
            _one(f"{name}-{coding}", does, request, encoding=coding, same_bytes=False)
            for coding in ("gzip", "deflate", "raw-deflate")
            for name, does, request in (("lines", lines, "GET /lines"), ("big", get_big, "GET /big"))
        ),
        _one("as-it-came-gzip", get_as_it_came, "GET /big", encoding="gzip", same_bytes=False),
        _one("left", left, "GET /lines", _CLOSED),
        _one("unread", unread, "GET /lines", _CLOSED),
        Scenario(
            "many-at-once",
            many_at_once,
            (
                _THINGS,
                step("aiohttp", "GET /big"),
                step("aiohttp", "GET /missing", status=404),
                step("aiohttp", "GET /lines"),
            ),
            app=answers,
            only="async",
        ),
        Scenario(
            "through-a-middleware",
            through_a_middleware,
            (step("aiohttp", "GET /guarded", _CLOSED, 401), step("aiohttp", "GET /guarded")),
            app=answers,
            only="async",
        ),
        Scenario(
            "inside-a-tool",
            inside_a_tool,
            (Expected("tool", "look_up", "", "ok", (200,), "exhausted"),),
            app=answers,
            only="async",
        ),
    ),
    key=KEY,
)
