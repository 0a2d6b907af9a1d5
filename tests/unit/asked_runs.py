"""A store with runs that differ in what filters, searches and reports look at."""

from __future__ import annotations

from pathlib import Path

from agentrace import events
from tests.unit.recorded_runs import MODEL, Process, completion

DAY_MS = 86_400_000
HOSTILE = 'a\x1b[31mred\x07\u202e "quoted" \\ back\nline 100%_*[x] é'
"""What a terminal would obey, and all that JSON, LIKE, GLOB and regular expressions give a meaning to."""


def fill(root: Path) -> Process:
    """Write them; the process is over."""
    process = Process(root)
    _checkout(process)
    _refund(process)
    _replayed(process)
    _hostile(process)
    process.close()
    return process


def _checkout(process: Process) -> None:
    """A run with models, a child process and a job, which fails."""
    run = process.run("checkout", workflow="shop", agent="seller", session_id="s-1", project="web", tags=["a", "b"])
    plan = run.step("agent", "plan", 5, {"city": "Rome"})
    model = run.step("model", "openai.chat.completions", 10, {"messages": []}, parent=plan, **MODEL)
    run.exchange(model, 11, 800, 200, completion("Rome it is.", (), (1200, 300), cached=1000, reasoning=100))
    run.answered(model, 810)
    run.event(events.Logged, plan, 820, "the card is next")
    run.done(plan, 900, "Rome it is.")
    run.end(1_000)
    child = process.run("render", after_ms=100, number=51, parent=run.parent(plan))
    child.done(child.step("tool", "draw", 5, {"page": 1}), 300, "drawn")
    child.end(400)
    job = process.run("mail", after_ms=200, number=52, parent=run.parent(plan, "/send#0/job:0"), tags=["b"])
    step = job.step("tool", "send_mail", 5, {"to": "ann@example.org"})
    job.failed(step, 60, "shop.mail:Refused", "the server is busy")
    job.end_badly(70, "shop.mail:Refused", "the server is busy")


def _refund(process: Process) -> None:
    run = process.run("refund", after_ms=DAY_MS, workflow="shop", agent="clerk", session_id="s-2", project="web")
    for turn in range(2):
        step = run.step("tool", "charge_card", 10 + turn, {"amount": 12 + turn})
        run.failed(step, 30 + turn, "shop.payments:CardDeclined", f"insufficient funds for order {turn}")
    model = run.step("model", "openai.chat.completions", 40, {"messages": []}, **MODEL)
    run.exchange(model, 41, 140, 200, completion("No.", (), (50, 5)))
    run.answered(model, 141)
    run.end_badly(5_000, "shop.payments:CardDeclined", "insufficient funds")


def _replayed(process: Process) -> None:
    origin = events.Origin("replay", bytes(range(16)))
    run = process.run("checkout", after_ms=2 * DAY_MS, origin=origin)
    run.done(run.step("retriever", "find_notes", 5, {"question": "Rome?"}), 40, ["note"])
    run.end(90, replay="exact")


def _hostile(process: Process) -> None:
    run = process.run(f"odd {HOSTILE}", after_ms=3 * DAY_MS)
    step = run.step("tool", "echo", 5, {"said": HOSTILE})
    run.done(step, 10, HOSTILE)
    run.end(20)
