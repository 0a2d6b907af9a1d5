"""The agent whose records older versions wrote into the stores beside this file; today's version replays them.

python agent.py             ends well, and starts itself once as a child process
python agent.py --killed    is killed in the middle of a call
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import Any

import agentrace

PAGES = {
    "Oslo": "Oslo lies at the head of a fjord. " * 60,
    "Rome": "Rome was not built in a day. " * 60,
}


@agentrace.retriever
def search(city: str) -> list[Any]:
    return [PAGES[city], {"score": random.random()}]


@agentrace.tool
def weather(city: str, *, days: int = 3) -> dict[str, Any]:
    if city == "Bern":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"city": city, "degrees": [random.randrange(-10, 30) for _ in range(days)], "raw": os.urandom(64)}


@agentrace.tool
def book(city: str) -> None:
    raise ValueError(f"no room in {city}")


def main() -> None:
    for city in PAGES:
        pages = search(city)
        print(city, len(pages[0]), sum(weather(city)["degrees"]), flush=True)
    if "--killed" in sys.argv:
        weather("Bern")
    try:
        book("Rome")
    except ValueError as error:
        print(error, flush=True)
    if "--child" not in sys.argv:
        subprocess.run([sys.executable, __file__, "--child"], check=True)


if __name__ == "__main__":
    main()
