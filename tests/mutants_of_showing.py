"""Breaks of ``agentrace show`` and ``agentrace tail``, for ``make mutants``."""

from __future__ import annotations

from tests.mutant import Mutant

_TREE = "tests/unit/test_query_tree.py"
_FOLLOWING = "tests/unit/test_query_following.py"
_GOLDEN = "tests/unit/test_cli_golden.py"
_LARGE = "tests/unit/test_cli_large_runs.py"
_TAIL = "tests/e2e/test_tail.py"

MUTANTS_OF_SHOWING = (
    Mutant(
        "a step that is open beside another counts as one after the other",
        "query/trees.py",
        "overlaps = begin < open_until\n",
        "overlaps = False\n",
        (_TREE,),
    ),
    Mutant(
        "a step inside of one that is lost is not shown",
        "query/trees.py",
        "return outer if 0 < outer < step.id and outer in steps else 0",
        "return outer",
        (_TREE,),
    ),
    Mutant(
        "a step of a process that died counts as running",
        "query/trees.py",
        'status = "interrupted" if run.ended is not None or record.interrupted else "running"',
        'status = "running"',
        (_TREE, _GOLDEN),
    ),
    Mutant(
        "what processes took is left out of a sum",
        "query/trees.py",
        "        self.totals += meant.totals\n",
        "        self.totals += meant.totals if record is self.root else Totals()\n",
        (_TREE,),
    ),
    Mutant(
        "what a process lacks is not told",
        "query/trees.py",
        "because=[*first.replayable.because, *lacking]",
        "because=[*first.replayable.because]",
        (_TREE,),
    ),
    Mutant(
        "a step's rows go on behind what is inside of it",
        "cli/show.py",
        "        if row.depth <= top.depth:\n            return\n",
        "        if row.depth < top.depth:\n            return\n",
        (_GOLDEN, _LARGE),
    ),
    Mutant(
        "a range without an end has none of the run's steps",
        "cli/show.py",
        "int(found[3] or _LAST)",
        "int(found[3] or found[2] or 1)",
        (_GOLDEN, _LARGE),
    ),
    Mutant(
        "a look at some rows counts as a look at all",
        "cli/show.py",
        "    if top is None and not (asked.first or asked.find or asked.kinds or asked.failed):\n",
        "    if True:\n",
        ("tests/unit/test_cli_commands.py", _LARGE, "tests/unit/test_cli_notes.py"),
    ),
    Mutant(
        "an event is told twice",
        "query/live_run.py",
        "if not data or last <= self.seen_up_to or first in self._beyond:",
        "if not data:",
        (_FOLLOWING, f"{_TAIL}::test_nothing_is_told_twice_or_missed_while_lanes_are_sealed"),
    ),
    Mutant(
        "what is missing is waited for without end",
        "query/following.py",
        "        if not dead and self._now() - since < _PATIENCE_NS:\n",
        "        if not dead:\n",
        (_FOLLOWING,),
    ),
    Mutant(
        "a run whose process died is followed without end",
        "query/following.py",
        '        elif source.state != "live":\n            yield run.ended("interrupted")\n',
        "",
        (_FOLLOWING,),
    ),
    Mutant(
        "runs that nobody asked for are told",
        "query/following.py",
        "        if above is None and not self._all:\n",
        "        if False:\n",
        (_FOLLOWING,),
    ),
    Mutant(
        "following ends with the first of the runs that ends",
        "query/following.py",
        "return not self._all and all(run.told_last for run in self._runs.values())",
        "return not self._all and any(run.told_last for run in self._runs.values())",
        (_FOLLOWING,),
    ),
    Mutant(
        "all that happened before is told",
        "query/following.py",
        "key=lambda one: one.ts)[-history:] if history else []",
        "key=lambda one: one.ts)",
        (_FOLLOWING,),
    ),
    Mutant(
        "what was restored is told as new",
        "query/following.py",
        "or first.ts < self._since:",
        "or False:",
        (_FOLLOWING,),
    ),
    Mutant(
        "an interrupt of tail is no end",
        "cli/tail.py",
        "raise click.exceptions.Exit(128 + signal.SIGINT) from None",
        "return",
        (_TAIL,),
    ),
)
