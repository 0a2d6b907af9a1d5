"""Every module imports only what ARCHITECTURE.md's table allows, in no circle, and at the top of its file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.import_graph import PACKAGE, Import, cycles, imports

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / PACKAGE

LOADED_BY_NAME = {
    f"{PACKAGE}.canonical.foreign": "what takes values of a library apart is loaded with the first of them",
    f"{PACKAGE}.capture.hearing": "what listens to logs and output is loaded where a setting asks for it",
    f"{PACKAGE}.cli": "a command's module is loaded when that command runs",
    f"{PACKAGE}.integrations": "an integration is found by its file's name",
    f"{PACKAGE}.pytest_plugin": "a test run that uses no trace pays for the hooks only",
}
"""Packages, and modules, that may load modules of their own package by name when they run, with the reason."""


def layers(architecture: str) -> dict[str, tuple[str, ...]]:
    """The table of ARCHITECTURE.md: each row's package and what it may import, in the table's order."""
    table = re.search(r"^\| package \|.*\n\| -.*\n((?:\|.*\n)+)", architecture, re.MULTILINE)
    assert table, "ARCHITECTURE.md has no table whose first column is headed `package`"
    rows: dict[str, tuple[str, ...]] = {}
    for line in table[1].splitlines():
        package, _, allowed = (cell.strip() for cell in line.strip("|").split("|"))
        rows[package] = tuple(_named(allowed, tuple(rows)))
    return rows


def _named(allowed: str, above: tuple[str, ...]) -> Iterator[str]:
    if allowed.startswith("all above"):
        yield from (row for row in above if row != allowed.removeprefix("all above except "))
    elif allowed != "nothing":
        yield from allowed.split(", ")


def row_of(module: str) -> str:
    """``agentrace.journal.frames`` belongs to row ``journal``, the package's own ``__init__`` to itself."""
    return module.split(".")[1] if "." in module else module


def wrong_order(table: dict[str, tuple[str, ...]]) -> list[str]:
    rows = list(table)
    return [
        f"{row} may import {name}, which is no row above it"
        for row, allowed in table.items()
        for name in allowed
        if name.split(".")[0] not in rows[: rows.index(row)]
    ]


def wrong_layers(edges: list[Import], table: dict[str, tuple[str, ...]]) -> list[str]:
    return [
        f"{edge.importer}:{edge.line} imports {edge.target}, and {row_of(edge.importer)} may not"
        for edge in edges
        if not _allowed(edge, table)
    ]


def _allowed(edge: Import, table: dict[str, tuple[str, ...]]) -> bool:
    importer, target = row_of(edge.importer), edge.target.removeprefix(f"{PACKAGE}.")
    if importer not in table:
        return False
    named = (importer, *table[importer])
    return any(target == name or target.startswith(f"{name}.") for name in named)


def wrong_places(edges: list[Import]) -> list[str]:
    return [
        f"{edge.importer}:{edge.line} imports {edge.target} inside {edge.within}"
        for edge in edges
        if edge.within and not _may_load_late(edge)
    ]


def _may_load_late(edge: Import) -> bool:
    if edge.importer == PACKAGE:
        return edge.within == "__getattr__"
    package = ".".join(edge.importer.split(".")[:2])
    may = any(edge.importer == name or edge.importer.startswith(f"{name}.") for name in LOADED_BY_NAME)
    return edge.dynamic and may and edge.target.startswith(package)


def without_row(source: Path, table: dict[str, tuple[str, ...]]) -> list[str]:
    tops = {path.stem if path.is_file() else path.name for path in source.iterdir() if _is_code(path)}
    return sorted(tops - {"__init__"} - set(table))


def _is_code(path: Path) -> bool:
    return path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))


# --- the tree -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> dict[str, tuple[str, ...]]:
    return layers((ROOT / "ARCHITECTURE.md").read_text())


@pytest.fixture(scope="module")
def edges() -> list[Import]:
    return imports(SOURCE)


def test_the_table_goes_down_only(table: dict[str, tuple[str, ...]]) -> None:
    assert wrong_order(table) == []


def test_every_package_has_a_row(table: dict[str, tuple[str, ...]]) -> None:
    assert without_row(SOURCE, table) == []


def test_modules_import_only_what_their_row_allows(edges: list[Import], table: dict[str, tuple[str, ...]]) -> None:
    assert wrong_layers(edges, table) == []


def test_no_modules_import_each_other_in_a_circle(edges: list[Import]) -> None:
    assert [" -> ".join(cycle) for cycle in cycles(edges)] == []


def test_our_own_modules_are_imported_at_the_top(edges: list[Import]) -> None:
    assert wrong_places(edges) == []


# --- the checks bite ----------------------------------------------------------------------------------------

TABLE = """
| package | what it is | may import |
| --- | --- | --- |
| errors | - | nothing |
| facts | - | errors |
| hooks | - | errors, facts |
| store | - | errors, hooks.pure |
| agentrace | - | all above |
| cli | - | all above |
| testing | - | all above except cli |
"""


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


class Planted:
    """A small package in good order, and what the checks find in it once a file is planted."""

    def __init__(self, root: Path) -> None:
        self.root = root / PACKAGE
        self.table = layers(TABLE)
        self.write(
            "__init__.py",
            "def __getattr__(n):\n    import importlib\n    importlib.import_module('agentrace.store')",
        )
        self.write("errors.py", "")
        self.write("facts.py", "from agentrace.errors import Wrong")
        self.write("hooks/__init__.py", "from agentrace.hooks.call import call")
        self.write("hooks/call.py", "from agentrace import facts")
        self.write("hooks/pure.py", "")
        self.write("store.py", "from agentrace.hooks import pure\nimport agentrace.errors")
        self.write("cli/__init__.py", "def main(n):\n    __import__(f'agentrace.cli.{n}')")
        self.write("testing.py", "from agentrace import store, facts")

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def found(self) -> list[str]:
        edges = imports(self.root)
        return [
            *wrong_order(self.table),
            *without_row(self.root, self.table),
            *wrong_layers(edges, self.table),
            *(" -> ".join(cycle) for cycle in cycles(edges)),
            *wrong_places(edges),
        ]


def test_a_package_in_good_order_passes(planted: Planted) -> None:
    assert planted.found() == []


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        (
            "facts.py",
            "import agentrace.store",
            "agentrace.facts:1 imports agentrace.store, and facts may not",
        ),
        ("facts.py", "from . import store", "agentrace.facts:1 imports agentrace.store, and facts may not"),
        (
            "hooks/call.py",
            "from ..cli import main",
            "agentrace.hooks.call:1 imports agentrace.cli, and hooks may not",
        ),
        (
            "hooks/call.py",
            "from agentrace import run",
            "agentrace.hooks.call:1 imports agentrace, and hooks may not",
        ),
        (
            "facts.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from agentrace.store import Run",
            "agentrace.facts:3 imports agentrace.store, and facts may not",
        ),
        (
            "store.py",
            "import agentrace.hooks",
            "agentrace.store:1 imports agentrace.hooks, and store may not",
        ),
        (
            "testing.py",
            "import agentrace.cli",
            "agentrace.testing:1 imports agentrace.cli, and testing may not",
        ),
        ("hooks/pure.py", "from agentrace.hooks import call", None),
        (
            "hooks/call.py",
            "from agentrace import hooks",
            "agentrace.hooks -> agentrace.hooks.call -> agentrace.hooks",
        ),
        (
            "hooks/call.py",
            "def call():\n    from agentrace import errors",
            "agentrace.hooks.call:2 imports agentrace.errors inside call",
        ),
        (
            "hooks/call.py",
            "class A:\n    async def b(self):\n        importlib.import_module('agentrace.errors')",
            "agentrace.hooks.call:3 imports agentrace.errors inside b",
        ),
        (
            "hooks/call.py",
            "__import__('agentrace.store')",
            "agentrace.hooks.call:1 imports agentrace.store, and hooks may not",
        ),
        (
            "cli/__init__.py",
            "def main():\n    __import__('agentrace.store')",
            "agentrace.cli:2 imports agentrace.store inside main",
        ),
        ("extra/deep/part.py", "", "extra"),
    ],
)
def test_a_planted_violation_is_found(planted: Planted, name: str, text: str, finding: str | None) -> None:
    planted.write(name, text)

    assert planted.found() == ([finding] if finding else [])


def test_a_type_only_circle_within_a_package_is_none(planted: Planted) -> None:
    planted.write(
        "hooks/call.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from agentrace.hooks import x",
    )

    assert planted.found() == []


def test_a_table_that_goes_up_is_found() -> None:
    assert wrong_order(layers(TABLE.replace("errors | - | nothing", "errors | - | store"))) == [
        "errors may import store, which is no row above it"
    ]
