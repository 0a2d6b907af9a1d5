"""Breaks of what looks at many runs, for ``make mutants``."""

from __future__ import annotations

from tests.mutant import Mutant

_AGREE = "tests/unit/test_index_asking.py"
_SQL = "tests/unit/test_cli_sql.py"
_PRINTED = "tests/unit/test_cli_asking.py"

MUTANTS_OF_ASKING = (
    Mutant(
        "a run that began at the end of the time is in it",
        "index/sql/choosing.sql",
        "started_ts < $until",
        "started_ts <= $until",
        (f"{_AGREE}::test_a_filter_lets_through_what_it_says",),
    ),
    Mutant(
        "a list that is only sorted holds the runs of children",
        "cli/ls_found.py",
        "roots = wanted == Filter() and not everything",
        "roots = False",
        (f"{_PRINTED}::test_a_list_that_is_only_sorted_holds_what_it_holds_without",),
    ),
    Mutant(
        "a text is looked for in its escaped spelling only",
        "index/filters.py",
        "spelt = [text, plain,",
        "spelt = [plain, plain,",
        (f"{_AGREE}::test_a_literal_search_agrees_with_in",),
    ),
    Mutant(
        "a text is not looked for in its escaped spelling",
        "index/filters.py",
        "spelt = [text, plain,",
        "spelt = [text, text,",
        (f"{_AGREE}::test_a_literal_search_agrees_with_in",),
    ),
    Mutant(
        "a statement that is no SELECT is run",
        "index/asking.py",
        "if found.type != duckdb.StatementType.SELECT:",
        "if False:",
        (f"{_SQL}::test_what_is_no_question_is_refused",),
    ),
    Mutant(
        "a query reads files",
        "index/asking.py",
        '        connection.execute(statement("close_off", "asking"))\n',
        "",
        (f"{_SQL}::test_a_question_reaches_nothing_but_the_index",),
    ),
    Mutant(
        "a place in a query is a line too low",
        "index/asking.py",
        "number = int(place[1]) - before",
        "number = int(place[1])",
        (f"{_SQL}::test_an_error_says_where_it_is",),
    ),
    Mutant(
        "an interrupt waits for the query",
        "index/interrupting.py",
        "            connection.interrupt()\n",
        "",
        (f"{_SQL}::test_an_interrupt_ends_a_query",),
    ),
    Mutant(
        "a terminal obeys what stands in a record",
        "cli/sql.py",
        'return "NULL" if cell is None else plain(cell)',
        'return "NULL" if cell is None else cell',
        (f"{_SQL}::test_only_a_terminal_cuts_a_table",),
    ),
)
