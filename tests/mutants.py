"""``make mutants``: the code is broken on purpose, one place at a time, and every break must fail a test.

Each mutant is a text that is replaced in one file of a copy of the tree, and the tests that have to notice. A mutant
whose text is not found any more, or whose tests pass with the break, is reported; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutant import Mutant
from tests.mutants_concurrency import CONCURRENCY
from tests.mutants_of_asking import MUTANTS_OF_ASKING
from tests.mutants_of_callables import CALLABLES
from tests.mutants_of_offered_tools import MUTANTS_OF_OFFERED_TOOLS
from tests.mutants_of_requests import MUTANTS_OF_REQUESTS
from tests.mutants_of_runs import MUTANTS_OF_RUNS
from tests.mutants_of_showing import MUTANTS_OF_SHOWING
from tests.mutants_of_the_index import MUTANTS_OF_THE_INDEX
from tests.mutants_of_the_store import MUTANTS_OF_THE_STORE
from tests.mutants_of_values import MUTANTS_OF_VALUES

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("src", "tests", "docs", "examples", "pyproject.toml", "ARCHITECTURE.md", "README.md", "CHANGELOG.md")

MUTANTS = (
    *CONCURRENCY,
    *MUTANTS_OF_ASKING,
    Mutant(
        "a secret in a text leaf is written",
        "canonical/encoding.py",
        "found = self._redaction.text(text)",
        "found = None",
        ("tests/property/test_canonical_growth.py::test_a_secret_is_nowhere_in_what_is_written",),
    ),
    Mutant(
        "lists of one length are taken for the same list",
        "canonical/history.py",
        "        return marshal.dumps(items, 2), 5",
        "        return bytes(2048 * len(items)), 0",
        ("tests/property/test_canonical_growth.py::test_lists_that_only_look_alike_are_told_apart",),
    ),
    Mutant(
        "a byte of a body's new part is dropped",
        "canonical/bodies.py",
        "return clean[len(before) : ",
        "return clean[len(before) + 1 : ",
        ("tests/property/test_canonical_growth.py::test_bodies_read_back_as_they_were_sent_without_what_is_secret",),
    ),
    Mutant(
        "a value that cannot be told is told as None",
        "canonical/encoding.py",
        "return self.opaque(value, why_opaque(cls))",
        "return None",
        ("tests/property/test_canonical.py",),
    ),
    Mutant(
        "the flow of a step is not left",
        "capture/shapes.py",
        "        scope.FLOW.set(step.outer)\n        follow",
        "        follow",
        ("tests/unit/test_capture_flows.py", "tests/unit/test_capture_shapes.py"),
    ),
    Mutant(
        "a pool's workers count as branches",
        "capture/carriers.py",
        "before = STARTING.set(True)",
        "before = STARTING.set(False)",
        ("tests/unit/test_capture_flows.py::test_the_number_of_workers_of_a_pool_does_not_matter",),
    ),
    Mutant(
        "tasks have no flow of their own",
        "capture/loop_carriers.py",
        "        FLOW.set(flow)  # the task copies the current context when it is made\n",
        "",
        ("tests/unit/test_replay_matching.py::test_equal_calls_under_gather_get_their_own_answers",),
    ),
    Mutant(
        "shutdown leaves its hooks behind",
        "capture/carriers.py",
        "            setattr(owner, name, original)\n",
        "            pass\n",
        ("tests/unit/test_capture_lifetime.py::test_shutdown_leaves_everything_as_it_was",),
    ),
    Mutant(
        "the tape answers a call with other arguments",
        "replay/tape.py",
        "if bytes(recorded) != bytes(step.input) and not self._alike(recorded, step.input, spec.ignore):",
        "if False:",
        ("tests/unit/test_replay_matching.py::test_a_change_is_found_at_its_place",),
    ),
    Mutant(
        "the tape answers a call of another name",
        "replay/tape.py",
        "if expected.asked != (spec.kind, spec.name, spec.operation):",
        "if False:",
        ("tests/unit/test_replay_matching.py::test_a_change_is_found_at_its_place",),
    ),
    Mutant(
        "the tape answers a call whose end is not recorded",
        "replay/tape.py",
        "return bool(expected.ended) or self._source is None or self._source.over",
        "return True",
        ("tests/property/test_cut_records.py",),
    ),
    Mutant(
        "the end of a record is taken for the end of its program",
        "replay/tape.py",
        "if expected is None and not self._whole:\n            return",
        "if False:\n            return",
        ("tests/property/test_cut_records.py",),
    ),
    Mutant(
        "a call that is made again is taken for a changed one",
        "replay/tape.py",
        "if before is not None and self._is_asked(before, step):",
        "if False:",
        ("tests/property/test_planted_mutations.py",),
    ),
    Mutant(
        "a divergence that cannot be told is the program's fault",
        "replay/tape.py",
        "guarded(self._told)(headline, found, step)",
        "self._told(headline, found, step)",
        ("tests/unit/test_replay_matching.py::test_a_divergence_stands_even_if_it_cannot_be_told",),
    ),
    Mutant(
        "all flows share one row of calls",
        "replay/calls.py",
        'return f"{step.outer.step_path}|{step.outer.path}"',
        'return f"{step.outer.step_path}|"',
        ("tests/property/test_planted_mutations.py",),
    ),
    Mutant(
        "requests are answered by their order alone",
        "capture/recorded.py",
        "if not recorded.url or same(past, live, operation, elsewhere.hosts):",
        "if True:",
        ("tests/unit/test_replay_signing_in.py",),
    ),
    Mutant(
        "a sign-in that is not made again is not passed over",
        "capture/recorded.py",
        "if not elsewhere.is_sign_in(past, operation):",
        "if True:",
        ("tests/unit/test_replay_signing_in.py",),
    ),
    Mutant(
        "a token that was handed out once is not handed out again",
        "capture/recorded.py",
        "if again is not None:",
        "if False:",
        ("tests/unit/test_replay_signing_in.py",),
    ),
    Mutant(
        "a token is served as a mark that no header takes",
        "exchanges.py",
        'if b"redacted:" in body else body',
        "if False else body",
        ("tests/unit/test_replay_signing_in.py",),
    ),
    Mutant(
        "a body that was closed early goes on as if it were over",
        "capture/recorded.py",
        "    if recorded.closed:",
        "    if False:",
        ("tests/e2e/test_hard_cases.py::test_4_a_stream_that_was_closed_early",),
    ),
    Mutant(
        "a stream that was closed early goes on as if it were over",
        "capture/answers.py",
        "if answer.closed or answer.closing:",
        "if False:",
        ("tests/unit/test_replay_streams.py",),
    ),
    Mutant(
        "what is sent into a stream is not compared",
        "capture/answers.py",
        "        if differs:",
        "        if False:",
        ("tests/unit/test_replay_streams.py",),
    ),
    Mutant(
        "a recorded exception is returned",
        "capture/answers.py",
        "    if answer.error is not None:",
        "    if False:",
        ("tests/unit/test_replay_streams.py", "tests/unit/test_replay_values.py"),
    ),
    Mutant(
        "calls that were left out are not missed",
        "replay/tape.py",
        "if self._left and (self.latched is None or self._manner.observe) and self._source is not None:",
        "if False:",
        ("tests/unit/test_replay_matching.py::test_a_missing_call_is_named",),
    ),
    Mutant(
        "a full file of the lane still takes frames",
        "journal/lane.py",
        "                file.plug()\n",
        "                file.plugged = True\n",
        ("tests/unit/test_journal_lane_files.py", "tests/contract/test_journal_lanes.py"),
    ),
    Mutant(
        "a damaged frame is taken for whole",
        "journal/frames.py",
        "if crc32(content, crc32(run_id, seeds[kind])) == check:",
        "if True:",
        ("tests/unit/test_journal_frames.py", "tests/property/test_journal_damage.py"),
    ),
    Mutant(
        "verify does not look at the chain",
        "journal/verification.py",
        "[*damage, *holes, *chain, *payloads]",
        "[*damage, *holes, *payloads]",
        ("tests/unit/test_journal_recovery.py::test_events_of_another_record_break_the_chain",),
    ),
    Mutant(
        "a step ends before what its wire carried is written",
        "capture/call.py",
        """        if step.notes is not None:
            step.notes.settle()
        _completed(""",
        "        _completed(",
        ("tests/contract/test_scenarios.py::test_everything_begins_and_ends_once_and_in_order",),
    ),
    Mutant(
        "two threads write what is noted at once",
        "capture/behind.py",
        "                if not outermost:\n                    return\n",
        "",
        ("tests/unit/test_capture_behind.py",),
    ),
    Mutant(
        "a word in a known shape is not searched",
        "redact/repeats.py",
        "found.lastindex is None or self._harmless(found.groups())",
        "True",
        ("tests/property/test_redact.py",),
    ),
    Mutant(
        "a header keeps its credential",
        "redact/wire.py",
        "        return mark(kind)\n",
        "        return value\n",
        ("tests/unit/test_redact_names.py", "tests/e2e/test_secrets.py"),
    ),
    Mutant(
        "a retry's answer stands in for the first",
        "capture/exchange.py",
        "        step.exchanges += 1\n",
        "        step.exchanges = 1\n",
        ("tests/contract/test_scenarios.py::test_each_call_is_one_step_with_all_its_exchanges",),
    ),
    Mutant(
        "a hole in the sequence is not told",
        "journal/sealing.py",
        "writer.event(self._tombstone(first, last, reason, self._ts(after)), last)",
        "pass",
        ("tests/unit/test_journal_recovery.py", "tests/property/test_journal_damage.py"),
    ),
    Mutant(
        "the environment is not asked for settings",
        "config/places.py",
        "given |= _from_environment(environ, cwd)",
        "pass",
        ("tests/unit/test_config.py",),
    ),
    Mutant(
        "connections leave a replay",
        "replay/offline.py",
        "event not in _WATCHED",
        "True",
        ("tests/e2e/test_offline.py::test_what_reaches_past_the_record_is_refused",),
    ),
    Mutant(
        "an answer comes in whatever iteration of its loop",
        "replay/loops.py",
        "return left <= 0",
        "return True",
        ("tests/unit/test_replay_iterations.py",),
    ),
    Mutant(
        "a replay calls timers when they are due",
        "replay/timers.py",
        "        self._hold()\n        coming",
        "        coming",
        ("tests/unit/test_replay_timers.py",),
    ),
    Mutant(
        "a timer is known by its time",
        "replay/timers.py",
        "timers = self._there(coming)",
        "timers = self._earliest()[: len(coming)]",
        ("tests/unit/test_replay_timers.py",),
    ),
    Mutant(
        "an answer comes behind everything that is ready",
        "replay/loops.py",
        "if self.counted and len(ready) > count:",
        "if False:",
        ("tests/unit/test_replay_iterations.py",),
    ),
    Mutant(
        "the result of a thread comes into a loop at once",
        "replay/timers.py",
        "and not self._is_its_turn(index):",
        "and False:",
        ("tests/unit/test_replay_timers.py",),
    ),
    Mutant(
        "a loop goes on as in a replay that is over",
        "runtime/replaying.py",
        "self.tape.end()",
        "pass",
        ("tests/unit/test_replay_timers.py",),
    ),
    *MUTANTS_OF_OFFERED_TOOLS,
    Mutant(
        "what a tool drew is not drawn again",
        "capture/answers.py",
        "    answer.draw(answer.random)\n",
        "",
        ("tests/unit/test_replay_draws.py",),
    ),
    Mutant(
        "a cancelled call ends at once on a replay",
        "replay/order.py",
        "while not self.free and 0 < here.left(mark) < _MOST_LEFT:",
        "while False:",
        ("tests/unit/test_replay_iterations.py",),
    ),
    Mutant(
        "a thread that is about to go on counts as blocked",
        "replay/waiting.py",
        "return None if about_to_go_on is None else not about_to_go_on(frame)",
        "return None if about_to_go_on is None else True",
        ("tests/unit/test_replay_iterations.py",),
    ),
    *MUTANTS_OF_REQUESTS,
    *MUTANTS_OF_RUNS,
    *MUTANTS_OF_SHOWING,
    *MUTANTS_OF_THE_STORE,
    *MUTANTS_OF_THE_INDEX,
    *(Mutant(*row) for row in CALLABLES),
    *MUTANTS_OF_VALUES,
)


def main(arguments: list[str] | None = None) -> int:
    """0 if every mutant was noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="mutants whose description contains this")
    options = parser.parse_args(arguments)
    survived: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
        for mutant in MUTANTS:
            if options.only in mutant.what:
                verdict = tried(mutant, copy)
                print(f"{verdict:>9}  {mutant.what}", flush=True)
                if verdict != "noticed":
                    survived.append(mutant.what)
    print(f"{len(survived)} not noticed" if survived else "every break is noticed")
    return 1 if survived else 0


def tried(mutant: Mutant, copy: Path) -> str:
    """``noticed``, ``SURVIVED``, or why the mutant says nothing."""
    file = copy / "src" / "agentrace" / mutant.file
    whole = file.read_text()
    if mutant.old not in whole:
        return "NO PLACE"
    file.write_text(whole.replace(mutant.old, mutant.new))
    try:
        return "noticed" if fails(mutant.tests, copy) else "SURVIVED"
    finally:
        file.write_text(whole)


def fails(tests: tuple[str, ...], copy: Path) -> bool:
    """Whether the tests, run against the copy, fail."""
    source = os.pathsep.join([str(copy / "src"), str(copy)])
    environ = {**os.environ, "PYTHONPATH": source, "TESTED_SOURCE": source, "AGENTRACE_DEBUG": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
