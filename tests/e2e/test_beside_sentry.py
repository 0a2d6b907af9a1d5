"""Sentry wraps threads, pools and tasks as agentrace does: neither is in the other's way, whoever begins first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.place import PYTHON, Place

AGENT = """
    import asyncio, threading
    from concurrent.futures import ThreadPoolExecutor
    import agentrace
    import sentry_sdk
    from sentry_sdk.integrations.asyncio import AsyncioIntegration

    def begin():
        sentry_sdk.init(
            dsn="http://key@127.0.0.1:1/4",
            integrations=[AsyncioIntegration()],
            auto_enabling_integrations=False,  # else it imports every library it knows
            shutdown_timeout=0,
        )

    {first}
    {second}

    @agentrace.tool
    def look(number):
        return number

    @agentrace.tool
    async def weigh(number):
        await asyncio.sleep(0.001 * (number % 3))
        return number

    async def agent():
        loop = asyncio.get_running_loop()
        found = await asyncio.gather(
            *(asyncio.to_thread(look, number) for number in range(3)),
            *(loop.run_in_executor(None, look, number) for number in range(3)),
            *(weigh(number) for number in range(3)),
        )
        sentry_sdk.capture_message("found")
        return found

    print(asyncio.run(agent()))
    thread = threading.Thread(target=look, args=(7,))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(3) as pool:
        print(list(pool.map(look, range(4))))
"""


@pytest.mark.parametrize("first", ["begin()", "agentrace.init()"])
def test_places_stay_exact(first: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    second = "agentrace.init()" if first == "begin()" else "begin()"
    agent = place.write("agent.py", AGENT.format(first=first, second=second))

    recorded = place.run(PYTHON, agent)
    steps = [step.dispatched for step in place.the_run().trace.steps.values()]
    replayed = place.replay("@last", "--", PYTHON, agent)

    assert recorded.code == replayed.code == 0, replayed
    assert replayed.out == recorded.out
    assert "replay exact: 14 calls" in replayed.err
    assert [step.name for step in steps if step.shared] == []
    assert len({(step.parent, step.flow, step.ordinal) for step in steps}) == 14
