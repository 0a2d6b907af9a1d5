"""The example does what it promises: an agent is recorded, shown, and replayed with its provider gone."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentrace.testing import StubProvider
from tests.e2e.place import PYTHON, Done, Place, steps_of, told

EXAMPLES = Path(__file__).parents[2] / "examples"
ANSWER = "Your order 1042 was delivered on 9 November. You can return the kettle, in its box, until 9 December.\n"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """What the first command of the README gives."""
    place = Place(tmp_path_factory.mktemp("demo"))
    # Wide, because how much of a name has room depends on how long the runs took.
    return place.do(PYTHON, EXAMPLES / "demo.py", env={"COLUMNS": "160"})


def part(done: Done, number: int) -> str:
    """What one command of the story printed."""
    found = re.search(
        rf"^{number}\. [^\n]+\n\$ agentrace [^\n]+\n(.*?)(?=^\d\. |\Z)", done.out, re.MULTILINE | re.DOTALL
    )
    assert found is not None, done.out
    return found[1]


def test_the_example_succeeds(done: Done) -> None:
    assert done.code == 0, done.err
    assert [line[:2] for line in done.out.splitlines() if re.match(r"\d\. ", line)] == ["1.", "2.", "3.", "4."]


def test_the_agent_answers(done: Done) -> None:
    assert part(done, 1).strip() == ANSWER.strip()


def test_its_trace_is_shown(done: Done) -> None:
    shown = part(done, 2)

    rows = re.findall(r"^ +(\d) [ ∥]?(✗?) +(?:└─ )?(\w+) (\S+)", shown, re.MULTILINE)
    assert rows == [
        ("1", "", "retriever", "search_handbook"),
        ("2", "", "embedding", "text-embedding-3-small"),
        ("3", "✗", "model", "gpt-5-preview"),
        ("4", "", "model", "gpt-5-mini"),
        ("5", "", "tool", "order_status"),
        ("6", "", "tool", "return_window"),
        ("7", "", "model", "gpt-5-mini"),
    ]
    assert "7 steps: 1 embedding, 3 model, 1 retriever, 2 tool; 1 failed; 1 retry" in shown
    assert "replayable: yes" in shown


def test_it_replays_exactly_without_its_provider(done: Done) -> None:
    assert part(done, 3).strip() == ANSWER.strip()
    assert "agentrace: replay exact: 6 calls answered from the record, no connection made" in done.err


def test_both_runs_are_listed(done: Done) -> None:
    listed = part(done, 4).splitlines()

    replay, recorded = listed[1:3]
    assert re.search(r"completed .* 6, 1 failed .* yes +replay of \w+: exa", replay)
    assert re.search(r"support +completed .* 7, 1 failed .* yes", recorded)


# --- the trace itself ---------------------------------------------------------------------------------------


def demo() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HANDBOOK = [
    "Kettles can be returned within 30 days of delivery, in their box.",
    "Orders are shipped on the next working day.",
    "Refunds are paid within five working days after a return has arrived.",
]
ORDER = {"order_id": "1042"}
STATUS = {"order_id": "1042", "status": "delivered", "delivered_on": "2026-11-09"}
WINDOW = {"order_id": "1042", "returnable_until": "2026-12-09"}
QUESTION = "Where is my order 1042, and can I still return the kettle?"


def test_the_trace_holds_what_the_agent_did(tmp_path: Path) -> None:
    story, place = demo(), Place(tmp_path)
    stub = StubProvider.from_file(story.AGENT / "provider.json", seed=1)

    with stub.serve() as url:
        variables = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "sk-unused"}
        done = place.do(*story.RUN, *story.PYTHON, cwd=story.AGENT, env=variables)

    assert (done.code, done.out) == (0, ANSWER)
    record = place.the_run()
    steps = told(record)
    assert [(step.kind, step.name, step.status) for step in steps] == [
        ("retriever", "search_handbook", "ok"),
        ("embedding", "openai.embeddings", "ok"),
        ("model", "openai.chat.completions", "failed"),
        ("model", "openai.chat.completions", "ok"),
        ("tool", "order_status", "ok"),
        ("tool", "return_window", "ok"),
        ("model", "openai.chat.completions", "ok"),
    ]
    assert [step.dispatched.parent for step in steps_of(record)] == [0, 1, 0, 0, 0, 0, 0]
    assert steps[0].input == {"question": QUESTION}
    assert stub.requests[0].json["input"] == [QUESTION, *HANDBOOK]
    assert steps[0].output in HANDBOOK
    assert [(step.input, step.output) for step in steps[4:6]] == [(ORDER, STATUS), (ORDER, WINDOW)]
    assert [request.body for request in stub.requests] == sent(record)


def sent(record: Any) -> list[Any]:
    """The bodies of all requests, as the record tells them."""
    by_step = record.trace.exchanges
    return [
        record.values.python(exchange.started.body)
        for number in sorted(by_step)
        for exchange in by_step[number].values()
    ]
