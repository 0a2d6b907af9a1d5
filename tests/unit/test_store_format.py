"""A store says its format; one of a format that is not known is refused by who reads, and left alone by who records."""

from __future__ import annotations

import hashlib
import stat
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from agentrace.cli import execute
from agentrace.errors import RecordingFailed, StoreVersion
from agentrace.journal import recover, store_format
from agentrace.journal.lanes import Place as Parts
from agentrace.query import Runs
from tests.e2e.place import PYTHON, SECONDS, Place
from tests.unit.journal_samples import Failures, event, journal, written
from tests.unit.recorded_runs import Process

PROGRAM = """
    import agentrace

    @agentrace.tool
    def double(n):
        return 2 * n

    agentrace.init()
    print(sum(double(n) for n in range(10)))
"""
ROUNDS = 200
RACING = f"""
    import sys
    import time
    from pathlib import Path
    from agentrace.errors import StoreVersion
    from agentrace.journal import store_format

    store_format.FORMAT = int(sys.argv[1])
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    for number in range({ROUNDS}):
        while time.time() < start + number * 0.004:
            pass
        try:
            store_format.settle(Path(str(number)))
            print("kept")
        except StoreVersion:
            print("refused")
"""


def contents(root: Path) -> dict[str, str]:
    """A digest of every file of a directory, by its path; of a directory, nothing."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(root.rglob("*"))
    }


def made(root: Path, name: str = "agent") -> Path:
    process = Process(root)
    process.run(name).end(1)
    process.close()
    return root


def test_whoever_makes_a_store_says_its_format(tmp_path: Path) -> None:
    path = made(tmp_path / "store") / "format"

    assert path.read_text() == "1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert store_format.format_of(tmp_path / "store") == 1
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".format")] == []


def test_a_store_that_says_nothing_is_of_the_first_format_and_says_so_when_it_is_next_recorded_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    (tmp_path / "format").unlink()
    monkeypatch.setattr(store_format, "FORMAT", 7)

    assert [Runs(tmp_path).head(run).name for run in Runs(tmp_path).ids] == ["agent"]
    assert not (tmp_path / "format").exists()
    written(tmp_path, [event(1)]).close()

    assert (tmp_path / "format").read_text() == "1\n"


def test_an_empty_file_is_what_a_loss_of_power_leaves(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "format").write_text("")

    assert Runs(tmp_path).ids
    written(tmp_path, [event(1)]).close()

    assert (tmp_path / "format").read_text() == "1\n"


@pytest.mark.parametrize("said", ["2\n", "99", "one", "-1", "0", "1.5"])
def test_a_format_that_is_not_known_is_refused_and_nothing_is_touched(tmp_path: Path, said: str) -> None:
    written(tmp_path, [event(1)]).forget()  # there is something to seal, which may not happen
    (tmp_path / "format").write_text(said)
    before = contents(tmp_path)

    with pytest.raises(StoreVersion) as raised:
        _ = Runs(tmp_path).ids
    with pytest.raises(StoreVersion):
        recover(tmp_path, tombstone=lambda *_: b"")
    with pytest.raises(StoreVersion):
        Parts(tmp_path).prepare()

    assert raised.value.slug == "store-version"
    assert ("update agentrace" in raised.value.do) == (said.strip() in ("2", "99"))
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"],
        ["show", "@last"],
        ["verify", "--all"],
        ["rm", "@last", "--yes"],
        ["rm", "--name", "*", "--yes"],
        ["gc", "--yes"],
        ["export", "--all", "-o", "x.agentrace"],
    ],
)
def test_commands_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (made(tmp_path / "store") / "format").write_text("2\n")
    before = contents(tmp_path)
    monkeypatch.chdir(tmp_path)

    code = execute([*arguments, "--home", str(tmp_path / "store")])

    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert "is of format 2, and this agentrace knows none beyond 1" in err
    assert "docs/errors.md#store-version" in err
    assert contents(tmp_path) == before


def test_a_program_goes_on_unrecorded(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (made(place.store) / "format").write_text("2\n")
    before = contents(place.store)
    program = place.write("program.py", PROGRAM)

    done = place.do(PYTHON, program)

    assert (done.code, done.out) == (0, "90\n")
    (words,) = done.own_words
    assert words.startswith("agentrace: events are being lost, the program goes on: the store ")
    assert "is of format 2" in words
    assert "what to do: update agentrace" in done.err
    assert contents(place.store) == before


def test_who_may_not_run_unrecorded_is_stopped(tmp_path: Path) -> None:
    place = Place(tmp_path, {"AGENTRACE_ON_ERROR": "raise"})
    (made(place.store) / "format").write_text("2\n")

    done = place.do(PYTHON, place.write("program.py", PROGRAM))

    assert done.code == 1
    assert RecordingFailed.__name__ in done.err
    assert "update agentrace" in done.err


def test_the_journal_tries_again_when_the_store_is_one_that_it_knows(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "format").write_text("2\n")
    failures = Failures()
    recorder = journal(tmp_path, on_failure=failures)
    run = recorder.writer(bytes(16))
    run.event(event(1))
    (tmp_path / "format").write_text("1\n")
    recorder._lane._retry_at = 0.0  # type: ignore[attr-defined]  # a quarter of a second later
    run.event(event(2))
    recorder.close()

    assert failures.events == 1
    assert isinstance(failures[0][0], StoreVersion)
    assert bytes(16) in Runs(tmp_path).ids


def test_versions_that_make_a_store_at_once_agree_on_its_format(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.write("program.py", RACING)
    versions = (1, 2)

    with ExitStack() as stack:
        processes = [stack.enter_context(place.started(PYTHON, program, version)) for version in versions]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        at = f"{time.time() + 0.05}\n".encode()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(at)
            process.stdin.flush()
        ends = [process.communicate(timeout=SECONDS) for process in processes]

    agreed = [int((tmp_path / str(number) / "format").read_text()) for number in range(ROUNDS)]
    kept = [[line == b"kept" for line in out.splitlines()] for out, _ in ends]
    assert set(agreed) <= set(versions)
    assert kept == [[version >= number for number in agreed] for version in versions]
