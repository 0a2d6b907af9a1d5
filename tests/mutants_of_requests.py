"""Mutants of requests: bodies that a program makes, what is left out, what threads give to loops."""

from __future__ import annotations

from tests.mutant import Mutant

MUTANTS_OF_REQUESTS = (
    Mutant(
        "what a program does while it makes a body is a part of the call",
        "integrations/passing.py",
        'return step.outer.here().branch("body") if own or step.spec.integration else None',
        "return None",
        ("tests/contract/test_scenarios.py",),
    ),
    Mutant(
        "reports of libraries are recorded",
        "integrations/telemetry.py",
        "if asked.method in _ASKING or not any(_is(asked, report) for report in _REPORTS):",
        "if True:",
        ("tests/contract/test_left_out.py",),
    ),
    Mutant(
        "whatever is posted to the path of a report is one",
        "integrations/telemetry.py",
        "    return not report.content or any(kind.startswith(report.content.encode()) for kind in kinds)",
        "    return True",
        ("tests/contract/test_left_out.py",),
    ),
    Mutant(
        "applications in this process are asked over a wire",
        "integrations/httpx_family.py",
        "any(cls.__name__ in _IN_PROCESS for cls in type(transport).__mro__)",
        "False",
        ("tests/contract/test_left_out.py",),
    ),
    Mutant(
        "nobody knows for whom a thread works",
        "capture/scope.py",
        "if work is not None and work[0] is self:",
        "if False:",
        ("tests/unit/test_capture_flows.py",),
    ),
    Mutant(
        "what a replay puts off is called in the loop's own context",
        "capture/iterations.py",
        "partial(copy_context().run, self._call, *args)",
        "partial(self._call, *args)",
        ("tests/contract/test_left_out.py", "tests/unit/test_replay_timers.py"),
    ),
    Mutant(
        "an idle program tells its timers for ever",
        "capture/ordinals.py",
        "if over or (told and run.timers <= MOST_BETWEEN_STEPS):",
        "if over or told:",
        ("tests/unit/test_replay_timers.py",),
    ),
)
