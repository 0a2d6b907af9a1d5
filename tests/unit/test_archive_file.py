"""A trace file is the run: complete, the same bytes each time, opened in place, and taken into a store once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentrace import events
from agentrace.archive import Emptying, TraceFile, export, import_file, only_run, split_file
from agentrace.errors import AgentraceError, RunNotFound, TraceFileError
from agentrace.journal import Journal, verify
from agentrace.query import Runs, input_of, output_of
from agentrace.store import Store
from tests.unit.recorded_runs import Process
from tests.unit.trace_files import content, exported, file_of, shop, store_of
from tests.unit.travel_run import travel


def refused(call: object) -> str:
    """The slug with which a call is refused."""
    with pytest.raises(AgentraceError) as found:
        call()  # type: ignore[operator]
    return found.value.slug


# --- complete -----------------------------------------------------------------------------------------------


def test_a_file_reads_as_the_store_it_was_exported_from(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", travel, shop)

    exported(store, tmp_path / "all.agentrace")

    file = Runs(TraceFile(tmp_path / "all.agentrace"))
    assert (file.ids, list(file.listed())) == (store.ids, list(store.listed()))
    for run_id in store.ids:
        assert file.tree(run_id) == store.tree(run_id)
        for step_id, step in store.record(run_id).trace.steps.items():
            read = [(input_of(r, step), output_of(r, step)) for r in (file.record(run_id), store.record(run_id))]
            assert read[0] == read[1], step_id
        assert file.store.source(run_id).chain() == store.store.source(run_id).chain()
        assert list(file.check(run_id).problems) == []
    assert file.store.notices == []


def test_the_runs_of_processes_that_a_run_started_go_with_it(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", travel, shop)
    trip = store.find("travel")

    done = export(store, [trip], tmp_path / "x.agentrace")

    assert [run.name for run in done.manifest.runs] == ["travel", "render"]
    assert done.manifest.runs[1].parent == trip


def test_the_manifest_says_what_is_in_the_file(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", travel)
    trip = store.find("travel")

    done = export(store, [trip], tmp_path / "x.agentrace")

    manifest = TraceFile(tmp_path / "x.agentrace").manifest
    (run, _) = manifest.runs
    assert manifest == done.manifest
    assert (manifest.format, manifest.trace, manifest.values) == (1, events.FORMAT_VERSION, "canonical/1")
    assert set(manifest.codecs) <= {"stored", "zstd"}
    assert run.command == ["python", "travel.py", "--city", "Rome"]
    assert run.environment.python == "CPython 3.11.7"
    assert run.environment.libraries == {"openai": "3.52.0"}
    assert run.chain == store.store.source(trip).chain()
    assert run.events == run.last_seq == len(store.record(trip).events)
    assert (tmp_path / "x.agentrace").stat().st_size == done.size
    assert (tmp_path / "x.agentrace").stat().st_mode & 0o777 == 0o600


def test_what_no_event_needs_is_left_out(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    run = process.run("agent")
    run.encoder.encode("nobody refers to this: " + "x" * 1000)
    run.end(1)
    process.close()

    path = tmp_path / "x.agentrace"
    exported(Runs(tmp_path / "store"), path)

    assert list(content(path).payloads.values()) == [{}]


def test_what_compresses_beyond_belief_is_stored_as_it_is(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    run = process.run("blank")
    for number in range(4):
        step = run.step("tool", "blank_page", number, ordinal=number)
        run.done(step, number + 0.5, bytes([number]) * (3 << 20))
    run.end(9)
    process.close()

    done = exported(Runs(tmp_path / "store"), tmp_path / "x.agentrace")

    assert not content(tmp_path / "x.agentrace").honest
    assert done.manifest.codecs == ["stored", "zstd"]
    assert 6 << 20 < done.size < 7 << 20, "one chunk of two pages"


# --- the same bytes -----------------------------------------------------------------------------------------


def test_exporting_twice_makes_the_same_bytes(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", travel, shop)
    names = ("a.agentrace", "b.agentrace")

    for name, order in zip(names, (store.ids, store.ids[::-1]), strict=True):
        export(Runs(tmp_path / "store"), order, tmp_path / name)

    first, second = ((tmp_path / name).read_bytes() for name in names)
    assert first == second


def test_how_the_run_was_sealed_makes_no_difference(tmp_path: Path) -> None:
    original = store_of(tmp_path / "store", shop)
    record = original.store.source(original.ids[0])
    # The same run in three pieces: three processes' worth of lanes, each sealed by itself.
    bodies, payloads = list(record.events()), {digest: record.payload(digest) for digest in record.digests()}
    for start in range(0, len(bodies), 30):
        journal = Journal(tmp_path / "pieces", tombstone=events.tombstone, on_failure=lambda *_: None)
        writer = journal.writer(record.run_id)
        for digest, data in payloads.items():
            writer.payload(digest, data)
        for body in bodies[start : start + 30]:
            writer.event(body)
        journal.close(timeout=30)
    assert len(list((tmp_path / "pieces" / "segments" / record.run_id.hex()).iterdir())) > 1

    exported(original, tmp_path / "a.agentrace")
    exported(Runs(tmp_path / "pieces"), tmp_path / "b.agentrace")

    assert (tmp_path / "a.agentrace").read_bytes() == (tmp_path / "b.agentrace").read_bytes()


def test_another_process_with_another_hash_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    store_of(tmp_path / "store", travel, shop)
    program = (
        "import sys; from pathlib import Path\n"
        "from agentrace.archive import export; from agentrace.query import Runs\n"
        "runs = Runs(Path(sys.argv[1])); export(runs, runs.ids, Path(sys.argv[2]))\n"
    )

    for seed in ("1", "2"):
        arguments = [sys.executable, "-c", program, tmp_path / "store", tmp_path / f"{seed}.agentrace"]
        subprocess.run(arguments, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)

    assert (tmp_path / "1.agentrace").read_bytes() == (tmp_path / "2.agentrace").read_bytes()


def test_a_file_that_is_exported_again_is_the_same_file(tmp_path: Path) -> None:
    path = file_of(tmp_path)

    exported(Runs(TraceFile(path)), tmp_path / "again.agentrace")

    assert (tmp_path / "again.agentrace").read_bytes() == path.read_bytes()


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", shop)
    path = tmp_path / "x.agentrace"
    path.write_bytes(b"the old one")

    slug = refused(lambda: export(store, [bytes(16)], path))

    assert slug == "run-not-found"
    assert path.read_bytes() == b"the old one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store", "x.agentrace"]


def test_a_run_that_goes_on_is_not_exported(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    run = process.run("agent")
    runs = Runs(tmp_path / "store")

    assert refused(lambda: export(runs, [run.id], tmp_path / "x.agentrace")) == "run-going-on"

    process.close()


def test_holes_are_told_by_tombstones(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    run = process.run("agent")
    run.lose(3)
    run.end(5)
    process.close()

    path = tmp_path / "x.agentrace"
    exported(Runs(tmp_path / "store"), path)

    (run_id,) = Runs(TraceFile(path)).ids
    told = [type(event).__name__ for event in TraceFile(path).record(run_id).events]
    assert told == ["WorkflowStarted", "EventsLost", "WorkflowCompleted"]
    assert not content(path).honest


def test_a_damaged_run_is_exported_as_far_as_it_goes(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", shop)
    (segment,) = (tmp_path / "store" / "segments").rglob("*.seg")
    data = bytearray(segment.read_bytes())
    data[200] ^= 1  # in its only chunk of events
    segment.write_bytes(data)

    exported(Runs(tmp_path / "store"), tmp_path / "x.agentrace")

    file = TraceFile(tmp_path / "x.agentrace")
    assert [type(event).__name__ for event in file.record(store.ids[0]).events] == ["EventsLost"]
    assert any("damaged" in problem.text for problem in file.problems(store.ids[0]))
    assert import_file(file, Store(tmp_path / "other")).added == store.ids


# --- taken into a store -------------------------------------------------------------------------------------


def test_an_import_is_the_run_and_a_second_one_changes_nothing(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    home = tmp_path / "other"

    first = import_file(TraceFile(path), Store(home))
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in home.rglob("*.seg")}
    second = import_file(TraceFile(path), Store(home))

    assert (len(first.added), first.there) == (3, [])
    assert (second.added, second.there) == ([], first.added)
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in home.rglob("*.seg")} == before
    runs = Runs(home)
    assert all(verify(home, run_id) == [] and runs.check(run_id).problems == [] for run_id in runs.ids)
    exported(runs, tmp_path / "again.agentrace")
    assert (tmp_path / "again.agentrace").read_bytes() == path.read_bytes()


def test_other_content_under_a_known_id_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    runs = store_of(tmp_path / "store", travel, shop)
    exported(runs, tmp_path / "without.agentrace", Emptying)
    only_shop = tmp_path / "other"
    export(runs, [runs.find("shop")], tmp_path / "shop.agentrace")
    import_file(TraceFile(tmp_path / "shop.agentrace"), Store(only_shop))

    assert refused(lambda: import_file(TraceFile(tmp_path / "without.agentrace"), Store(only_shop))) == "run-exists"
    assert len(Runs(only_shop).ids) == 1


def test_a_damaged_file_is_not_imported(tmp_path: Path) -> None:
    data = bytearray(file_of(tmp_path).read_bytes())
    path = tmp_path / "bad.agentrace"
    for name, change in (("cut", data[:-1]), ("longer", data + b"x"), ("flipped", _flipped(data, len(data) // 2))):
        path.write_bytes(change)

        slug = refused(lambda: import_file(TraceFile(path), Store(tmp_path / "other")))

        assert (name, slug) == (name, "trace-file-damaged")
        assert not (tmp_path / "other").exists()


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x.agentrace", ("x.agentrace", "", 0)),
        ("x.agentrace:7", ("x.agentrace", "", 7)),
        ("dir/x.agentrace@checkout:7", ("dir/x.agentrace", "checkout", 7)),
        ("x.agentrace@last~2", ("x.agentrace", "@last~2", 0)),
        ("x.agentrace@01a1f910", ("x.agentrace", "01a1f910", 0)),
        ("../a.agentrace/x.agentrace", ("../a.agentrace/x.agentrace", "", 0)),
        ("checkout", None),
        ("@last:7", None),
        ("/home/me/.agentrace", None),
        (".agentrace", None),
    ],
)
def test_what_names_a_file(text: str, expected: tuple[str, str, int] | None) -> None:
    found = split_file(text)

    assert (found and (str(found.path), found.run, found.step)) == expected


def test_of_several_runs_one_has_to_be_named(tmp_path: Path) -> None:
    several = Runs(TraceFile(file_of(tmp_path)))

    with pytest.raises(RunNotFound, match=r"(?s)made\.agentrace holds 2 runs:.*travel.*name one of them"):
        only_run(several)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.agentrace").write_text("hello")
    (tmp_path / "dir.agentrace").mkdir()
    os.mkfifo(tmp_path / "pipe.agentrace")

    for name in ("text", "dir", "pipe", "none"):
        with pytest.raises(TraceFileError) as found:
            TraceFile(tmp_path / f"{name}.agentrace")
        assert found.value.slug == "trace-file"


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    def large(process: Process) -> None:
        run = process.run("large")
        for index in range(400):
            step = run.step("tool", "noise", index, {"data": os.urandom(1500)})
            run.done(step, index)
        run.end(500)

    path = file_of(tmp_path, large)  # type: ignore[arg-type]
    opened = TraceFile(path)
    path.write_bytes(path.read_bytes())

    with pytest.raises(TraceFileError, match="changed while it was read"):
        opened.source(opened.manifest.runs[0].run_id)
