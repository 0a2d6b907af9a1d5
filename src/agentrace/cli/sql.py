"""``agentrace sql``: the index asked in SQL."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, TextIO

import click
import msgspec

from agentrace.cli.escaping import cells, json_text, plain
from agentrace.cli.indexed import index_of
from agentrace.cli.opening import file_runs, home_option
from agentrace.cli.opening import runs as open_runs
from agentrace.cli.schema_view import schema_json, schema_lines, view_lines
from agentrace.cli.terminal import Terminal, terminal
from agentrace.cli.units import counted
from agentrace.errors import StoreError
from agentrace.index.asking import Answer, Question, Value, answered, write_parquet
from agentrace.index.describing import described

_LOOKED_AT = 1_000
"""Rows by which the columns of a table are made as wide as they need to be."""
_FORMS: Final = {".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv", ".parquet": "parquet"}
"""How a file is written, by how its name ends."""


@click.command()
@click.argument("query", required=False)
@click.option("--file", "-f", "script", type=click.File(encoding="utf-8"), help="A file with the query; - is stdin.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="The value of $NAME in the query.")
@click.option("--from", "trace_file", metavar="FILE", help="A trace file, in place of the store.")
@click.option("--schema", is_flag=True, help="Show every view with the types of its columns and what is in them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each row, one on each line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with the names of the columns first.")
@click.option("--parquet", "as_parquet", is_flag=True, help="Write Parquet, into the file of -o.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write into this file; as its name says, if it ends in .json, .csv or .parquet.",
)
@home_option
def command(
    query: str | None,
    script: TextIO | None,
    parameters: tuple[str, ...],
    trace_file: str | None,
    schema: bool,
    output: Path | None,
    home: Path | None,
    **forms: bool,
) -> None:
    """Ask the index of all runs in SQL, as DuckDB speaks it; without QUERY, show its views and their columns.

    The views stay: columns are only ever added. One SELECT is taken, which nothing outside the index is in reach of:
    it cannot change the index, nor read or write a file. QUERY may be - for stdin. A value of -p that is a number,
    true, false or null is taken for one, another one for text; in double quotes it is always text.

    In a terminal a table is cut where it is too wide; into a pipe or file nothing is cut.

    \b
    Example:
      agentrace sql
      agentrace sql "select name, count(*) from steps where status = 'failed' group by name"
      agentrace sql "from runs where name = $name limit 5" -p name=checkout --json
      agentrace sql --file report.sql --parquet -o report.parquet
      agentrace sql --from shop.agentrace "from steps" --csv
    """
    form = _form([name.removeprefix("as_") for name, given in forms.items() if given], output)
    if query is not None and script is not None:
        raise click.UsageError("Give QUERY or --file, but not both.")
    if query == "-":
        query = sys.stdin.read()
    elif script is not None:
        query = script.read()
    if schema or query is None:
        _show_schema(whole=schema, form=form, output=output)
        return
    if form == "parquet" and output is None:
        raise click.UsageError("--parquet needs a file to write: -o FILE.")
    question = Question(query, dict(map(_parameter, parameters)))
    runs = open_runs(home) if trace_file is None else file_runs(trace_file)
    with index_of(runs) as session:
        if form == "parquet" and output is not None:
            count = write_parquet(session, question, output)
            click.echo(f"{counted(count, 'row')} in {plain(str(output))}", err=True)
            return
        with answered(session, question, "json" if form == "json" else "text") as answer:
            _write(answer, form, output)


def _form(asked: Sequence[str], output: Path | None) -> str | None:
    """How the answer is written: as is asked for, or as the name of the file says. ``None`` is a table."""
    named = None if output is None else _FORMS.get(output.suffix.lower())
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(f'--{form}' for form in asked)}: say one of them.")
    if asked and named not in (None, asked[0]) and output is not None:
        raise click.UsageError(f"--{asked[0]} and a file that ends in {output.suffix}: say one of them.")
    return asked[0] if asked else named


def _show_schema(*, whole: bool, form: str | None, output: Path | None) -> None:
    if form in ("csv", "parquet"):
        raise click.UsageError("The views are shown as text or --json.")
    with _opened(output) as out:
        views, to = described(), terminal(out)
        if form == "json":
            shown: Iterator[str] = (json_text(schema_json(view)) for view in views)
        else:
            shown = schema_lines(views, to) if whole else view_lines(views, to)
        out.writelines(f"{line}\n" for line in shown)


def _parameter(text: str) -> tuple[str, Value]:
    name, sign, value = text.partition("=")
    name = name.removeprefix("$")
    if not sign or not name.isidentifier():
        raise click.UsageError(f"-p {plain(text)!r} is not understood: it is NAME=VALUE.")
    try:
        found = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(found, (list, dict)) else found


@contextmanager
def _opened(output: Path | None) -> Generator[TextIO, None, None]:
    if output is None:
        yield sys.stdout
        return
    try:
        file = output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise StoreError(f"{output} cannot be written: {error.strerror}", do="name another file with -o") from error
    with file:
        yield file


def _write(answer: Answer, form: str | None, output: Path | None) -> None:
    first = list(islice(answer.rows, _LOOKED_AT))  # what fails at once leaves no file behind
    rows = chain(first, answer.rows)
    with _opened(output) as out:
        if form == "csv":
            # A terminal would obey what may stand in a record; a file holds what is there.
            show = _safe if out.isatty() else list
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(show([column.name for column in answer.columns]))
            writer.writerows(map(show, rows))
        elif form == "json":
            names = _distinct([column.name for column in answer.columns])
            out.writelines(f"{json_text(_object(names, row))}\n" for row in rows)
        else:
            to = terminal(out)
            width = to.width if out.isatty() else None
            out.writelines(f"{line}\n" for line in table_lines(answer, first, rows, to, width))


def table_lines(
    answer: Answer,
    first: Sequence[Sequence[str | None]],
    rows: Iterator[Sequence[str | None]],
    to: Terminal,
    width: int | None,
) -> Iterator[str]:
    """Rows in columns that are as wide as the ``first`` rows need; cut at ``width``, if that is told."""
    headings = [plain(column.name) for column in answer.columns]
    widths = [cells(heading) for heading in headings]
    for row in first:
        widths = [max(one, cells(_cell(cell))) for one, cell in zip(widths, row, strict=True)]
    numbers = [column.is_number for column in answer.columns]

    def line(texts: Sequence[str]) -> str:
        padded = (
            " " * (wide - cells(text)) + text if number else text + " " * (wide - cells(text))
            for text, wide, number in zip(texts, widths, numbers, strict=True)
        )
        joined = "  ".join(padded).rstrip()
        return joined if width is None else to.cut(joined, width)

    yield to.paint(line(headings), "dim")
    count = 0
    for row in rows:
        count += 1
        yield line([_cell(cell) for cell in row])
    if width is not None:
        yield to.paint(f"({counted(count, 'row')})", "dim")


def _cell(cell: str | None) -> str:
    return "NULL" if cell is None else plain(cell)


def _safe(row: Sequence[str | None]) -> list[str | None]:
    return [None if cell is None else plain(cell) for cell in row]


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of which none is there twice: ``name``, ``name_2``."""
    found: dict[str, None] = {}
    for name in names:
        number, made = 1, name
        while made in found:
            number += 1
            made = f"{name}_{number}"
        found[made] = None
    return list(found)


def _object(names: Sequence[str], row: Sequence[str | None]) -> dict[str, Any]:
    return {name: _json(cell) for name, cell in zip(names, row, strict=True)}


def _json(cell: str | None) -> Any:
    """A cell as it is put into JSON; what JSON has no word for (NaN, Infinity) is null."""
    if cell is None or cell in ("NaN", "Infinity", "-Infinity", "nan", "inf", "-inf"):
        return None
    return msgspec.Raw(cell.encode())
