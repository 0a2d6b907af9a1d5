"""A run in which every string tries to be more than a string."""

from __future__ import annotations

from typing import Any, Final

from agentrace import events
from agentrace.events import Failure
from tests.unit.recorded_runs import MODEL, Process, Writing, completion

ATTACK: Final = "window.hacked=1"
STRINGS: Final = (
    f"</script><script>{ATTACK}</script>",
    f"</noscript></pre></title></style><script>{ATTACK}</script>",
    f"<!--<script>{ATTACK}//",
    f"--><img src=x onerror='{ATTACK}'><svg/onload={ATTACK}>",
    f"javascript:{ATTACK}",
    f"';{ATTACK};//\";{ATTACK};//`${{{ATTACK}}}`\\",
    f"line\u2028{ATTACK}\u2029{ATTACK}",
    "null \x00 byte, escape \x1b[31m, bell \x07, C1 \x9b",
    "right to left \u202eevil\u202c, isolate \u2066x\u2069, invisible \u200b\ufeff\u2060",
    "{title}{outline}{script}{style}{policy}{data}\n{blocks}\n",
    "<link rel=stylesheet href=https://evil.example/a.css><iframe src=https://evil.example></iframe>",
    "url(https://evil.example/b.png) @import 'https://evil.example/c.css'; } body { display: none }",
    "__proto__",
    "constructor",
    "<mark>&lt;b&gt;&amp;#x3c;script&amp;#x3e;",
    "ﷺ" * 40 + "𝒳" + "e" + "\u0301" * 60,
)


def hostile(process: Process) -> Writing:
    """A run that holds each of them in every place that takes a text."""
    everything: dict[str, Any] = {text: [text, {text: text}] for text in STRINGS}
    run = process.run("".join(STRINGS[:2]), argv=list(STRINGS), python=STRINGS[0], cwd=STRINGS[1])
    for text in STRINGS:
        step = run.step(text, text, 1, {"text": text}, operation=text, integration=text, call_site=text, flow=text)
        run.event(events.Logged, step, 2, text, level=text, logger=text, fields=run.encoder.encode(everything)[0])
        run.event(events.Scored, step, 2, text, 0.5, text, text)
        run.event(events.ExchangeStarted, step, 2, 1, text, text, text, [(text, text), ("x", text)], body(text))
        run.event(events.ExchangeAnswered, step, 3, 1, 200, [(text, text), ("content-type", "text/html")], reason=text)
        chunk = events.Chunk(3, "bytes", run.encoder.clean_bytes(text.encode()))
        run.event(events.StreamChunks, step, 3, 1, 0, [chunk])
        run.event(events.ExchangeEnded, step, 4, 1, "error", _failure(text), 4_000_000, 10)
        run.event(events.StepFailed, step, 5, "error", _failure(text), duration_ns=4_000_000)
    model = run.step("model", "openai.chat.completions", 6, {"model": STRINGS[0], "messages": [everything]}, **MODEL)
    answer = completion("half \ud83d a character", [("id", STRINGS[0], everything)])
    run.exchange(model, 6, 8, 200, {**answer, "model": STRINGS[0]})
    run.answered(model, 9)
    odd: list[Any] = [float("nan"), float("inf"), 2**53 + 1, -(2**63), 10**40, 1.0, 1e22, "", {}, [], None, "\ud800"]
    run.done(run.step("tool", "odd", 10, {"odd": odd, "huge": "<&'\"" * 200_000}), 11, nested(390))
    run.exchange(deep := run.step("tool", "deep", 12), 12, 13, 200, nested(600))
    run.answered(deep, 14)
    run.event(events.ExecutionAborted, 0, 15, STRINGS[0], STRINGS[1], STRINGS[2])
    run.end_badly(16, STRINGS[0], STRINGS[1])
    return run


def body(text: str) -> Any:
    """A request's body as it stands in an event."""
    import msgspec

    return msgspec.Raw(msgspec.msgpack.encode(text.encode()))


def nested(levels: int) -> Any:
    """Lists in mappings in lists."""
    found: Any = "the innermost"
    for level in range(levels):
        found = [found] if level % 2 else {"in": found}
    return found


def _failure(text: str) -> Failure:
    return Failure(text, text, [text], notes=[text], traceback=f"{text}\n{text}", causes=[Failure(text, text)])
