"""Flask and Django as they are served: each request is a run with the steps of its view, its streams and its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.place import AGENTRACE, PYTHON, Place, status, steps_of
from tests.e2e.servers import by_name, lines_until, seen, serving, stopped

FLASK = """
    import agentrace
    from flask import Blueprint, Flask, abort, send_file, stream_with_context

    agentrace.init()

    @agentrace.tool
    def weigh(n):
        return -n

    app = Flask(__name__)
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @shop.get("/orders/<int:number>")
    def order(number):
        return {"weighed": weigh(number), "run": agentrace.status().run_id}

    @app.get("/stream/<int:number>")
    def stream(number):
        def pieces():
            with agentrace.step("stream"):
                for n in range(number):
                    yield str(weigh(n))
        return stream_with_context(pieces())

    @app.get("/file")
    def file():
        weigh(1)
        return send_file(__file__)

    @app.get("/broken")
    def broken():
        weigh(1)
        raise KeyError("broken")

    @app.get("/teapot")
    def teapot():
        abort(418)

    @app.get("/health")
    def health():
        return "ok"

    app.register_blueprint(shop)
    app.wsgi_app = agentrace.WSGIMiddleware(app.wsgi_app, skip=["/health"])
"""
DJANGO = """
    import agentrace, django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import include, path, resolve

    agentrace.init()
    settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)

    @agentrace.tool
    def weigh(n):
        return -n

    def order(request, number):
        return JsonResponse({"weighed": weigh(number), "run": agentrace.status().run_id})

    async def later(request, number):
        return JsonResponse({"weighed": weigh(number), "run": agentrace.status().run_id})

    def stream(request, number):
        def pieces():
            with agentrace.step("stream"):
                for n in range(number):
                    yield str(weigh(n))
        async def async_pieces():
            for piece in pieces():
                yield piece
        return StreamingHttpResponse(async_pieces() if hasattr(request, "scope") else pieces())

    def file(request):
        weigh(1)
        return FileResponse(open(__file__, "rb"))

    def broken(request):
        weigh(1)
        raise KeyError("broken")

    def teapot(request):
        return HttpResponse(status=418)

    urlpatterns = [
        path("shop/", include([path("orders/<int:number>", order), path("later/<int:number>", later)])),
        path("stream/<int:number>", stream), path("file", file), path("broken", broken), path("teapot", teapot),
        path("health", lambda request: HttpResponse("ok")),
    ]

    def wsgi_name(environ):
        return f"{environ['REQUEST_METHOD']} /{resolve(environ['PATH_INFO']).route}"

    def asgi_name(scope):
        return f"{scope['method']} /{resolve(scope['path']).route}"

    wsgi = agentrace.WSGIMiddleware(get_wsgi_application(), name=wsgi_name, skip=["/health"])
    asgi = agentrace.ASGIMiddleware(get_asgi_application(), name=asgi_name, skip=["/health"])
"""
GUNICORN = (PYTHON, "-m", "gunicorn", "-b", "127.0.0.1:0", "--no-control-socket", "-w", "2", "--threads", "2")
SERVERS = {
    "flask, gunicorn": (FLASK, (*GUNICORN, "web:app"), ("Listening at", "Booting worker", "Booting worker")),
    "flask, its own": (FLASK, (PYTHON, "-m", "flask", "--app", "web", "run", "--port", "0"), ("Running on",)),
    "django, gunicorn": (DJANGO, (*GUNICORN, "web:wsgi"), ("Listening at", "Booting worker", "Booting worker")),
    "django, uvicorn": (DJANGO, (PYTHON, "-m", "uvicorn", "--port", "0", "web:asgi"), ("running on",)),
}
WEIGHED = ("weigh", {"n": 1}, -1)


@contextmanager
def served(place: Place, command: Sequence[str], words: Sequence[str]) -> Iterator[httpx.Client]:
    """A client of a server that runs while the block does."""
    with serving(place, *command) as server:
        lines = lines_until(server, *words)
        url = next(text for line in lines for text in line.split() if text.startswith("http://"))
        with httpx.Client(base_url=url, timeout=60) as client:
            yield client
        stopped(server)


@pytest.mark.parametrize("kind", SERVERS)
def test_each_request_is_a_run_named_after_its_route(tmp_path: Path, kind: str) -> None:
    text, command, words = SERVERS[kind]
    place = Place(tmp_path)
    web = place.write("web.py", text)

    with served(place, command, words) as client:
        orders = [client.get(f"/shop/orders/{number}").json() for number in range(6)]
        streamed, file = client.get("/stream/3").text, client.get("/file").text
        codes = [client.get(path).status_code for path in ("/broken", "/nowhere", "/teapot", "/health")]

    assert (streamed, file, codes) == ("0-1-2", web.read_text(), [500, 404, 418, 200])
    number = "<int:number>"
    records = by_name(place)
    assert {name: [status(one) for one in found] for name, found in records.items()} == {
        f"GET /shop/orders/{number}": ["completed"] * 6,
        f"GET /stream/{number}": ["completed"],
        "GET /file": ["completed"],
        "GET /broken": ["failed"],
        "GET /teapot": ["completed"],
        "GET /nowhere": ["completed"],
    }
    found = {one.run_id.hex(): seen(one) for one in records[f"GET /shop/orders/{number}"]}
    assert found == {
        answer["run"].replace("-", ""): [("weigh", {"n": number}, -number)] for number, answer in enumerate(orders)
    }
    (stream,) = records[f"GET /stream/{number}"]
    assert [(step.name, step.dispatched.parent) for step in steps_of(stream)] == [("stream", 0), *[("weigh", 1)] * 3]
    assert [seen(one) for name in ("GET /file", "GET /broken") for one in records[name]] == [[WEIGHED]] * 2
    assert place.do(AGENTRACE, "verify", "--all").code == 0
