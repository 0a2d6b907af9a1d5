"""docs/querying.md: how many runs are looked at, with every view and column of the index."""

from __future__ import annotations

from collections.abc import Iterator

from agentrace.index.describing import View, described

HEAD = """# Looking at many runs

`agentrace show` reads one run straight from its record. What looks at many of them reads an index: a DuckDB file in the
store, `index.duckdb`, which every command brings up to date first. It holds nothing of its own: delete it and the next
command makes it again, as `agentrace reindex` does.

## Finding runs

```python file=agent.py
import agentrace


@agentrace.tool
def charge_card(amount: int) -> str:
    if amount > 100:
        raise ValueError("insufficient funds")
    return "paid"


for amount in (12, 250):
    with agentrace.run("checkout"):
        try:
            charge_card(amount)
        except ValueError:
            pass
```

```console continues
$ agentrace run python agent.py
...
$ agentrace ls --name checkout --text 'insufficient funds' --since today
run ...
... checkout ...
1 run among ... in ...
```

Filters are combined, and are the same for `ls`, `search`, `top` and `stats`, and for `rm`, `archive`, `restore`, `export`
and `verify`: a run has to pass all of them. They look at every run, also at those of child processes and jobs, and `ls`
says where these belong.

| value | is |
| --- | --- |
| a time | `2h`, `3d` (so long ago), `today`, `yesterday`, `2026-11-20`, `2026-11-20T14:30`; in the local time zone |
| `--older-than` | an age: `90s`, `15min`, `12h`, `30d`, `8w`; the same as `--until` with it |
| a range | `'>1000'`, `'>='`, `'<'`, `'<='`, `'1000..5000'`, a number alone; counts may end in `k` or `M`, durations have a unit |
| `--name`, `--model` | a part of the name, or a pattern with `*`, `?` or `[...]` for all of it; case makes no difference |
| `--workflow`, `--agent`, `--session`, `--project` | all of the name, or such a pattern |
| `--status`, `--kind` | one of the words that `--help` lists, or several with commas between them |
| `--failed` | in place of `--status failed,aborted,interrupted,unreadable` |
| `--text` | a text as it is, in what went into steps, came out, failed or was noted |

## Finding texts

```console continues
$ agentrace search 'INSUFFICIENT funds'
... checkout  tool charge_card  error
  ...»insufficient funds«...
1 hit
```

A text is looked for as it is, whatever characters are in it, and case makes no difference without `--case`. Values are
kept as JSON, so a text with quotes or line ends is found in its escaped spelling, too. `--regex` takes a regular expression
of [RE2](https://github.com/google/re2/wiki/Syntax), which is matched with texts as they are kept. What a conversation
repeats in each request is found once, in the step that said it first. The exit code is 1 if nothing is found.

## Sums

`agentrace top` shows the steps that took the longest together, `top tokens` those that used most tokens and `top failing`
those that failed most; `--by` says what is one row, and `--by step` lists single steps. `agentrace stats` sums up the
store.

```console continues
$ agentrace top failing
name         kind  count  failed   rate  last  last error
charge_card  tool      2       1  50.0%  ...  ValueError: insufficient funds
```

## SQL

```console continues
$ agentrace sql "select name, status, count(*) as steps from steps group by all order by all"
name         status  steps
charge_card  failed      1
charge_card  ok          1
$ agentrace sql 'select name from runs where steps > $least' -p least=0 --json
{"name":"checkout"}
{"name":"checkout"}
```

One SELECT is answered, in the SQL of [DuckDB](https://duckdb.org/docs/stable/sql/introduction). Nothing else is in its
reach: it changes nothing, reads no file and loads no extension. `--json` prints one object for each row and `--csv` and
`--parquet` what they say; `-o` names a file, and a name that ends in `.json`, `.csv` or `.parquet` says the same.
`--from shop.agentrace` asks a trace file in place of the store.

Times are UTC and without a zone: compare them with `now() at time zone 'UTC'`. `run_id` is a UUID, as `ls --json` prints
it: `where run_id = '01a1f910-f300-7000-8000-000000000001'`. The table of `ls` has its beginning without hyphens, which is
`replace(run_id::varchar, '-', '') like '01a1f910f3%'`. NULL stands where a record does not tell. Any program may read `index.duckdb` while no agentrace command
writes it; while one keeps it open, commands tell what they know `as of` the moment before.

## Names

A thing has one name here, in `--json` and in [Python](python-api.md): `run_id`, `step_id`, `parent_run_id`, `started`,
`status`, `error`, `model`, `input_tokens`. A number of time says its unit (`duration_s`, `duration_ns`, `started_ts` in
Unix nanoseconds); without one it is a time or a duration of its own type. `--json` has durations in nanoseconds and times
as text. `error` is an exception in one line, `exception` all of it. What is a list in Python and JSON (`steps`,
`exchanges`, `notes`) is a count in SQL.

## Views

Columns are only ever added. What a step was given is in `input` up to 200 characters, and whole in `texts`.
"""


def querying_page() -> str:
    """The page, without its first line."""
    views = described()
    return HEAD + "".join(_sections([view for view in views if not view.of_event])) + _of_events(views)


def _sections(views: list[View]) -> Iterator[str]:
    for view in views:
        rows = "".join(f"| `{column.name}` | {column.type} | {_cell(column.comment)} |\n" for column in view.columns)
        yield f"\n### {view.name}\n\n{view.comment}\n\n| column | type | |\n| --- | --- | --- |\n{rows}"


def _of_events(views: list[View]) -> str:
    rows = "".join(
        f"| `{view.name}` | {_cell(view.comment)} | {', '.join(f'`{column.name}`' for column in view.columns[4:])} |\n"
        for view in views
        if view.of_event
    )
    return (
        "\n### Events\n\nEach type of event has a view with `run_id`, `seq`, `step_id`, `time` and its own fields, which the"
        " [trace specification](02-canonical-trace-spec.md) explains.\n\n"
        f"| view | what happened | fields |\n| --- | --- | --- |\n{rows}"
    )


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")
