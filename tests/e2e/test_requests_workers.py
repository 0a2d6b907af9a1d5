"""Workers that come and go: recycled, restarted, timed out, reloaded. Each request that was answered is a run."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Place, status
from tests.e2e.servers import by_name, lines_until, seen, serving, stopped, until

WEB = """
    import os, time
    import agentrace

    @agentrace.tool
    def weigh(n):
        return -n

    @agentrace.tool
    def hang(n):
        time.sleep(600)

    def answer(environ, start_response):
        what, number = environ["PATH_INFO"].strip("/").split("/")
        {"weigh": weigh, "hang": hang}[what](int(number))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [agentrace.status().run_id.encode()]

    app = agentrace.WSGIMiddleware(answer, name=lambda environ: environ["PATH_INFO"].split("/")[1])
"""
COUNT = 20


@pytest.mark.parametrize("before", [("--preload",), ()], ids=["preload", "each its own"])
def test_workers_are_recycled_restarted_and_timed_out(tmp_path: Path, before: tuple[str, ...]) -> None:
    place = Place(tmp_path)
    place.write("web.py", WEB)
    limits = ("-w", "2", "--max-requests", "5", "--timeout", "1", "--graceful-timeout", "20")
    gunicorn = (PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:0", "--no-control-socket", *before, *limits, "web:app")

    with serving(place, AGENTRACE, "run", *gunicorn) as server, ThreadPoolExecutor(4) as pool:
        lines = lines_until(server, "Listening at", "Booting worker", "Booting worker")
        url = next(line for line in lines if "Listening at" in line).partition("Listening at: ")[2].split()[0]
        answers = list(pool.map(lambda n: asked(url, n), range(COUNT)))
        os.kill(server.pid, signal.SIGHUP)
        answers += pool.map(lambda n: asked(url, n), range(COUNT, 2 * COUNT))
        timed_out = httpx.get(f"{url}/hang/7", timeout=60).status_code
        answers += pool.map(lambda n: asked(url, n), range(2 * COUNT, 3 * COUNT))
        code = stopped(server).code

    records = by_name(place)
    assert (timed_out, code) == (500, 0)
    assert {name: len(found) for name, found in records.items()} == {"gunicorn": 1, "weigh": 3 * COUNT, "hang": 1}
    assert {one.run_id.hex(): (status(one), seen(one)) for one in records["weigh"]} == {
        run_id.replace("-", ""): ("completed", [("weigh", {"n": number}, -number)]) for number, run_id in answers
    }
    (hung,), (own,) = records["hang"], records["gunicorn"]
    failure = hung.trace.run.failure
    assert (status(hung), failure and failure.type) == ("failed", "builtins:SystemExit")
    assert (status(own), own.trace.run.exit_code) == ("completed", 0)
    assert place.do(AGENTRACE, "verify", "--all").code == 0


def asked(url: str, number: int) -> tuple[int, str]:
    """What was answered; a worker that is about to go may close a connection before it has read the request."""
    return until(lambda: _answer(url, number))


def _answer(url: str, number: int) -> tuple[int, str] | None:
    try:
        return number, httpx.get(f"{url}/weigh/{number}", timeout=60).text
    except httpx.TransportError:
        return None


RELOADED = """
    import agentrace
    from fastapi import FastAPI

    @agentrace.tool
    def weigh(n):
        return -n

    app = FastAPI()
    app.add_middleware(agentrace.ASGIMiddleware)

    @app.get("/weigh/{number}")
    def weighs(number: int):
        return [VERSION, weigh(number), agentrace.status().run_id]
"""


def test_a_server_that_reloads_its_program_goes_on_recording(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.write("web.py", "VERSION = 1\n" + RELOADED.replace("\n    ", "\n"))
    uvicorn = (PYTHON, "-m", "uvicorn", "web:app", "--port", "0", "--reload", "--reload-delay", "0.1")

    with serving(place, AGENTRACE, "run", *uvicorn) as server:
        lines = lines_until(server, "running on", "startup complete")
        url = next(line for line in lines if "running on" in line).partition("running on ")[2].split()[0]
        answers = [httpx.get(f"{url}/weigh/{number}").json() for number in range(3)]
        program.write_text(program.read_text().replace("VERSION = 1", "VERSION = 22"))
        lines_until(server, "Reloading", "startup complete")
        answers += [httpx.get(f"{url}/weigh/{number}").json() for number in range(3)]
        done = stopped(server)

    assert [answer[:2] for answer in answers] == [[version, -number] for version in (1, 22) for number in range(3)]
    records = by_name(place)
    assert {name: [status(one) for one in found] for name, found in records.items()} == {
        "uvicorn": ["completed"],
        "GET /weigh/{number}": ["completed"] * 6,
    }, done.err
    assert {one.run_id.hex() for one in records["GET /weigh/{number}"]} == {
        answer[2].replace("-", "") for answer in answers
    }
