"""``agentrace doctor``: whether recording works here, with what settings, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from agentrace.cli.escaping import cells, json_text, plain
from agentrace.cli.examination import Examination, Finding, examine
from agentrace.cli.opening import home_option
from agentrace.cli.terminal import Terminal, terminal, write
from agentrace.cli.units import counted, size

_MARKS = {"ok": ("✓", "+", "green"), "note": ("•", "-", "dim"), "warning": ("!", "!", "yellow")}
_MARKS["problem"] = ("✗", "x", "red")


@click.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, home: Path | None, as_json: bool) -> None:
    """Tell whether recording works here, and with what settings.

    Looks at the interpreter, the store and its file system, the libraries that are known, what PATH leads to,
    and every setting with the place it comes from. The exit code is 1 if a program started here would not be
    recorded.

    \b
    Example:
      agentrace doctor
      agentrace doctor --json | jq .settings
    """
    found = examine(home)
    write([json_text(found)] if as_json else examination_lines(found, terminal()))
    if not found.able_to_record:
        ctx.exit(1)


def examination_lines(found: Examination, to: Terminal) -> Iterator[str]:
    """What was found, in sections."""
    yield f"{to.paint('agentrace', 'bold')} {found.version}"
    yield from _section("interpreter", found.interpreter, to)
    yield from _section("store", found.store, to)
    kept_as = f", format {found.store_format}" if found.store_format else ""
    yield f"    {counted(found.runs, 'run')}, {size(found.store_size)}{kept_as}"
    if found.left_over:
        yield f"    {size(found.left_over)} of it belong to no run; `agentrace gc` tells what"
    yield from _section("commands", found.commands, to)
    yield from _section("libraries", found.libraries, to)
    yield ""
    yield to.paint("settings", "bold")
    names = max(len(setting.name) for setting in found.settings)
    values = [plain(json_text(setting.value)) for setting in found.settings]
    widest = min(40, max(map(cells, values)))
    for setting, value in zip(found.settings, values, strict=True):
        space = " " * max(0, widest - cells(value))
        yield f"    {setting.name:{names}}  {value}{space}  {to.paint(plain(setting.source), 'dim')}"
    yield ""
    if found.able_to_record:
        yield to.paint("A program that is started here will be recorded.", "green")
    else:
        yield to.paint("A program that is started here will NOT be recorded.", "red")


def _section(title: str, findings: list[Finding], to: Terminal) -> Iterator[str]:
    yield ""
    yield to.paint(title, "bold")
    for finding in findings:
        drawn, ascii_only, colour = _MARKS[finding.level]
        yield f"  {to.paint(to.either(drawn, ascii_only), colour)} {plain(finding.text)}"
        if finding.do:
            yield f"      what to do: {plain(finding.do)}"
