"""What a replayed program has in common with the recorded one beside its calls: its input, its code, how it ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agentrace.query import RunRecord
from agentrace.redact import Redactor
from agentrace.replay.causes import Circumstances
from agentrace.runtime import surroundings
from agentrace.runtime.lifecycle import Ending


def circumstances(source: RunRecord, redactor: Redactor) -> Circumstances:
    """How this process differs from the one that wrote ``source``."""
    run = source.trace.run
    started = run.started
    return Circumstances(
        entry=entry_differences(source, redactor),
        changed_modules=lambda: changed_modules(source),
        incomplete=run.ended is None or bool(run.lost or source.holes),
        hash_seed_differs=started is not None and started.hash_seed != surroundings.hash_seed(),
        shared=not run.origin.imported and any(step.dispatched.shared for step in source.trace.steps.values()),
        imported=run.origin.imported,
    )


def entry_differences(source: RunRecord, redactor: Redactor) -> list[str]:
    """How command line and standard input differ from the recorded ones, each as a sentence."""
    found: list[str] = []
    if source.trace.run.origin.imported:
        return found
    started, described = source.trace.run.started, source.trace.run.described
    argv = redactor.argv(surroundings.argv())[1:]  # the first is where the interpreter is
    if started is not None and started.argv[1:] != argv:
        found.append(f"the command line is {_told(argv)}, and was {_told(started.argv[1:])}")
    if described is not None and described.stdin_digest:
        digest = surroundings.stdin_digest()
        if digest != described.stdin_digest:
            found.append("standard input is another file" if digest else "standard input is no file, and was one")
    return found


def changed_modules(source: RunRecord) -> list[str]:
    """Modules of the program whose source is not what it was."""
    described = source.trace.run.described
    recorded = {} if described is None else described.modules
    now = surroundings.own_modules(list(sys.modules.values()))
    return [name for name, digest in now.items() if recorded.get(name, digest) != digest]


def other_end(source: RunRecord, ending: Ending) -> tuple[str, str] | None:
    """Code and report, if this program ended otherwise than the recorded one; ``None`` if it did not."""
    run = source.trace.run
    if run.ended is None or run.aborted is not None or run.origin.imported:
        return None
    error, recorded = ending.error(), run.failure
    if error is not None:
        name = f"{type(error).__module__}:{type(error).__qualname__}"
        if recorded is None or recorded.type != name:
            ended = "without one" if recorded is None else f"with {recorded.type}: {recorded.message}"
            return "PROGRAM_ERROR", f"the program ended with {name}: {error}\n  the recorded run ended {ended}"
    code, before = ending.exit_code(), run.ended.exit_code
    if code != before:
        return "PROGRAM_EXIT_DIFFERS", f"the program ended with exit code {code}, the recorded run with {before}"
    return None


def _told(argv: Sequence[str]) -> str:
    text = " ".join(argv)
    return repr(text if len(text) <= 200 else f"{text[:200]}...")
