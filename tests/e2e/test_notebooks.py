"""Notebooks in a real kernel: each cell is a run of its own once the extension is loaded, else the kernel is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbclient.util import run_sync

from tests.e2e.place import Place, status, told
from tests.e2e.servers import seen, tree

NOTE = """
import asyncio, subprocess, sys
import agentrace

@agentrace.tool
def note(what):
    return what

@agentrace.tool
async def look(what):
    await asyncio.sleep(0)
    return what

note("first")
"""
ASYNC = "await look(1)\nawait asyncio.gather(look(2), asyncio.to_thread(note, 3))"
CHILD = "import os\nif not os.fork():\n    note('child')\n    os._exit(0)\nos.wait();"
DIE = "note('last')\nos.kill(os.getpid(), 9)"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextmanager
def executed(place: Place, cells: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The text of each cell's outputs. Cells that raise do not end the notebook."""
    for name, value in place.environ.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True)
    with client.setup_kernel(cwd=str(place.root)):
        yield [str(client.execute_cell(cell, at).outputs) for at, cell in enumerate(notebook.cells)]


def test_each_cell_is_a_run_after_the_extension_is_loaded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        "%load_ext agentrace",
        NOTE,
        ASYNC,
        "note('before')\n1 / 0",
        "2 + 2",
        CHILD,
        "%unload_ext agentrace",
        "note('out')",
    ]

    with executed(place, cells, monkeypatch) as outputs:
        assert [word in text for word, text in zip(["[2, 3]", "division", "4"], outputs[2:5], strict=True)] == [
            True
        ] * 3

    assert tree(place) == [
        ("ipykernel_launcher", "completed", 1, []),
        ("cell 2", "completed", 1, []),
        ("cell 3", "completed", 3, []),
        ("cell 4", "failed", 1, []),
        ("cell 5", "completed", 0, []),
        ("cell 6", "completed", 0, [("ipykernel_launcher", "interrupted", 1, [])]),
        ("cell 7", "completed", 0, []),
    ]
    records = {record.trace.run.name: record for record in place.runs()}
    assert sorted(output for _, _, output in seen(records["cell 3"])) == [1, 2, 3]
    failure = records["cell 4"].trace.run.failure
    assert failure is not None
    assert failure.type == "builtins:ZeroDivisionError"


INTERRUPTED = "import signal\nnote('slow')\nsignal.raise_signal(signal.SIGINT)\nnote('never')"
LATE = "loop = asyncio.get_running_loop()\nloop.call_soon(signal.raise_signal, signal.SIGINT)\nawait asyncio.sleep(60)"
THREAD = """
import threading
go = threading.Event()
thread = threading.Thread(target=lambda: (go.wait(), note("late")))
thread.start()
note("early")
"""
JOINED = "go.set()\nthread.join()\nnote('joined')"
NESTED = "get_ipython().run_cell('note(\"inner\")')\nnote('outer')"
LINES = "%autoawait off\nnote('off')"


def test_cells_that_are_interrupted_outlived_and_nested(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = ["%load_ext agentrace", NOTE, INTERRUPTED, LATE, THREAD, JOINED, NESTED, LINES, "not Python"]

    with executed(place, cells, monkeypatch):
        pass

    found = [(one.trace.run.name, status(one), [output for _, _, output in seen(one)]) for one in place.runs()]
    assert sorted(found) == [
        ("cell 2", "completed", ["first"]),
        ("cell 3", "failed", ["slow"]),
        ("cell 4", "failed", []),
        ("cell 5", "completed", ["early"]),
        ("cell 6", "completed", ["joined"]),
        ("cell 7", "completed", ["outer"]),
        ("cell 8", "completed", ["inner"]),
        ("cell 8", "completed", ["off"]),
        ("cell 9", "failed", []),
        ("ipykernel_launcher", "completed", ["late"]),
    ]


def test_a_kernel_that_is_restarted_records_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.environ.items():
        monkeypatch.setenv(name, value)
    cells = [nbformat.v4.new_code_cell(cell) for cell in ("%load_ext agentrace", NOTE)]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=60, kernel_name="python3")

    with client.setup_kernel(cwd=str(place.root)):
        manager, kernel = cast("Any", client.km), cast("Any", client.kc)
        for is_again in (False, True):
            if is_again:
                run_sync(manager.restart_kernel)()
                run_sync(kernel.wait_for_ready)()
            for at, cell in enumerate(cells):
                client.execute_cell(cell, at)

    found = [(one.trace.run.name, status(one), len(seen(one))) for one in place.runs()]
    assert found == [("cell 2", "completed", 1)] * 2


def test_without_the_extension_the_kernel_is_one_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with executed(place, ["import agentrace\nagentrace.init();", NOTE, ASYNC, "1 / 0", "note('out')"], monkeypatch):
        pass

    record = place.the_run()
    assert (record.trace.run.name, status(record)) == ("ipykernel_launcher", "completed")
    assert sorted(map(str, (output for _, _, output in seen(record)))) == ["1", "2", "3", "first", "out"]


def test_of_a_kernel_that_is_killed_every_finished_cell_is_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = ["%load_ext agentrace", NOTE, "import os\nnote('second')", DIE]

    with pytest.raises(DeadKernelError), executed(place, cells, monkeypatch):
        pass

    assert tree(place) == [
        ("cell 2", "completed", 1, []),
        ("cell 3", "completed", 1, []),
        ("cell 4", "interrupted", 1, []),
    ]
    assert [step.output for step in told(place.runs()[-1])] == ["last"]
