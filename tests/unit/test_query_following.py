"""Runs that are followed while they are written: what is told, in which order, and when it ends."""

from __future__ import annotations

import shutil
from pathlib import Path

from agentrace import events
from agentrace.query import Following, Happening, Runs
from tests.unit.recorded_runs import MODEL, MS, Process, completion


def names(told: list[Happening]) -> list[str]:
    """What happened, in a few words each."""
    return [" ".join(filter(None, [one.what, one.run.name, _about(one)])) for one in told]


def _about(one: Happening) -> str:
    if one.step is not None and one.note is None:
        return f"{one.step.state.id} {one.step.status}"
    return one.status or str(one.count or "")


def test_each_look_tells_what_came_since_the_last(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    following = Following(tmp_path, [run.id], history=10)

    looks = [following.look(), following.look()]
    tool = run.step("tool", "search", 1)
    looks.append(following.look())
    run.done(tool, 4)
    run.event(events.Scored, 0, 5, "care", 0.5)
    looks.append(following.look())
    run.end(9)
    looks += [following.look(), following.look()]

    assert [names(look) for look in looks] == [
        ["run_began agent"],
        [],
        ["step_began agent 1 running"],
        ["step_ended agent 1 ok", "noted agent"],
        [],
        ["run_ended agent completed"],
    ]
    assert following.over
    assert looks[3][0].step is not None
    assert looks[3][0].step.duration_ns == 3 * MS
    process.close()


def test_a_model_step_tells_its_model_and_tokens_when_it_ends(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    following = Following(tmp_path)
    following.look()

    asked = {"model": "gpt-5", "messages": [{"role": "user", "content": "what is it? " * 2000}]}
    model = run.step("model", "openai.chat.completions", 1, asked, **MODEL)
    run.exchange(model, 2, 3, 200, completion("an answer " * 3000, usage=(1200, 96)))
    run.answered(model, 4)
    told = following.look()

    row = told[-1].step
    assert row is not None
    assert row.usage is not None
    assert (row.model, row.usage.input_tokens, row.usage.output_tokens, row.finish_reason) == (
        "gpt-5-mini",
        1200,
        96,
        "stop",
    )
    process.close()


def test_what_happened_before_is_told_as_far_back_as_asked(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    for at in range(20):
        run.done(run.step("tool", "search", at), at + 0.5)

    told = {history: names(Following(tmp_path, [run.id], history=history).look()) for history in (0, 3)}

    assert told == {
        0: [],
        3: ["step_ended agent 19 ok", "step_began agent 20 running", "step_ended agent 20 ok"],
    }
    process.close()


def test_as_far_back_as_asked_is_over_all_runs(tmp_path: Path) -> None:
    process = Process(tmp_path)
    for at in (0, 1):
        run = process.run(f"agent-{at}", after_ms=100 * at)
        run.done(run.step("tool", "search", 1), 2)
    process.close()

    told = Following(tmp_path, Runs(tmp_path).ids, history=2).look()

    assert names(told)[:2] == ["step_began agent-1 1 running", "step_ended agent-1 1 ok"]


def test_a_process_that_dies_leaves_its_run_interrupted(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    run.step("tool", "search", 1)
    following = Following(tmp_path, [run.id])
    following.look()

    run.step("tool", "last", 2)
    process.die()
    told = [*following.look(), *following.look()]

    assert names(told) == ["step_began agent 2 running", "run_ended agent interrupted"]
    assert (told[-1].count, following.over) == (2, True)


def test_a_run_whose_end_was_not_kept_is_over_all_the_same(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    following = Following(tmp_path, [run.id])
    following.look()

    run.writer.finished()
    told = [*following.look(), *following.look()]

    assert names(told) == ["run_ended agent interrupted"]
    process.close()


def test_runs_that_nobody_asked_for_are_not_told(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run, other = process.run("agent"), process.run("other", after_ms=1)
    following = Following(tmp_path, [run.id])
    following.look()

    other.step("tool", "search", 1)
    later = process.run("later", after_ms=2)
    child = process.run("child", after_ms=3, parent=run.parent(0))
    told = following.look()

    assert names(told) == ["run_began child"]
    assert told[0].root == run.id
    assert (later.seq, child.seq) == (1, 1)
    process.close()


def test_an_old_run_that_comes_back_is_nothing_new(tmp_path: Path) -> None:
    process = Process(tmp_path / "elsewhere")
    old = process.run("old", after_ms=-800_000_000_000)  # about 25 years before
    old.end(1)
    process.close()
    Process(tmp_path / "store").close()
    following = Following(tmp_path / "store")
    following.look()

    shutil.copytree(tmp_path / "elsewhere" / "segments", tmp_path / "store" / "segments", dirs_exist_ok=True)

    assert [following.look(), following.look()] == [[], []]


def test_a_run_that_is_removed_is_told_once_it_stays_away(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    clock = [0]
    following = Following(tmp_path, [run.id], now=lambda: clock[0])
    following.look()

    process.die()
    shutil.rmtree(tmp_path / "journal")
    first = names(following.look())
    clock[0] = 10_000 * MS
    second = names(following.look())

    assert (first, second, following.over) == ([], ["run_removed agent removed"], True)


def test_what_is_missing_is_waited_for_and_then_given_up(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent")
    clock = [0]
    following = Following(tmp_path, [run.id], now=lambda: clock[0])
    following.look()

    run.lose(2)
    run.end(9)
    first = names(following.look())
    clock[0] = 10_000 * MS
    second = names(following.look())

    assert (first, second, following.over) == ([], ["run_ended agent completed"], True)
    process.close()


def test_two_runs_are_followed_at_once_and_both_have_to_end(tmp_path: Path) -> None:
    process = Process(tmp_path)
    one, other = process.run("one"), process.run("other", after_ms=1)
    following = Following(tmp_path, [one.id, other.id])
    following.look()

    one.end(2)
    first, over = names([*following.look(), *following.look()]), following.over
    other.end(3)
    second = names([*following.look(), *following.look()])

    assert (following.several, over, following.over) == (True, False, True)
    assert (first, second) == (["run_ended one completed"], ["run_ended other completed"])
    process.close()


def test_a_run_that_is_over_before_anybody_looks_is_told(tmp_path: Path) -> None:
    process = Process(tmp_path)
    run = process.run("agent", after_ms=YEARS)
    following = Following(tmp_path, [run.id])
    following.look()

    short, other = Process(tmp_path), Process(tmp_path)
    child = short.run("child", after_ms=YEARS, number=7, parent=run.parent(0))
    child.done(child.step("tool", "search", 1), 2)
    child.end(3)
    other.run("other", after_ms=YEARS, number=8).end(3)
    short.close()
    other.close()
    told = following.look()

    assert names(told) == [
        "run_began child",
        "step_began child 1 running",
        "step_ended child 1 ok",
        "run_ended child completed",
    ]
    assert {one.root for one in told} == {run.id}
    process.close()


YEARS = 100 * 365 * 86_400_000
"""Milliseconds by which a run begins after the clock of any machine that runs these tests."""
