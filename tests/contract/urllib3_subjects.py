"""Pools of urllib3 and sessions of requests as subjects: every request of theirs is a step of its own."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
import requests.adapters
import urllib3

import agentrace
from tests.contract import made_bodies
from tests.contract.far_end import Canned, canned
from tests.contract.http_subjects import answers, inside_a_tool_that_fails, mute, step
from tests.contract.openai_scenarios import KEY
from tests.contract.scenarios import Expected, Scenario, Subject, World

_AUTHORIZED = {"authorization": f"Bearer {KEY}", "accept-encoding": "gzip, deflate"}
_TEXT = (("content-type", "text/plain"),)
WHOLE = "ok" if hasattr(urllib3, "BaseHTTPResponse") else "exhausted"
"""How a step ends whose body the pool reads: since version 2 while it makes the request, before that afterwards."""


def pool(world: World) -> Any:
    made = urllib3.PoolManager(headers=_AUTHORIZED, timeout=5.0, retries=urllib3.Retry(3, redirect=3, backoff_factor=0))
    world.closes(made.clear)
    return made


def session(world: World) -> Any:
    made = requests.Session()
    made.trust_env = False
    made.headers.update(_AUTHORIZED)
    world.closes(made.close)
    return made


def interrupted() -> Any:
    """Lines that end in the middle of the second piece, and a server that recovers."""
    return canned(
        {
            "GET /cut": Canned((b"one\n", b"tw"), headers=_TEXT, drop=True),
            "GET /busy": (
                Canned(b"later", 503, (("retry-after", "9"),)),
                Canned(b"later", 429, ()),
                Canned(b"done", headers=_TEXT),
            ),
        }
    )


# --- urllib3 ------------------------------------------------------------------------------------------------


async def get(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/things")


async def get_with_fields(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/things", fields=[("q", "a b"), ("q", "2")])


async def get_big(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/big")


async def post_json(world: World) -> Any:
    body, kind = b'{"name": "lamp"}', {**_AUTHORIZED, "content-type": "application/json"}
    return world.client.request("POST", f"{world.url}/things", body=body, headers=kind)


async def post_form(world: World) -> Any:
    fields = {"kind": "note", "file": ("notes.txt", b"\x00\xff one", "text/plain")}
    return world.client.request("POST", f"{world.url}/things", fields=fields)


async def post_pieces(world: World) -> Any:
    def pieces() -> Iterator[bytes]:
        world.notes["made"] = True
        yield b'{"name": '
        yield b'"lamp"}'

    options = {"chunked": True, "headers": {**_AUTHORIZED, "transfer-encoding": "chunked"}}
    return world.client.urlopen("POST", f"{world.url}/things", body=pieces(), **options)


async def post_made(world: World) -> Any:
    options = {"chunked": True, "headers": {**_AUTHORIZED, "transfer-encoding": "chunked"}}
    return world.client.urlopen("POST", f"{world.url}/things", body=made_bodies.pieces(), **options)


async def put_file(world: World) -> Any:
    file = io.BytesIO(b"one two three")
    answer = world.client.urlopen("PUT", f"{world.url}/file", body=file, headers={"content-length": "13"})
    return [answer, file.tell()]


async def head(world: World) -> Any:
    return world.client.request("HEAD", f"{world.url}/things")


async def redirected(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/moved")


async def too_many_redirects(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/moved", retries=urllib3.Retry(redirect=0))


async def retried(world: World) -> Any:
    """Waits as it is told to, which a replay does not."""
    retry = urllib3.Retry(3, status_forcelist=[429, 503], backoff_factor=0.001, respect_retry_after_header=False)
    return world.client.request("GET", f"{world.url}/busy", retries=retry)


async def broken(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/broken", retries=False)


async def slow(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/slow", timeout=0.2, retries=False)


async def hung_up(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/", retries=False)


async def reset(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/reset", retries=1)


async def late(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/late", timeout=0.1, retries=False)


async def nobody_there(world: World) -> Any:
    return world.client.request("GET", "http://127.0.0.1:1/", retries=1)


async def streamed(world: World) -> Any:
    response = world.client.request("GET", f"{world.url}/lines", preload_content=False)
    return [b"".join(response.stream(64, decode_content=True)), response]


async def read_in_parts(world: World) -> Any:
    response = world.client.request("GET", f"{world.url}/big", preload_content=False)
    first = response.read(1000)
    return [first, response.read(5), response.read(), response.release_conn(), response]


async def as_a_file(world: World) -> Any:
    response = world.client.request("GET", f"{world.url}/big", preload_content=False)
    response.auto_close = False
    return [list(io.TextIOWrapper(io.BufferedReader(response), "latin-1"))[:3]]


async def cut(world: World) -> Any:
    response = world.client.request("GET", f"{world.url}/cut", preload_content=False)
    pieces = response.stream(1024)
    return [next(pieces), next(pieces), next(pieces)]


async def left(world: World) -> Any:
    response = world.client.request("GET", f"{world.url}/lines", preload_content=False)
    first = next(response.stream(16))
    response.close()
    return first[:7]


async def dropped(world: World) -> Any:
    return world.client.request("GET", f"{world.url}/lines", preload_content=False).status


async def inside_a_tool(world: World) -> Any:
    @agentrace.tool(name="look_up")
    def look_up(place: str) -> Any:
        response = world.client.request("GET", f"{world.url}/{place}")
        return response.content if hasattr(response, "content") else response.data

    return look_up("things")


# --- requests -----------------------------------------------------------------------------------------------


async def requests_get(world: World) -> Any:
    return world.client.get(f"{world.url}/things", params={"q": ["a b", 2]})


async def requests_post(world: World) -> Any:
    return world.client.post(f"{world.url}/things", json={"name": "lamp"})


async def requests_form(world: World) -> Any:
    answer = world.client.post(f"{world.url}/things", data={"kind": "note"}, files={"file": b"\x00\xff one"})
    return answer.json()


async def requests_redirected(world: World) -> Any:
    return world.client.get(f"{world.url}/moved")


async def requests_missing(world: World) -> Any:
    return world.client.get(f"{world.url}/missing").raise_for_status()


async def requests_lines(world: World) -> Any:
    with world.client.get(f"{world.url}/lines", stream=True) as response:
        return [list(response.iter_lines(chunk_size=None)), response]


async def requests_big(world: World) -> Any:
    with world.client.get(f"{world.url}/big", stream=True) as response:
        return [b"".join(response.iter_content(10_240)), response]


async def requests_left(world: World) -> Any:
    with world.client.get(f"{world.url}/lines", stream=True) as response:
        return next(response.iter_lines())


async def requests_failing(world: World, path: str, **options: Any) -> Any:
    try:
        return world.client.get(path if "://" in path else f"{world.url}{path}", **options)
    except requests.RequestException as error:
        return [error.__class__, re.sub("0x[0-9a-f]+", "0x", str(error)), error.response]


async def requests_broken(world: World) -> Any:
    return await requests_failing(world, "/broken")


async def requests_slow(world: World) -> Any:
    return await requests_failing(world, "/slow", timeout=0.2)


async def requests_hung_up(world: World) -> Any:
    return await requests_failing(world, "/")


async def requests_late(world: World) -> Any:
    return await requests_failing(world, "/late", timeout=0.1)


async def requests_nobody(world: World) -> Any:
    return await requests_failing(world, "http://127.0.0.1:1/")


async def requests_in_threads(world: World) -> Any:
    def ask(_: int) -> Any:
        return world.client.get(f"{world.url}/things").text

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(ask, range(6)))


async def requests_without_a_session(world: World) -> Any:
    return requests.get(f"{world.url}/things", timeout=5)  # noqa: ASYNC210 - it is one


# --- as subjects --------------------------------------------------------------------------------------------


def _one(
    name: str, does: Any, request: str, outcome: str = WHOLE, status: int = 200, last: str = "", **more: Any
) -> Scenario:
    expected = step("urllib3", request, outcome, status, last or (outcome if outcome != "ok" else "exhausted"))
    return Scenario(name, does, (expected,), **{"app": answers, "only": "sync", **more})


_MOVED = step("urllib3", "GET /moved", WHOLE, 302, "exhausted")
_THINGS = step("urllib3", "GET /things", WHOLE, 200, "exhausted")
_TOOL = Expected("tool", "look_up", "", "ok", (200,), "exhausted")
_REFUSED = step("urllib3", "GET /", "error", 0)
_CODINGS = ("gzip", "deflate", "raw-deflate")
_CLOSED = "closed_by_consumer"

URLLIB3 = Subject(
    "urllib3",
    urllib3,
    pool,
    (
        _one("get", get, "GET /things"),
        _one("get-fields", get_with_fields, "GET /things"),
        _one("get-big", get_big, "GET /big"),
        _one("post-json", post_json, "POST /things", status=201),
        _one("post-form", post_form, "POST /things", status=201),
        _one("post-pieces", post_pieces, "POST /things", status=201, verdict="exact_with_caveats"),
        Scenario(
            "post-made",
            post_made,
            (step("urllib3", "POST /things", WHOLE, 201, "exhausted"), *made_bodies.PICKED),
            app=answers,
            only="sync",
            verdict="exact_with_caveats",
        ),
        _one("put-file", put_file, "PUT /file", "ok", 204),
        _one("head", head, "HEAD /things", "ok"),
        Scenario("redirected", redirected, (_MOVED, _THINGS), app=answers, only="sync"),
        _one("too-many-redirects", too_many_redirects, "GET /moved", status=302),
        Scenario(
            "retried",
            retried,
            tuple(step("urllib3", "GET /busy", WHOLE, status, "exhausted") for status in (503, 429, 200)),
            app=interrupted,
            only="sync",
        ),
        _one("broken", broken, "GET /broken", "error"),
        _one("slow", slow, "GET /slow", "error"),
        _one("hung-up", hung_up, "GET /", "error", 0, app=mute),
        Scenario("reset", reset, (step("urllib3", "GET /reset", "error", 0),) * 2, app=mute, only="sync"),
        _one("late", late, "GET /late", "error", 0, app=mute),
        Scenario("nobody-there", nobody_there, (_REFUSED, _REFUSED), app=answers, only="sync"),
        _one("streamed", streamed, "GET /lines", "exhausted"),
        _one("read-in-parts", read_in_parts, "GET /big", "exhausted"),
        _one("as-a-file", as_a_file, "GET /big", "exhausted"),
        _one("cut", cut, "GET /cut", "error", app=interrupted),
        *(
            _one(f"{name}-{coding}", does, request, outcome, encoding=coding, same_bytes=False)
            for coding in _CODINGS
            for name, does, request, outcome in (
                ("streamed", streamed, "GET /lines", "exhausted"),
                ("big", get_big, "GET /big", WHOLE),
            )
        ),
        _one("left", left, "GET /lines", _CLOSED),
        _one("dropped", dropped, "GET /lines", _CLOSED),
        Scenario("inside-a-tool", inside_a_tool, (_TOOL,), app=answers, only="sync"),
    ),
    key=KEY,
)

REQUESTS = Subject(
    "requests",
    urllib3,
    session,
    (
        _one("get", requests_get, "GET /things", "exhausted"),
        _one("post-json", requests_post, "POST /things", "exhausted", 201),
        _one("post-form", requests_form, "POST /things", "exhausted", 201),
        Scenario(
            "redirected",
            requests_redirected,
            (step("urllib3", "GET /moved", "exhausted", 302), step("urllib3", "GET /things")),
            app=answers,
            only="sync",
        ),
        _one("missing", requests_missing, "GET /missing", "exhausted", 404),
        _one("lines", requests_lines, "GET /lines", "exhausted"),
        _one("lines-gzip", requests_lines, "GET /lines", "exhausted", encoding="gzip", same_bytes=False),
        _one("big", requests_big, "GET /big", "exhausted"),
        _one("left", requests_left, "GET /lines", _CLOSED),
        _one("broken", requests_broken, "GET /broken", "error"),
        _one("slow", requests_slow, "GET /slow", "error"),
        _one("hung-up", requests_hung_up, "GET /", "error", 0, app=mute),
        _one("late", requests_late, "GET /late", "error", 0, app=mute),
        _one("nobody-there", requests_nobody, "GET /", "error", 0),
        Scenario(
            "in-threads",
            requests_in_threads,
            (step("urllib3", "GET /things"),) * 6,
            app=answers,
            only="sync",
            racing=True,
        ),
        _one("without-a-session", requests_without_a_session, "GET /things", "exhausted"),
        Scenario("inside-a-tool", inside_a_tool, (_TOOL,), app=answers, only="sync"),
        Scenario(
            "inside-a-tool-that-fails",
            inside_a_tool_that_fails,
            (Expected("tool", "look_up", "", "error", (404,), "exhausted"),),
            app=answers,
            only="sync",
        ),
    ),
    key=KEY,
)
