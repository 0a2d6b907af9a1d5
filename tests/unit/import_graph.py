"""The imports between the modules of a source tree, read from the text and never by importing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "agentrace"


@dataclass(frozen=True, slots=True)
class Import:
    """``importer`` imports ``target``, both dotted module names."""

    importer: str
    target: str
    line: int
    within: str | None
    """The function it stands in, outermost first, dotted; None at the top of the module."""
    typing_only: bool
    """It stands under ``if TYPE_CHECKING`` and does not happen at run time."""
    dynamic: bool = False
    """It is a call of ``import_module`` or ``__import__`` with the name, or its beginning, spelt out."""


def module_name(file: Path, root: Path) -> str:
    """``journal/frames.py`` under ``root`` is ``agentrace.journal.frames``."""
    parts = (PACKAGE, *file.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(root: Path) -> list[Import]:
    """All imports of our own modules in the package whose directory is ``root``."""
    files = {module_name(file, root): file for file in sorted(root.rglob("*.py"))}
    found: list[Import] = []
    for name, file in files.items():
        reader = _Reader(name, file.name == "__init__.py", frozenset(files))
        reader.visit(ast.parse(file.read_text(), str(file)))
        found += reader.found
    return found


def cycles(edges: list[Import]) -> list[list[str]]:
    """The circles among imports that happen at run time: the modules on each, the first one repeated."""
    targets: dict[str, list[str]] = {}
    for edge in edges:
        if not edge.typing_only and edge.importer != edge.target:
            targets.setdefault(edge.importer, []).append(edge.target)
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            for target in targets.get(module, []):
                walk(target, [*path, module])
            done.add(module)

    for module in targets:
        walk(module, [])
    return found


class _Reader(ast.NodeVisitor):
    def __init__(self, module: str, is_package: bool, modules: frozenset[str]) -> None:
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.modules = modules
        self.found: list[Import] = []
        self.functions: list[str] = []
        self.typing_only = False

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.functions.append(node.name)
        self.generic_visit(node)
        self.functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        outer = self.typing_only
        self.typing_only = outer or "TYPE_CHECKING" in ast.unparse(node.test)
        for child in node.body:
            self.visit(child)
        self.typing_only = outer
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.note(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join([*above, *filter(None, [base])])
        for alias in node.names:
            submodule = f"{base}.{alias.name}"
            self.note(submodule if submodule in self.modules else base, node)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func).rpartition(".")[2]
        if called in ("import_module", "__import__") and node.args:
            for text in _leading_text(node.args[0]):
                self.note(text.rstrip("."), node, dynamic=True)
        self.generic_visit(node)

    def note(self, target: str, node: ast.stmt | ast.expr, *, dynamic: bool = False) -> None:
        if target.split(".")[0] == PACKAGE:
            within = ".".join(self.functions) or None
            self.found.append(Import(self.module, target, node.lineno, within, self.typing_only, dynamic=dynamic))


def _leading_text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
