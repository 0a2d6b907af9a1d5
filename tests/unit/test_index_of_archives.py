"""What the index tells of archived runs while their archive is away, and once it is back."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from agentrace.index import opened
from agentrace.integrations import catalogue
from agentrace.query import Facts
from agentrace.store import Store
from tests.unit.indexes import made_anew, of_store, one
from tests.unit.recorded_runs import MODEL, Process, completion
from tests.unit.test_retention import moved


def stored(root: Path) -> list[bytes]:
    """Two runs with a model call each; their ids."""
    process = Process(root)
    ids = []
    for number in (1, 2):
        run = process.run(f"agent-{number}", after_ms=number, number=number)
        model = run.step("model", "openai.chat.completions", 1, {"model": "gpt-5"}, **MODEL)
        run.exchange(model, 1, 2, body=completion("yes"))
        run.answered(model, 2)
        run.end(3)
        ids.append(run.id)
    process.close()
    return ids


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the integration tells of each call another model."""
    known = catalogue.integration("openai")
    assert known is not None
    changed = replace(known, facts_version="next", facts=lambda *_: Facts(model="another"))
    monkeypatch.setattr("agentrace.store.record.integration", lambda name: changed if name == "openai" else None)


def passes(root: Path) -> list[bool]:
    """Whether each of three who ask one after the other finds something to do."""
    found = []
    for _ in range(3):
        with opened(Store(root)) as session:
            found.append(session.indexed is not None)
    return found


def models(root: Path) -> list[tuple[str, str]]:
    """The model of each run."""
    with opened(Store(root)) as session:
        query = "SELECT run_name, model FROM steps ORDER BY run_name"
        found: list[tuple[str, str]] = session.connection.execute(query).fetchall()
    return found


def test_what_the_integrations_tell_anew_waits_for_an_archive_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, target, elsewhere = tmp_path / "store", tmp_path / "archive", tmp_path / "away"
    ids = stored(root)
    moved(root, target, ids)
    assert models(root) == [("agent-1", "gpt-5-mini"), ("agent-2", "gpt-5-mini")]

    target.rename(elsewhere)
    upgrade(monkeypatch)
    assert passes(root) == [True, False, False]
    assert models(root) == [("agent-1", "gpt-5-mini"), ("agent-2", "gpt-5-mini")]

    elsewhere.rename(target)
    assert passes(root) == [True, False, False]
    assert models(root) == [("agent-1", "another"), ("agent-2", "another")]


def test_a_run_that_its_archive_lost_for_a_while_keeps_what_was_told_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, target = tmp_path / "store", tmp_path / "archive"
    ids = stored(root)
    moved(root, target, ids[:1])
    of_store(root)
    segments = target / "segments" / ids[0].hex()
    segments.rename(tmp_path / "aside")

    upgrade(monkeypatch)
    assert models(root) == [("agent-1", "gpt-5-mini"), ("agent-2", "another")]
    assert passes(root) == [False] * 3

    (tmp_path / "aside").rename(segments)
    assert models(root) == [("agent-1", "another"), ("agent-2", "another")]
    assert of_store(root)["steps"] == made_anew(root)["steps"]


def test_a_run_that_could_not_be_read_when_the_index_was_made_is_told_once_it_can(tmp_path: Path) -> None:
    root, target, elsewhere = tmp_path / "store", tmp_path / "archive", tmp_path / "away"
    ids = stored(root)
    moved(root, target, ids[:1])
    target.rename(elsewhere)
    (root / "index.duckdb").unlink()
    with opened(Store(root)) as session:
        assert one(session, "SELECT count(*) FROM runs WHERE status = 'unreadable'") == 1
    assert passes(root) == [False] * 3

    elsewhere.rename(target)

    assert models(root) == [("agent-1", "gpt-5-mini"), ("agent-2", "gpt-5-mini")]
    assert passes(root) == [False] * 3
