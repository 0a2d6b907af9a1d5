"""Trace files that were written once and are kept: today's reader reads them, today's writer makes the same bytes.

``GOLDEN=write pytest tests/unit/test_archive_golden.py`` makes those that are not there; one that was released is never
made anew. A new format gets files of its own beside the old ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from msgspec.structs import replace

from agentrace.archive import Emptying, Manifest, TraceFile
from agentrace.archive.changing import Changing, Unchanged
from agentrace.events import StepCompleted
from agentrace.query import Runs, output_of
from tests.unit.example_trace import example
from tests.unit.golden import GOLDEN
from tests.unit.library_values import values_run
from tests.unit.trace_files import content, exported, file_of, kept, shop
from tests.unit.travel_run import travel

ZSTD: tuple[int, int, int] = (1, 5, 7)
"""The version of zstd with which the files were made: another one may compress the same text otherwise."""


def _made(changing: Changing = Unchanged) -> Callable[[Path], bytes]:
    return lambda root: file_of(root, travel, shop, changing=changing).read_bytes()


def _of_its_own(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name


FILES: dict[str, Callable[[Path], bytes]] = {
    "v1-example-of-1.1.agentrace": lambda _: example(),
    "v1-travel-of-1.1.agentrace": _made(),
    "v1-without-payloads-of-1.1.agentrace": _made(Emptying),
    "v1-kept-of-1.1.agentrace": lambda root: file_of(_of_its_own(root, "kept"), kept).read_bytes(),
    "v1-values-of-1.1.agentrace": lambda root: file_of(_of_its_own(root, "values"), values_run).read_bytes(),
}


KEPT = sorted({*FILES, *(file.name for file in (GOLDEN / "traces").glob("*.agentrace"))})


@pytest.fixture(autouse=True)
def made(tmp_path: Path) -> None:
    """The files that are not there yet, if they are asked for."""
    for name, make in FILES.items():
        if os.environ.get("GOLDEN") == "write" and not (GOLDEN / "traces" / name).exists():
            (GOLDEN / "traces" / name).write_bytes(make(tmp_path))


@pytest.mark.parametrize("name", KEPT)
def test_todays_writer_makes_the_same_bytes(name: str, tmp_path: Path) -> None:
    file, again = GOLDEN / "traces" / name, tmp_path / name

    exported(Runs(TraceFile(file)), again)

    if name.startswith("v1-example") or zstandard.ZSTD_VERSION == ZSTD:
        assert again.read_bytes() == file.read_bytes()
    assert content(again) == content(file)
    assert _told(again) == _told(file)


def _told(path: Path) -> Manifest:
    """The manifest without what depends on how well zstd compresses."""
    manifest = TraceFile(path).manifest
    return replace(manifest, runs=[replace(run, length=0, digest=b"") for run in manifest.runs])


@pytest.mark.parametrize("name", KEPT)
def test_todays_reader_reads_every_file_that_was_kept(name: str) -> None:
    path = GOLDEN / "traces" / name

    found = content(path)

    runs = Runs(TraceFile(path))
    assert not found.honest
    assert runs.ids
    assert all(runs.check(run_id).problems == [] for run_id in runs.ids)
    assert sum(map(len, found.events.values())) == sum(run.events for run in TraceFile(path).manifest.runs)


def test_what_1_1_added_is_read() -> None:
    runs = Runs(TraceFile(GOLDEN / "traces" / "v1-kept-of-1.1.agentrace"))
    record = runs.record(runs.ids[0])
    drawn, film, opened = record.trace.steps.values()

    assert drawn.dispatched.ignored == ["request_id", "*args"]
    assert output_of(record, drawn) == {"$codec": "picture/1", "value": {"$bytes": "red " * 300}}
    assert output_of(record, film) == [{"yield": {"$codec": "picture/1", "value": {"$bytes": "red " * 300}}}]
    assert output_of(record, opened) == [{"yield": "it is open"}]


def test_the_example_of_the_page_is_the_golden_file() -> None:
    assert example() == (GOLDEN / "traces" / "v1-example-of-1.1.agentrace").read_bytes()


def test_values_of_libraries_that_were_kept_are_rebuilt() -> None:
    runs = Runs(TraceFile(GOLDEN / "traces" / "v1-values-of-1.1.agentrace"))
    record = runs.record(runs.ids[0])

    found = {
        step.name: record.values.python(step.ended.output)
        for step in record.trace.steps.values()
        if isinstance(step.ended, StepCompleted)
    }

    assert found["give_array"].sum() == sum(range(600))
    assert found["give_texts"].tolist() == ["Rome", "Oslo"]
    assert found["give_frame"].to_dict("list") == {"city": ["Rome", "Oslo"], "nights": [3, 4]}
    assert found["give_polars"].to_dict(as_series=False) == {"city": ["Rome", None], "nights": [3, 4]}
    assert found["give_table"].to_pydict() == {"city": ["Rome", None], "nights": [3, 4]}
    assert found["give_image"].getpixel((3, 3)) == (1, 2, 3)
    assert (found["give_buffer"].getvalue(), str(found["give_moment"])) == (b"hello", "2020-07-01 10:00:00+02:00")
