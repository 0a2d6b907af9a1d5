"""Breaks of what records hold beside calls (notes, output, values of libraries): see ``tests/mutants.py``."""

from __future__ import annotations

from tests.mutant import Mutant

MUTANTS_OF_VALUES = (
    Mutant(
        "texts of an array are written as its numbers are",
        "canonical/foreign/arrays.py",
        "if dtype.names is None and dtype.kind in _NUMBERS:",
        'if dtype.names is None and dtype.kind in _NUMBERS | {"U", "S"}:',
        ("tests/unit/test_library_values_hostile.py::test_a_secret_is_nowhere_in_what_is_written",),
    ),
    Mutant(
        "a column of text stays in an Arrow stream",
        "canonical/foreign/tables.py",
        "            table = table.set_column(at, field.with_nullable(True), arrow.nulls(table.num_rows, field.type))\n",
        "",
        ("tests/unit/test_library_values_hostile.py::test_a_secret_is_nowhere_in_what_is_written",),
    ),
    Mutant(
        "the length that an array says it has is believed",
        "canonical/foreign/arrays.py",
        "    _require(math.prod(shape) * dtype.itemsize == len(data) - start, ",
        "    _require(True, ",
        ("tests/unit/test_library_values_hostile.py::test_a_hostile_value_is_refused",),
    ),
    Mutant(
        "compressed columns are read",
        "canonical/foreign/arrow_stream.py",
        "    return _field(message, header, _COMPRESSION) != 0",
        "    return False",
        ("tests/unit/test_library_values_hostile.py::test_a_hostile_value_is_refused",),
    ),
    Mutant(
        "an array in the order of Fortran comes back in that of C",
        "canonical/foreign/arrays.py",
        'order="F" if fortran else "C"',
        'order="C"',
        ("tests/unit/test_library_values.py::test_a_value_comes_back_as_it_was",),
    ),
    Mutant(
        "a payload that may be lost is not written again",
        "canonical/encoding.py",
        "        self._leaf_bytes = 0\n        self._kept = set()\n        self._history.forget()",
        "        self._leaf_bytes = 0\n        self._history.forget()",
        ("tests/unit/test_library_values.py::test_what_may_be_lost_is_written_again",),
    ),
    Mutant(
        "a note makes a flow",
        "capture/process.py",
        "            return self.implicit(), RUN_STEP\n",
        "            return self.flow().run, RUN_STEP\n",
        ("tests/unit/test_spoken_notes.py::test_threads_that_log_change_nothing_that_a_replay_goes_by",),
    ),
    Mutant(
        "half a line is not told at the end of its step",
        "capture/step.py",
        "            self.before_end()\n",
        "            pass\n",
        ("tests/unit/test_spoken_notes.py::test_what_is_printed_is_noted_line_by_line",),
    ),
    Mutant(
        "a run notes without end what a program says",
        "capture/spoken_notes.py",
        "    if run.said > MOST:",
        "    if run.said < 0:",
        ("tests/unit/test_spoken_notes.py::test_a_loop_that_prints_says_where_its_record_ends",),
    ),
    Mutant(
        "a note is not redacted",
        "capture/notes.py",
        "        return run.clean(str.__str__(part))",
        "        return str.__str__(part)",
        ("tests/unit/test_notes.py::test_secrets_are_taken_out_of_notes",),
    ),
)
