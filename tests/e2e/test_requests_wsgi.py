"""A WSGI application under a real gunicorn: each request is a run, in forked workers and their threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Place, status, told
from tests.e2e.servers import by_name, killed, lines_until, seen, serving, stopped, text_of, until

WEB = """
    import os, pathlib, time
    import agentrace

    agentrace.init()

    @agentrace.tool
    def weigh(n):
        time.sleep(0.001 * (n % 5))
        return -n

    @agentrace.tool
    def hang(n):
        pathlib.Path("hanging").write_text(f"{os.getpid()}\\n")
        time.sleep(600)

    def answer(environ, start_response):
        what, number = environ["PATH_INFO"].strip("/").split("/")
        start_response("200 OK", [("Content-Type", "text/plain")])
        if what == "stream":
            return (str(weigh(n)).encode() for n in range(int(number)))
        if what == "hang":
            hang(int(number))
        weigh(int(number))
        return [agentrace.status().run_id.encode()]

    app = agentrace.WSGIMiddleware(answer, name=lambda environ: environ["PATH_INFO"].split("/")[1])
"""
WORKERS = {
    "sync": ("-w", "2"),
    "gthread": ("-w", "2", "-k", "gthread", "--threads", "4"),
    "preload": ("-w", "2", "--preload"),
}
COUNT = 24


@pytest.mark.parametrize("kind", WORKERS)
def test_every_request_that_was_answered_is_a_run_also_when_a_worker_is_killed(tmp_path: Path, kind: str) -> None:
    place = Place(tmp_path)
    place.write("web.py", WEB)
    gunicorn = (PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:0", "--no-control-socket", *WORKERS[kind], "web:app")

    with serving(place, *gunicorn) as server, ThreadPoolExecutor(8) as pool:
        lines = lines_until(server, "Listening at", "Booting worker", "Booting worker")
        url = next(line for line in lines if "Listening at" in line).partition("Listening at: ")[2].split()[0]
        answers = list(pool.map(lambda n: (n, httpx.get(f"{url}/weigh/{n}").text), range(COUNT)))
        streamed = httpx.get(f"{url}/stream/4").text
        hanging = pool.submit(httpx.get, f"{url}/hang/7", timeout=60)
        killed(int(until(lambda: text_of(tmp_path / "hanging"))))
        with pytest.raises(httpx.TransportError):
            hanging.result()
        answers += pool.map(lambda n: (n, httpx.get(f"{url}/weigh/{n}").text), range(COUNT, COUNT + 6))
        code = stopped(server).code

    records = by_name(place)
    assert (code, {name: len(found) for name, found in records.items()}) == (
        0,
        {"weigh": COUNT + 6, "stream": 1, "hang": 1},
    )
    by_id = {record.run_id.hex(): record for record in records["weigh"]}
    for number, run_id in answers:
        record = by_id[run_id.replace("-", "")]
        assert (status(record), seen(record)) == ("completed", [("weigh", {"n": number}, -number)])
    (stream,), (hung,) = records["stream"], records["hang"]
    assert (streamed, status(stream), seen(stream)) == (
        "0-1-2-3",
        "completed",
        [("weigh", {"n": n}, -n) for n in range(4)],
    )
    assert (status(hung), [(step.name, step.status) for step in told(hung)]) == ("interrupted", [("hang", "running")])
    assert place.do(AGENTRACE, "verify", "--all").code == 0
