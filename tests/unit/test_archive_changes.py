"""What an export takes out is gone from every place of a run, is told, and leaves the rest as it was."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from agentrace import events
from agentrace.archive import Emptying, TraceFile, redacting
from agentrace.query import Runs, input_of, output_of
from agentrace.redact import redactor
from tests.unit.recorded_runs import MODEL, Process, completion
from tests.unit.trace_files import content, exported

SECRET = "joe.doe@example.com"


def talk(process: Process) -> None:
    """A run that names a person everywhere: arguments, long texts, histories, bodies cut into pieces, errors."""
    run = process.run("talk", argv=["python", "agent.py", SECRET])
    tool = run.step("tool", "write_to", 1, {"to": SECRET, "text": f"Dear {SECRET}, " + "hello. " * 200})
    run.failed(tool, 2, "builtins:ValueError", f"{SECRET} is not known")
    messages: list[dict[str, str]] = []
    for turn in range(8):
        messages.append({"role": "user", "content": f"turn {turn}: I am {SECRET}. " + "And so on. " * 60})
        asked = {"model": "gpt-5-mini", "messages": list(messages)}
        model = run.step("model", "openai.chat.completions", 3 + turn, asked, ordinal=turn, **MODEL)
        run.exchange(model, 4 + turn, 5 + turn, 200, completion(f"Hello {SECRET}."))
        run.answered(model, 5.5 + turn)
    data = f"a page about {SECRET}".encode()
    run.writer.payload(blake3(data).digest(), data)
    run.event(events.ArtifactStored, 0, 19, blake3(data).digest(), len(data), "text/plain")
    items = run.step("tool", "items", 20, {"pair": (SECRET, 1), "by": {1: SECRET}})
    run.yielded(items, 21, 0, {"mail": SECRET}, [SECRET])
    run.done(items, 22, {SECRET}, outcome="exhausted", chunks=2)
    run.end(30)


def test_redaction_finds_every_place_and_keeps_the_rest(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    talk(process)
    process.close()
    runs = Runs(tmp_path / "store")
    strict = redactor("strict")

    done = exported(runs, tmp_path / "x.agentrace", redacting(strict))

    found = content(tmp_path / "x.agentrace")
    everything = [b for run in found.events.values() for b in run] + [
        p for run in found.payloads.values() for p in run.values()
    ]
    assert [part for part in everything if b"joe.doe" in part] == []
    assert "a page about ⟨redacted:email⟩".encode() in everything
    assert not found.honest
    assert done.manifest.removed.secrets["email"] >= 8
    assert done.manifest.removed.redaction == f"strict/{strict.version}" == done.manifest.runs[0].redaction
    assert done.manifest.runs[0].original == runs.store.source(runs.ids[0]).chain() != done.manifest.runs[0].chain
    _same_but_for_the_secret(runs, Runs(TraceFile(tmp_path / "x.agentrace")))


def _same_but_for_the_secret(before: Runs, after: Runs) -> None:
    (run_id,) = before.ids
    old, new = before.record(run_id), after.record(run_id)
    assert old.trace.steps.keys() == new.trace.steps.keys()
    for step_id, step in old.trace.steps.items():
        told = new.trace.steps[step_id]
        for read in (input_of, output_of):
            expected = repr(read(old, step)).replace(SECRET, "⟨redacted:email⟩")
            assert repr(read(new, told)) == expected


def test_a_secret_that_is_cut_by_the_pieces_of_a_body_is_found(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    run = process.run("talk")
    model = run.step("model", "m", 1, {}, **MODEL)
    number = run._sent(model, 2)
    run.event(events.ExchangeAnswered, model, 3, number, 200, [("content-type", "text/plain")])
    for index, piece in enumerate((b"write to joe.d", b"oe@exam", b"ple.com today")):
        chunk = events.Chunk(index, "bytes", run.encoder.clean_bytes(piece))
        run.event(events.StreamChunks, model, 4 + index, number, index, [chunk])
    run.event(events.ExchangeEnded, model, 8, number, "exhausted")
    run.answered(model, 9)
    run.end(10)
    process.close()

    exported(Runs(tmp_path / "store"), tmp_path / "x.agentrace", redacting(redactor("strict")))

    (exchange,) = TraceFile(tmp_path / "x.agentrace").record(run.id).exchanges(model)
    assert b"".join(exchange.body).decode() == "write to ⟨redacted:email⟩ today"


def test_without_payloads_nothing_that_was_said_is_left(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    talk(process)
    process.close()

    done = exported(Runs(tmp_path / "store"), tmp_path / "x.agentrace", Emptying)

    found = content(tmp_path / "x.agentrace")
    assert [b for run in found.events.values() for b in run if b"joe.doe" in b or b"turn 3" in b] == []
    assert list(found.payloads.values()) == [{}]
    assert done.manifest.removed.payloads
    file = Runs(TraceFile(tmp_path / "x.agentrace"))
    summary = file.summary(file.ids[0])
    assert (summary.name, summary.totals.count, summary.status) == ("talk", 10, "completed")
    assert not summary.replayable.yes
    assert not found.honest
