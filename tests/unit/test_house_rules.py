"""Every file keeps the house rules, except where an exception gives its reason; and every rule bites."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.house_rules import FILE_LINES, FUNCTION_LINES, RULES, Source, sources

ROOT = Path(__file__).parents[2]

RULES_THEMSELVES = "it says what the rule forbids"
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("finished", "tests/unit/house_rules.py"): RULES_THEMSELVES,
    ("finished", "tests/unit/test_house_rules.py"): RULES_THEMSELVES,
    ("no_machine", "tests/unit/test_house_rules.py"): RULES_THEMSELVES,
    (
        "guarded_catches",
        "src/agentrace/capture/failure.py",
    ): "a class of the user's may fail in its own __str__",
    (
        "guarded_catches",
        "src/agentrace/capture/driving.py",
    ): "what is thrown into a generator is thrown on into it",
    (
        "guarded_catches",
        "src/agentrace/capture/codec.py",
    ): "a codec is the program's own code, and its failure is told in the record",
    (
        "guarded_catches",
        "src/agentrace/canonical/encoding.py",
    ): "reading a value may run code of its class, which may fail in any way",
    ("short_functions", "src/agentrace/capture/call.py"): "the event's fields stand one to a line on the caller's time",
    ("short_functions", "tests/contract/http_subjects.py"): "a table of routes",
    ("short_file", "tests/unit/test_journal_process.py"): "one process's whole life",
    ("short_file", "src/agentrace/events.py"): "the vocabulary is one list, read in the order of its tags",
}
"""Rule and file, with the reason why the one does not hold in the other."""


@pytest.fixture(scope="module")
def files() -> list[Source]:
    return sources(ROOT)


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_is_kept(files: list[Source], rule: str) -> None:
    broken = [
        f"{file.path} {finding}"
        for file in files
        if (rule, file.path) not in EXCEPTIONS
        for finding in RULES[rule](file)
    ]

    assert not broken, "\n".join([str(RULES[rule].__doc__), *broken])


def test_every_exception_is_needed(files: list[Source]) -> None:
    by_path = {file.path: file for file in files}
    needless = [
        f"{path} keeps {rule}"
        for rule, path in EXCEPTIONS
        if path not in by_path or not list(RULES[rule](by_path[path]))
    ]

    assert needless == []
    assert all(len(reason.split()) > 3 for reason in EXCEPTIONS.values())


def test_the_files_are_found(files: list[Source]) -> None:
    paths = {file.path for file in files}

    assert {
        "src/agentrace/errors.py",
        "Makefile",
        ".ci/run",
        "docs/errors.md",
        "tests/unit/house_rules.py",
    } <= paths


# --- every rule bites ---------------------------------------------------------------------------------------

PLANTED = [
    ("opening_sentence", "src/a.py", "x = 1", "opens with no docstring"),
    ("opening_sentence", "tests/a.py", '"""frames"""', "opens with what is no sentence: 'frames'"),
    ("telling_name", "src/utils.py", "", "'utils' says nothing about what is in it"),
    ("telling_name", "src/signal_handler.py", "", "'handler' says nothing about what is in it"),
    ("short_file", "src/a.py", "\n" * (FILE_LINES + 1), f"has {FILE_LINES + 1} lines, over {FILE_LINES}"),
    (
        "short_functions",
        "src/a.py",
        "class A:\n  async def f():\n    'Docs.'\n" + "    x = 1\n" * FUNCTION_LINES,
        f"f has {FUNCTION_LINES + 1} lines, over {FUNCTION_LINES}",
    ),
    ("providers_at_home", "src/agentrace/store.py", "# for OpenAI", "names OpenAI in line 1"),
    ("providers_at_home", "src/agentrace/store.py", "\nis_groq = 1", "names groq in line 2"),
    ("providers_at_home", "src/agentrace/integrations/openai.py", "'mistral-7b'", "names mistral in line 1"),
    ("finished", "src/a.py", "# TODO: more", "says 'TODO' in line 1"),
    ("finished", "docs/a.md", "\nThis works for now.", "says 'for now' in line 2"),
    ("finished", "src/a.py", "raise NotImplementedError", "says 'NotImplementedError' in line 1"),
    ("no_machine", "Makefile", "cd /work/main", "says '/work/main' in line 1"),
    ("no_machine", "docs/a.md", "see /home/alice/agent.py", "says '/home/alice' in line 1"),
    ("guarded_catches", "src/a.py", "try: f()\nexcept Exception: pass", "catches everything in line 2"),
    ("guarded_catches", "src/a.py", "try: f()\nexcept:\n  g()", "catches everything in line 2"),
    (
        "guarded_catches",
        "src/a.py",
        "try: f()\nexcept (OSError, BaseException): g()",
        "catches everything in line 2",
    ),
    (
        "guarded_catches",
        "src/a.py",
        "with contextlib.suppress(Exception): f()",
        "suppresses everything in line 1",
    ),
]


@pytest.mark.parametrize(("rule", "path", "text", "finding"), PLANTED)
def test_a_planted_violation_is_found(rule: str, path: str, text: str, finding: str) -> None:
    assert list(RULES[rule](Source(path, text))) == [finding]


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, *_ in PLANTED} == set(RULES)


KEPT = [
    ("opening_sentence", "src/a.py", '"""What a frame is.\n\nMore"""'),
    ("opening_sentence", "tests/__init__.py", ""),
    ("short_functions", "src/a.py", "def f():\n  '''" + "Docs.\n" * 60 + "'''\n  return 1"),
    ("providers_at_home", "src/agentrace/integrations/openai.py", "name = 'openai'"),
    ("providers_at_home", "src/agentrace/testing/stub.py", "name = 'openai'"),
    ("providers_at_home", "src/agentrace/store.py", "x = 'taxair'"),
    ("no_machine", "docs/a.md", "https://example.org/work/main and ~/work/main"),
    ("guarded_catches", "src/a.py", "try: f()\nexcept BaseException:\n  g()\n  raise"),
    ("guarded_catches", "src/a.py", "try: f()\nexcept Exception as error:\n  fault(error)\n  g()"),
    ("guarded_catches", "src/a.py", "try: f()\nexcept (OSError, ValueError): pass"),
]


@pytest.mark.parametrize(("rule", "path", "text"), KEPT)
def test_what_keeps_the_rule_passes(rule: str, path: str, text: str) -> None:
    assert list(RULES[rule](Source(path, text))) == []
