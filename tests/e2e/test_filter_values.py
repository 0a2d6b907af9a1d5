"""Filters by what runs are grouped by, over runs that real processes recorded: exactly the runs that are meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import agentrace
from agentrace.testing import StubProvider
from tests.e2e.place import AGENTRACE, PYTHON, Place
from tests.unit.asked_runs import fill

PROGRAM = """
    import os
    import sys
    import agentrace

    agentrace.init()
    with agentrace.run(sys.argv[1], tags=[f"is-{sys.argv[1]}", "mine"]):
        for model in sys.argv[2:]:
            import openai
            client = openai.OpenAI(api_key="none", base_url=os.environ["PROVIDER"] + "/v1")
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "?"}])
"""
RUNS: list[tuple[str, dict[str, str], list[str]]] = [
    (
        "a",
        {"workflow": "refunds", "agent": "clerk", "session_id": "s-1", "project": "shop", "tags": "eu, nightly"},
        ["gpt-5-mini"],
    ),
    (
        "b",
        {"workflow": "refunds-eu", "agent": "Clerk", "session_id": "s-10", "project": "shop", "tags": "nightly,mine"},
        ["gpt-5"],
    ),
    ("c", {"workflow": "orders", "agent": "buyer", "session_id": "s-1", "project": "web"}, ["gpt-5", "o4-mini"]),
    ("d", {"workflow": "or*ers", "agent": "clerk 2", "session_id": "S[1]", "project": "50%_off"}, []),
    ("e", {}, ["GPT-5-MINI"]),
]
"""Name, settings and models of each; what one says is part of what another one says."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    pytest.importorskip("openai")
    place = Place(tmp_path_factory.mktemp("filters"))
    place.write("agent.py", PROGRAM)
    stub = StubProvider()
    for _ in range(sum(len(models) for _, _, models in RUNS)):
        stub.reply("Hello")
    with stub.serve() as url:
        for name, settings, models in RUNS:
            env = {"PROVIDER": url, **{f"AGENTRACE_{key.upper()}": value for key, value in settings.items()}}
            assert place.do(PYTHON, "agent.py", name, *models, env=env).code == 0
    return place


CASES: list[tuple[list[str], str]] = [
    (["--workflow", "refunds"], "a"),
    (["--workflow", "REFUNDS"], "a"),
    (["--workflow", "refunds*"], "ab"),
    (["--workflow", "*r*"], "abcd"),
    (["--workflow", "or[*]ers"], "d"),
    (["--workflow", "refund"], ""),
    (["--agent", "clerk"], "ab"),
    (["--agent", "clerk*"], "abd"),
    (["--agent", "clerk ?"], "d"),
    (["--session", "s-1"], "ac"),
    (["--session", "s-1*"], "abc"),
    (["--session", "s[[]1]"], "d"),
    (["--project", "shop"], "ab"),
    (["--project", "50%_off"], "d"),
    (["--project", "%"], ""),
    (["--project", "?*"], "abcd"),
    (["--tag", "nightly"], "ab"),
    (["--tag", "nightly", "--tag", "eu"], "a"),
    (["--tag", "mine"], "abcde"),
    (["--tag", "is-c"], "c"),
    (["--tag", "night"], ""),
    (["--model", "gpt-5"], "abce"),
    (["--model", "gpt-5*"], "abce"),
    (["--model", "mini"], "ace"),
    (["--model", "[og]*-mini"], "ace"),
    (["--model", "gpt-5?"], ""),
    (["--model", "o4*", "--session", "s-1"], "c"),
    (["--project", "shop", "--agent", "clerk", "--session", "s-10"], "b"),
    (["--project", "shop", "--workflow", "orders"], ""),
]


@pytest.mark.parametrize(("options", "names"), CASES, ids=[" ".join(options) for options, _ in CASES])
def test_ls_lists_exactly_the_runs_that_are_meant(place: Place, options: list[str], names: str) -> None:
    done = place.do(AGENTRACE, "ls", "--json", *options)

    assert sorted(json.loads(line)["name"] for line in done.out.splitlines()) == sorted(names)


OPENED: list[tuple[dict[str, Any], str]] = [
    ({"model": "gpt-5"}, "abce"),
    ({"model": "gpt-5?"}, ""),
    ({"model": "mini"}, "ace"),
    ({"model": "[og]*-mini"}, "ace"),
    ({"model": "o4-mini", "name": "c"}, "c"),
    ({"model": "gpt", "kind": "tool"}, ""),
    ({"kind": "model"}, "abce"),
    ({}, "abcde"),
]


@pytest.mark.parametrize(("wanted", "names"), OPENED, ids=[str(wanted) for wanted, _ in OPENED])
def test_open_gives_exactly_the_runs_that_are_meant(place: Place, wanted: dict[str, Any], names: str) -> None:
    with agentrace.open(place.store) as recordings:
        assert sorted(run.name for run in recordings.runs(**wanted)) == sorted(names)


def test_what_was_set_is_what_is_told(place: Place) -> None:
    with agentrace.open(place.store) as recordings:
        for name, settings, models in RUNS:
            run = recordings.run(name)
            said = {key: value for key, value in settings.items() if key != "tags"}
            assert {key: getattr(run, key) for key in said} == said
            # Providers serve a model under a name that is more exact than the one that was asked for.
            assert len(run.models) == len(models)
            assert all(
                served.lower().startswith(model.lower()) for served, model in zip(run.models, models, strict=True)
            )


@pytest.mark.parametrize(
    ("tags", "names"),
    [(["b"], ["checkout", "mail"]), (["a"], ["checkout"]), (["a", "b"], ["checkout"]), (["ab"], []), (["A"], [])],
)
def test_tags_are_whole_and_all_of_them(tmp_path: Path, tags: list[str], names: list[str]) -> None:
    fill(tmp_path / "store")
    options = [word for tag in tags for word in ("--tag", tag)]

    done = Place(tmp_path).do(AGENTRACE, "ls", "--json", *options)

    assert sorted(json.loads(line)["name"] for line in done.out.splitlines()) == names
    with agentrace.open(tmp_path / "store") as recordings:
        assert sorted(run.name for run in recordings.runs(tag=tags)) == names
