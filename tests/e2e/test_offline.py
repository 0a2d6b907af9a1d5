"""A replay makes no connection: what reaches past the record is refused, and the server notices nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agentrace.testing import StubProvider

PROGRAM = """
import os, socket, urllib.request
import agentrace

@agentrace.tool
def lookup():
    return 7

print(lookup())
port = int(os.environ.get("PORT", "0"))
if port:
    {way}
"""
WAYS = {
    "connect": "socket.create_connection(('127.0.0.1', port), 2)",
    "resolve": "socket.getaddrinfo('example.invalid', port)",
    "urllib": "urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=2)",
    "datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))",
    "swallowed": "\n    try:\n        socket.create_connection(('127.0.0.1', port), 2)\n    except BaseException: pass",
}


def agentrace(tmp_path: Path, *arguments: str, port: int = 0) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "AGENTRACE_HOME": str(tmp_path / "store"), "PORT": str(port), "AGENTRACE_DEBUG": "1"}
    command = [sys.executable, "-m", "agentrace", *arguments]
    return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("way", WAYS)
def test_what_reaches_past_the_record_is_refused(way: str, tmp_path: Path) -> None:
    """The same program connects when it is not replayed, so the server would notice."""
    (tmp_path / "agent.py").write_text(PROGRAM.replace("{way}", WAYS[way]))
    recorded = agentrace(tmp_path, "run", sys.executable, "agent.py")
    assert recorded.stdout == "7\n", recorded

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        replayed = agentrace(tmp_path, "replay", "@last", "--", sys.executable, "agent.py", port=port)

        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()

    assert replayed.returncode == 3, replayed
    assert "UNPATCHED_NETWORK" in replayed.stderr
    assert replayed.stdout == "7\n"


ASKING = """
import asyncio, os
import agentrace, aiohttp, httpx2, requests
url = f"http://127.0.0.1:{os.environ['PORT']}/collect"

async def asked():
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status

async def asked_by_httpx2():
    async with httpx2.AsyncClient() as client:
        return (await client.get(url)).status_code

for way in (
    lambda: requests.get(url).status_code,
    lambda: httpx2.get(url).status_code,
    lambda: asyncio.run(asked()),
    lambda: asyncio.run(asked_by_httpx2()),
):
    try:
        print(way())
    except Exception as error:
        print(type(error).__name__)
"""


def test_whom_the_settings_exclude_cannot_be_reached(tmp_path: Path) -> None:
    """Each library says so in its own way, and the replay is none the worse for it."""
    (tmp_path / "agent.py").write_text(ASKING)
    stub = StubProvider()
    with stub.serve() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        recorded = agentrace(tmp_path, "run", "--exclude-urls", "127.0.0.1", sys.executable, "agent.py", port=port)
        before = len(stub.requests)
        replayed = agentrace(tmp_path, "replay", "@last", "--", sys.executable, "agent.py", port=port)
        assert len(stub.requests) == before

    assert recorded.stdout == "404\n" * 4
    assert replayed.stdout.split() == ["ConnectionError", "ConnectError", "ClientConnectorError", "ConnectError"]
    assert replayed.returncode == 0, replayed


def test_the_server_of_this_test_would_notice(tmp_path: Path) -> None:
    """Without a replay the program's connection arrives."""
    (tmp_path / "agent.py").write_text(PROGRAM.replace("{way}", WAYS["connect"]))

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert agentrace(tmp_path, "run", sys.executable, "agent.py", port=port).returncode == 0
        server.settimeout(5)
        server.accept()[0].close()
