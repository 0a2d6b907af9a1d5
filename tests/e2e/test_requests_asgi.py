"""A real FastAPI application under a real uvicorn: each request is a run, whichever worker answers it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Place, names_of, status, told
from tests.e2e.servers import by_name, killed, lines_until, seen, serving, stopped

WEB = """
    import asyncio, os
    import agentrace
    from fastapi import APIRouter, BackgroundTasks, FastAPI
    from fastapi.responses import StreamingResponse

    agentrace.init()

    @agentrace.tool
    async def look(n):
        await asyncio.sleep(0.001 * (n % 7))
        return n * n

    @agentrace.tool
    def weigh(n):
        return -n

    @agentrace.tool
    async def hang(n):
        print(os.getpid(), flush=True)
        await asyncio.sleep(600)

    app = FastAPI()
    app.add_middleware(agentrace.ASGIMiddleware, skip=["/health"])
    shop = APIRouter(prefix="/shop")

    @shop.get("/orders/{number}")
    async def order(number: int):
        await look(number)
        found = await asyncio.gather(look(number), asyncio.to_thread(weigh, number))
        return {"run": agentrace.status().run_id, "found": found}

    @app.get("/plain/{number}")
    def plain(number: int):
        weigh(number)
        return {"run": agentrace.status().run_id}

    @app.get("/stream/{number}")
    async def stream(number: int):
        async def pieces():
            for n in range(number):
                yield str(await look(n))
        return StreamingResponse(pieces())

    @app.get("/later/{number}")
    async def later(number: int, tasks: BackgroundTasks):
        tasks.add_task(look, number)
        tasks.add_task(weigh, number)

    @app.get("/broken")
    async def broken():
        await look(1)
        raise KeyError("broken")

    @app.get("/endless")
    async def endless():
        async def pieces():
            for n in range(1_000_000):
                yield str(await look(n)) * 10_000
        return StreamingResponse(pieces())

    @app.get("/health")
    async def health():
        return "ok"

    @app.get("/hang/{number}")
    async def hangs(number: int):
        await hang(number)

    app.include_router(shop)
"""
COUNT = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("web"))
    place.write("web.py", WEB)
    return place


@pytest.fixture(scope="module")
def answers(place: Place) -> dict[str, Any]:
    """What the application answered before and after one of its two workers was killed."""
    uvicorn = (PYTHON, "-m", "uvicorn", "web:app", "--workers", "2", "--port", "0", "--no-access-log")
    with serving(place, *uvicorn) as server:
        lines = lines_until(server, "running on", "startup complete", "startup complete")
        url = next(line for line in lines if "running on" in line).partition("running on ")[2].split()[0]
        found = asyncio.run(asked(url, server))
        found["code"] = stopped(server).code
    return found


async def asked(url: str, server: Any) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        found: dict[str, Any] = {"orders": await many(client, range(COUNT))}
        found["plain"] = [await client.get(f"/plain/{number}") for number in range(3)]
        # The last one is answered before the server closes the connection.
        for path in ("/stream/4", "/later/6", "/nowhere", "/health", "/broken"):
            found[path] = await client.get(path)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client, client.stream("GET", "/endless") as response:
        async for _ in response.aiter_bytes():
            break
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        hanging = asyncio.create_task(client.get("/hang/9"))
        pid = int(await asyncio.to_thread(server.stdout.readline))
        await asyncio.to_thread(killed, pid)
        with pytest.raises(httpx.TransportError):
            await hanging
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        found["orders"] += await many(client, range(COUNT, COUNT + 10))
    return found


async def many(client: httpx.AsyncClient, numbers: range) -> list[tuple[int, Any]]:
    given = await asyncio.gather(*(client.get(f"/shop/orders/{number}") for number in numbers))
    return [(number, response.json()) for number, response in zip(numbers, given, strict=True)]


def test_every_request_that_was_answered_is_a_run_of_its_own(place: Place, answers: dict[str, Any]) -> None:
    records = by_name(place)["GET /shop/orders/{number}"]

    assert len(records) == COUNT + 10
    by_id = {record.run_id.hex(): record for record in records}
    for number, answer in answers["orders"]:
        record = by_id[answer["run"].replace("-", "")]
        assert status(record) == "completed"
        (first, *others) = seen(record)
        assert first == ("look", {"n": number}, number**2)
        assert sorted(others) == [("look", {"n": number}, number**2), ("weigh", {"n": number}, -number)]


def test_the_worker_that_was_killed_left_an_interrupted_run(place: Place, answers: dict[str, Any]) -> None:
    (record,) = by_name(place)["GET /hang/{number}"]

    assert (status(record), [(step.name, step.status) for step in told(record)]) == (
        "interrupted",
        [("hang", "running")],
    )
    assert place.do(AGENTRACE, "verify", "--all").code == 0
    assert answers["code"] in (0, -15)


def test_a_request_lasts_until_the_application_is_done_with_it(place: Place, answers: dict[str, Any]) -> None:
    records = by_name(place)

    (stream,), (later,) = records["GET /stream/{number}"], records["GET /later/{number}"]
    assert (answers["/stream/4"].text, status(stream)) == ("0149", "completed")
    assert seen(stream) == [("look", {"n": n}, n * n) for n in range(4)]
    assert (answers["/later/6"].text, status(later)) == ("null", "completed")
    assert seen(later) == [("look", {"n": 6}, 36), ("weigh", {"n": 6}, -6)]


def test_how_a_request_ended_is_told(place: Place, answers: dict[str, Any]) -> None:
    records = by_name(place)

    (broken,), (endless,), (nowhere,) = records["GET /broken"], records["GET /endless"], records["GET /nowhere"]
    failure, aborted = broken.trace.run.failure, endless.trace.run.aborted
    assert (answers["/broken"].status_code, status(broken)) == (500, "failed")
    assert failure is not None
    assert (failure.type, failure.message) == ("builtins:KeyError", "'broken'")
    assert aborted is not None
    assert (status(endless), aborted.by, aborted.code) == ("aborted", "client", "disconnect")
    assert (answers["/nowhere"].status_code, status(nowhere), names_of(nowhere)) == (404, "completed", [])


def test_there_are_no_other_runs(place: Place, answers: dict[str, Any]) -> None:
    assert answers["/health"].text == '"ok"'
    assert {name: len(records) for name, records in by_name(place).items()} == {
        "GET /shop/orders/{number}": COUNT + 10,
        "GET /plain/{number}": 3,
        "GET /stream/{number}": 1,
        "GET /later/{number}": 1,
        "GET /nowhere": 1,
        "GET /broken": 1,
        "GET /endless": 1,
        "GET /hang/{number}": 1,
    }
    assert all(record.holes == [] for record in place.runs())


def test_requests_of_a_recorded_server_are_runs_of_their_own_too(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("web.py", WEB)
    uvicorn = (PYTHON, "-m", "uvicorn", "web:app", "--port", "0", "--no-access-log")

    with serving(place, AGENTRACE, "run", *uvicorn) as server:
        lines = lines_until(server, "running on")
        url = lines[-1].partition("running on ")[2].split()[0]
        answered = [httpx.get(f"{url}/plain/{number}").json() for number in range(3)]
        stopped(server)

    own, *requests = place.runs()
    assert (own.trace.run.name, status(own), names_of(own)) == ("uvicorn", "aborted", [])
    assert [record.run_id.hex() for record in requests] == [answer["run"].replace("-", "") for answer in answered]
    assert [(status(record), names_of(record)) for record in requests] == [("completed", ["weigh"])] * 3
