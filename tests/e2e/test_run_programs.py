"""What a recorded program did is in its record: every step of every shape, where it happened."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from agentrace.query import RunRecord
from agentrace.testing import Reply, StubProvider
from tests.e2e.place import AGENTRACE, PYTHON, Place, names_of, status, steps_of, told


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


CONCURRENT = """
    import asyncio, random, threading
    from concurrent.futures import ThreadPoolExecutor
    import agentrace

    @agentrace.tool
    async def look(n):
        await asyncio.sleep(random.random() / 100)
        return n * n

    @agentrace.tool
    def weigh(n):
        return -n

    @agentrace.retriever
    def pages(topic):
        try:
            for number in range(10):
                yield f"{topic} {number}"
        finally:
            weigh(99)

    @agentrace.tool
    async def stream(count):
        for n in range(count):
            await asyncio.sleep(0)
            yield n

    async def main():
        print(await asyncio.gather(*map(look, range(5))))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look(n)) for n in (5, 6)]
        print([task.result() for task in tasks])
        print([n async for n in stream(3)])
        async for n in stream(5):
            if n == 1:
                break
        print(await asyncio.to_thread(weigh, 7))
        print(await asyncio.get_running_loop().run_in_executor(None, weigh, 8))

    for page in pages("kettles"):
        print(page)
        break
    asyncio.run(main())
    with ThreadPoolExecutor(3) as pool:
        print(list(pool.map(weigh, range(4))))
    threads = [threading.Thread(target=weigh, args=(n,)) for n in (20, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_steps_of_every_shape_are_recorded(place: Place) -> None:
    program = place.write("program.py", CONCURRENT)

    done = place.run(PYTHON, program)

    assert (done.code, done.err) == (0, "")
    steps = told(place.the_run())
    assert [(step.name, step.status) for step in steps if step.status != "ok"] == []
    by_name = {
        name: sorted(json.dumps([step.input, step.output]) for step in steps if step.name == name)
        for name in ("look", "weigh", "pages", "stream")
    }
    assert by_name["look"] == sorted(json.dumps([{"n": n}, n * n]) for n in range(7))
    assert by_name["weigh"] == sorted(json.dumps([{"n": n}, -n]) for n in (0, 1, 2, 3, 7, 8, 20, 21, 99))
    assert by_name["pages"] == [json.dumps([{"topic": "kettles"}, [{"yield": "kettles 0"}]])]
    assert by_name["stream"] == sorted(
        json.dumps([{"count": count}, [{"yield": n} for n in range(read)]]) for count, read in ((3, 3), (5, 2))
    )


def test_concurrent_steps_are_told_apart_by_place(place: Place) -> None:
    program = place.write("program.py", CONCURRENT)

    for _ in range(2):
        place.run(PYTHON, program)

    first, second = ([(step.path, step.name) for step in steps_of(record)] for record in place.runs())
    assert sorted(first) == sorted(second)
    assert len(set(first)) == len(first)


def test_a_run_without_steps_is_a_run(place: Place) -> None:
    done = place.run("--name", "empty", PYTHON, "-c", "")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert (status(place.the_run()), names_of(place.the_run())) == ("completed", [])
    shown = place.do(AGENTRACE, "show", "@last")
    assert "nothing was recorded" in shown.out


def test_ten_thousand_steps(place: Place) -> None:
    program = place.write(
        "program.py",
        """
        import agentrace

        @agentrace.tool
        def add(a, b):
            return a + b

        @agentrace.agent
        def turn(n):
            return [add(n, m) for m in range(99)]

        for n in range(100):
            turn(n)
        """,
    )

    done = place.run(PYTHON, program)

    assert (done.code, done.out, done.err) == (0, "", "")
    record = place.the_run()
    outputs = [step.output for step in told(record, kinds=["tool"])]
    assert outputs == [n + m for n in range(100) for m in range(99)]
    assert (len(names_of(record)), status(record)) == (10_000, "completed")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    shown = place.do(AGENTRACE, "show", "@last", "--all")
    assert shown.out.count("tool add") == 9900
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 20  # of its own, however busy the machine


def test_pytest_is_a_program_too(place: Place) -> None:
    place.write(
        "test_shop.py",
        """
        import subprocess, sys
        import agentrace, pytest

        @agentrace.tool
        def price(item):
            return len(item)

        @pytest.fixture
        def kettle():
            return price("kettle")

        def test_price(kettle, capsys):
            assert kettle == 6
            print(price("pot"))
            assert capsys.readouterr().out == "3\\n"

        def test_child():
            child = [sys.executable, "-c", "import agentrace; print(agentrace.tool(name='x')(lambda: 1)())"]
            assert subprocess.run(child, capture_output=True, text=True).stdout == "1\\n"

        def test_fails():
            price(None)
        """,
    )

    done = place.run(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py")

    assert done.code == 1
    assert "1 failed, 2 passed" in done.out
    above, below = place.runs()
    assert (above.trace.run.name, status(above), above.trace.run.exit_code) == ("pytest", "failed", 1)
    assert [(step.input, step.status) for step in told(above)] == [
        ({"item": "kettle"}, "ok"),
        ({"item": "pot"}, "ok"),
        ({"item": None}, "failed"),
    ]
    assert names_of(below) == ["x"]


AGENT = """
    import openai

    client = openai.OpenAI(max_retries=0)

    def ask(**options):
        return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], **options)

    print(ask().choices[0].message.content)
    print("".join(chunk.choices[0].delta.content or "" for chunk in ask(stream=True) if chunk.choices))
    for number, chunk in enumerate(ask(stream=True)):
        if number == 2:
            break
    del chunk
    with ask(stream=True) as stream:
        next(stream)
    try:
        ask()
    except openai.RateLimitError as error:
        print(error.status_code, error.body["message"])
"""


def test_an_unmodified_agent_is_recorded(place: Place) -> None:
    program = place.write("program.py", AGENT)
    long = Reply(text="one two three four five six")
    stub = StubProvider().reply("Hello").answer(long).answer(long).answer(long).error(429, message="Slow down")

    with stub.serve() as url:
        done = place.run(PYTHON, program, env={"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "sk-unused"})

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:3] == ["Hello", "one two three four five six", "429 Slow down"]
    record = place.the_run()
    assert outcomes(record) == ["ok", "exhausted", "closed_by_consumer", "closed_by_consumer", "error"]


def outcomes(record: RunRecord) -> list[str]:
    return ["" if step.ended is None else step.ended.outcome for step in steps_of(record)]
