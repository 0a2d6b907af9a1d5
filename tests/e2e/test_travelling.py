"""Recorded functions and objects travel: pickled into other processes, worker pools and clusters, zipped, optimised."""

from __future__ import annotations

import zipapp
import zipfile
from pathlib import Path

import pytest

from agentrace.query import RunRecord, output_of
from tests.e2e.place import PYTHON, Place, names_of

TOOLS = """
    import contextlib, functools
    import agentrace

    @agentrace.tool
    def add(a: int, b: int = 1) -> int:
        '''Add two numbers.'''
        return a + b

    def plus(a, b=1):
        return a + b

    half = agentrace.tool(functools.partial(plus, 1), name="half")

    class Adder:
        def __init__(self, a):
            self.a = a
        def __call__(self, b):
            return self.a + b

    adder = agentrace.tool(Adder(5), name="adder")

    @agentrace.tool
    @functools.lru_cache
    def cached(a):
        return a * 2

    @agentrace.tool
    @contextlib.contextmanager
    def opened(name):
        yield name + " is open"

    ALL = [add, half, adder, cached]
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.write("tools.py", TOOLS)
    return found


def names(place: Place) -> list[list[str]]:
    """The steps of each run, sorted; the runs too."""
    return sorted(sorted(names_of(record)) for record in place.runs())


def outputs(record: RunRecord) -> list[object]:
    return [output_of(record, step) for step in record.trace.steps.values()]


# --- from one process into another --------------------------------------------------------------------------

WRITES = """
    import pickle, sys
    import cloudpickle
    import agentrace, tools

    @agentrace.tool
    def own(a):
        return a + 100

    def by_name(a):
        return a + 200

    for name, dumps in (("plain", pickle.dumps), ("by_value", cloudpickle.dumps)):
        kept = [*tools.ALL, *([own, by_name] if name == "by_value" else [])]
        assert [tool(1) for tool in kept][:4] == [2, 2, 6, 2]
        with open(name, "wb") as file:
            file.write(dumps(kept))
"""
READS = """
    import pickle
    import tools
    for name in ("plain", "by_value"):
        with open(name, "rb") as file:
            print([tool(1) for tool in pickle.load(file)])
"""
READ = "[2, 2, 6, 2]\n[2, 2, 6, 2, 101, 201]\n"


def test_what_was_pickled_while_recorded_is_read_without_and_the_reverse(place: Place) -> None:
    writes, reads = place.write("writes.py", WRITES), place.write("reads.py", READS)

    done = place.run("--tools", "by_name", PYTHON, writes)
    assert (done.code, done.err) == (0, "")
    assert place.do(PYTHON, reads).out == READ
    (written,) = place.runs()
    assert names_of(written)[-2:] == ["own", "by_name"]

    assert place.do(PYTHON, writes).code == 0
    assert place.run(PYTHON, reads).out == READ
    expected = ["add", "add", "adder", "adder", "cached", "cached", "half", "half", "own"]
    assert expected in names(place)


POOLS = """
    import concurrent.futures, multiprocessing, sys
    import tools
    def work(x):
        return tools.add(x, 10) + tools.adder(x)
    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            print([pool.submit(f, 3).result() for f in (*tools.ALL, work)])
        with context.Pool(1) as pool:
            print(pool.map(tools.adder, [1, 2]), pool.starmap(tools.add, [(1, 2)]))
            pool.close()
            pool.join()
        print(tools.add(0))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_pools_are_recorded_and_replayed(method: str, place: Place) -> None:
    program = place.write("pools.py", POOLS)
    plain = place.do(PYTHON, program, method)

    done = place.run(PYTHON, program, method)

    assert (done.code, done.out) == (0, plain.out)
    assert names(place) == [["add"], ["add", "add", "adder", "adder", "cached", "half"], ["add", "adder", "adder"]]
    parent = next(record for record in place.runs() if not record.trace.run.started.parent.run_id)  # type: ignore[union-attr]
    again = place.replay(parent.run_id.hex(), "--", PYTHON, program, method)
    assert (again.code, again.out) == (0, plain.out)
    assert "replay exact" in again.err


CLUSTER = """
    import agentrace, tools
    from distributed import Client, LocalCluster
    @agentrace.tool
    def own(x):
        return tools.add(x, 10)
    if __name__ == "__main__":
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            print(client.gather([client.submit(f, i, pure=False) for i in range(2) for f in (*tools.ALL, own)]))
"""


def test_tools_run_in_the_workers_of_a_dask_cluster(place: Place) -> None:
    done = place.run(PYTHON, place.write("cluster.py", CLUSTER))

    assert (done.code, done.out) == (0, "[1, 1, 5, 0, 10, 2, 2, 6, 2, 11]\n"), done.err
    steps = sorted(name for run in names(place) for name in run)
    assert steps == sorted(["add", "half", "adder", "cached", "own", "add"] * 2)
    parent = next(record for record in place.runs() if not record.trace.run.started.parent.run_id)  # type: ignore[union-attr]
    shown = " ".join(place.do(PYTHON, "-m", "agentrace", "show", parent.run_id.hex()).out.split())
    assert "jobs of a Dask cluster go to its workers over a network that a replay does not have" in shown


JOBLIB = """
    import joblib, tools
    if __name__ == "__main__":
        jobs = [joblib.delayed(f)(i) for i in range(2) for f in (tools.add, tools.adder, tools.half)]
        print(joblib.Parallel(n_jobs=2)(jobs))
"""


def test_workers_of_joblib_are_child_processes_like_others(place: Place) -> None:
    done = place.run(PYTHON, place.write("jobs.py", JOBLIB))

    assert (done.code, done.out) == (0, "[1, 5, 1, 2, 6, 2]\n"), done.err
    assert sorted(name for run in names(place) for name in run) == sorted(["add", "adder", "half"] * 2)


DIVERGENCE = """
    import pickle
    from agentrace import ReplayDivergence
    from agentrace.errors import ConfigError
    error = pickle.loads(pickle.dumps(ReplayDivergence("CALL_EXTRA", "one more")))
    print(error.code, error.report, error)
    print(str(pickle.loads(pickle.dumps(ConfigError("what", do="this", slug="ignore")))).splitlines())
"""


def test_errors_come_out_of_worker_processes(place: Place) -> None:
    assert place.do(PYTHON, place.write("errors.py", DIVERGENCE)).out.splitlines() == [
        "CALL_EXTRA one more CALL_EXTRA: one more",
        "['what', '  what to do: this', '  see docs/errors.md#ignore']",
    ]


# --- without source, without assertions, without docstrings -------------------------------------------------

LOOKS = """
    import inspect
    import tools
    with tools.opened("file") as value:
        print(value, [tool(1) for tool in tools.ALL])
    print(inspect.signature(tools.add), tools.add.__doc__ is None, inspect.getdoc(tools.opened))
    try:
        print(inspect.getsource(tools.add).splitlines()[1])
    except OSError as error:
        print(error)
"""


@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_optimised_programs(option: str, place: Place) -> None:
    program = place.write("looks.py", LOOKS)
    plain = place.do(PYTHON, option, program)

    done = place.run(PYTHON, option, program)

    assert (done.code, done.out, done.err) == (0, plain.out, "")
    record = place.the_run()
    assert outputs(record)[1:] == [2, 2, 6, 2]
    again = place.replay(record.run_id.hex(), "--", PYTHON, option, program)
    assert (again.code, again.out) == (0, plain.out)
    assert "replay exact" in again.err


def test_a_program_in_a_zip_file(place: Place) -> None:
    folder = place.root / "app"
    place.write("app/tools.py", TOOLS)
    place.write("app/__main__.py", LOOKS)
    zipapp.create_archive(folder, place.root / "app.pyz")
    plain = place.do(PYTHON, "app.pyz")

    done = place.run(PYTHON, "app.pyz")

    assert (done.code, done.out, done.err) == (0, plain.out, "")
    sites = [step.dispatched.call_site.partition(" ")[0] for step in place.the_run().trace.steps.values()]
    assert sites[0] == f"{Path('app.pyz/__main__.py')}:3" or sites[0].endswith("app.pyz/__main__.py:3"), sites
    again = place.replay(place.the_run().run_id.hex(), "--", PYTHON, "app.pyz")
    assert (again.code, again.out) == (0, plain.out)
    assert "replay exact" in again.err


def test_a_module_in_a_zip_file_without_its_source(place: Place) -> None:
    import py_compile

    compiled = py_compile.compile(str(place.root / "tools.py"), cfile=str(place.root / "tools.pyc"))
    with zipfile.ZipFile(place.root / "lib.zip", "w") as archive:
        archive.write(str(compiled), "tools.pyc")
    (place.root / "tools.py").rename(place.root / "elsewhere.py")
    (place.root / "tools.pyc").unlink()
    program = place.write(
        "program.py", "import sys\nsys.path.insert(0, 'lib.zip')\n" + "import runpy\nrunpy.run_path('looks.py')\n"
    )
    place.write("looks.py", LOOKS)
    plain = place.do(PYTHON, program)

    done = place.run("--tools", "tools:plus", PYTHON, program)

    assert (done.code, done.out, done.err) == (0, plain.out, "")
    assert "could not get source code" in done.out or "source code not available" in done.out
    assert outputs(place.the_run())[1:3] == [2, 2]


TESTED = """
    import tools

    def test_add():
        left = tools.add(1)
        assert left == 3, tools.adder(1)
"""


def test_assertions_of_pytest_are_rewritten_around_recorded_functions(place: Place) -> None:
    place.write("test_tools.py", TESTED)
    options = ("-p", "no:cacheprovider", "-q", "--color=no")

    plain = place.do(PYTHON, "-m", "pytest", *options, "test_tools.py")
    done = place.run(PYTHON, "-m", "pytest", *options, "test_tools.py")

    def told(out: str) -> list[str]:
        return [line for line in out.splitlines() if line.startswith("E ")]

    assert (done.code, told(done.out)) == (plain.code, told(plain.out))
    assert told(done.out) == ["E       AssertionError: 6", "E       assert 2 == 3"]


# --- what is recorded without being decorated ---------------------------------------------------------------

CLIENTS = """
    import copy, inspect, pickle
    import anthropic, httpx2, openai

    def told(what):
        try:
            return what()
        except Exception as error:
            return type(error).__name__, str(error)

    clients = [openai.OpenAI(api_key="x"), openai.AsyncOpenAI(api_key="x"), anthropic.Anthropic(api_key="x")]
    for client in (*clients, httpx2.Client(), httpx2.AsyncClient()):
        print(type(copy.copy(client)).__name__, told(lambda: pickle.dumps(client)))
        for name in ("request", "post", "send", "_transport_for_url"):
            method = getattr(client, name, None)
            if method is not None:
                function = method.__func__
                print(name, list(inspect.signature(method).parameters), inspect.iscoroutinefunction(method))
                print(function.__qualname__, function.__module__, inspect.getdoc(function), inspect.getsource(function))
                print(pickle.loads(pickle.dumps(function)) is function, copy.deepcopy(function) is function)
"""


def test_clients_of_libraries_look_and_travel_as_without_us(place: Place) -> None:
    program = place.write("clients.py", CLIENTS)
    plain = place.do(PYTHON, program)

    done = place.run(PYTHON, program)

    assert (done.code, done.out) == (0, plain.out)
    assert len(plain.out.splitlines()) > 100


IN_PLACE = """
    import copy, inspect, pickle, typing
    import shop

    for function in (shop.price, shop.deliver, shop.items):
        print(inspect.signature(function), inspect.getdoc(function), typing.get_type_hints(function))
        print(inspect.isfunction(function), inspect.iscoroutinefunction(function), inspect.isgeneratorfunction(function))
        print(inspect.getsource(inspect.unwrap(function)), function.__name__, function.__qualname__, function.__module__)
        print(pickle.loads(pickle.dumps(function)) is function, copy.deepcopy(function) is function)
        print(function.__defaults__, function.__kwdefaults__, function.label)
    print(shop.ALL[0]("tea"), list(shop.ALL[2]()))
"""
SHOP = """
    def price(item: str, /, count: int = 2, *, tax: float = 0.5) -> float:
        'What it costs.'
        return len(item) * count + tax

    async def deliver(item: str) -> str:
        'Bring it.'
        return item

    def items() -> "list[str]":
        'All of them.'
        yield from ["tea", "salt"]

    ALL = [price, deliver, items]
    for function in ALL:
        function.label = "kept"
"""


def test_functions_that_are_recorded_in_place_look_and_travel_as_without_us(place: Place) -> None:
    place.write("shop.py", SHOP)
    program = place.write("looking.py", IN_PLACE)
    plain = place.do(PYTHON, program)

    done = place.run("--tools", "shop:*", PYTHON, program)

    assert (done.code, done.out) == (0, plain.out)
    assert names_of(place.the_run()) == ["price", "items"]
