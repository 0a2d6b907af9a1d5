"""Breaks of what ``--tools auto`` does, for ``make mutants``."""

from __future__ import annotations

from tests.mutant import Mutant

MUTANTS_OF_OFFERED_TOOLS = (
    Mutant(
        "a tool is recorded before its run offers it",
        "capture/call.py",
        "if spec.offered and spec.offered not in run.offered:",
        "if False:",
        ("tests/unit/test_tools_offering.py::test_each_run_begins_where_it_offers",),
    ),
    Mutant(
        "a library's function is taken for a tool",
        "integrations/ownership.py",
        "    if is_library(code_of(function).co_filename):\n        return False\n    home",
        "    return True\n    home",
        ("tests/unit/test_tools_offered.py::test_functions_of_libraries_are_never_touched",),
    ),
    Mutant(
        "who offers the same tool at the same time does not wait",
        "integrations/offered.py",
        "if self._settled.issuperset(names)",
        "if self._names.issuperset(names)",
        ("tests/unit/test_tools_offering.py::test_who_offers_the_same_waits_until_it_is_recorded",),
    ),
    Mutant(
        "what is at work is answered",
        "integrations/offered.py",
        '"reexecute" if',
        '"" if',
        ("tests/unit/test_tools_offering.py::test_the_one_that_asks_is_executed_again_by_a_replay",),
    ),
    Mutant(
        "a killed run does not tell that offered tools were recorded",
        "runtime/assembly.py",
        "            tools=list(settings.tools),\n",
        "",
        ("tests/unit/test_tools_offered.py::test_names_and_auto_together_record_each_function_once",),
    ),
    Mutant(
        "the cells of a closure are lost",
        "capture/inplace.py",
        "        co_freevars=code.co_freevars,\n",
        "",
        ("tests/unit/test_tools_offering.py::test_a_program_that_asks_about_its_function_is_told_the_same",),
    ),
    Mutant(
        "an async generator function passes for a plain one",
        "capture/inplace.py",
        "template.co_flags | kept",
        "template.co_flags",
        ("tests/unit/test_capture_tools.py",),
    ),
)
