"""Runs of very many steps, of which most are like one another and some are not."""

from __future__ import annotations

from agentrace import events
from tests.unit.recorded_runs import MODEL, Process, Writing, completion


def crawl(process: Process, pages: int = 900) -> Writing:
    """An agent that fetches pages one after the other, and hands some of them to an agent inside of it.

    Every 60th page is missing, one is noted and one is still being fetched when the run ends.
    """
    run = process.run("crawl")
    top = run.step("agent", "crawl", 1)
    for page in range(1, pages + 1):
        at = 10.0 * page
        if page % 100 == 50:
            read(run, top, page, at)
            continue
        tool = run.step("tool", "fetch", at, {"url": f"https://example.org/page/{page}"}, parent=top)
        if page == 333:
            run.event(events.Logged, tool, at + 1, "the page has moved", "warning")
        if page == 700:
            continue
        if page % 60 == 0:
            run.failed(tool, at + 4, "shop.net:NotFound", f"no page {page}")
        else:
            run.done(tool, at + 5, {"title": f"Page {page}"})
    run.done(top, 10.0 * pages + 20)
    run.end(10.0 * pages + 30)
    return run


def read(run: Writing, parent: int, page: int, at: float) -> None:
    """An agent with a model call and twenty tools."""
    reader = run.step("agent", "read", at, parent=parent)
    model = run.step("model", "openai.chat.completions", at, {"model": "gpt-5-mini"}, parent=reader, **MODEL)
    run.exchange(model, at, at + 1, 200, completion(f"Read page {page}", usage=(300, 40)))
    run.answered(model, at + 1)
    for line in range(20):
        tool = run.step("tool", "look_up", at + 1 + line / 10, {"word": f"word {line} of {page}"}, parent=reader)
        run.done(tool, at + 1.05 + line / 10, line)
    run.done(reader, at + 5)
