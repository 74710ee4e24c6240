"""The repository's Python modules as syntax trees, and what they import: for tests of how the code is put together."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

INSTALLED: Mapping[str, str] = {"dgemma_lsp": "dgemma_lsp", "dgemma_model": "model"}
"""The folder of each package that is installed, by its import name."""

BESIDE: Mapping[str, str] = {"bench": "bench", "tools": "tools"}
"""The folder of each package that is used from the repository only."""

FOLDERS: Mapping[str, str] = {**INSTALLED, **BESIDE}


@dataclass(frozen=True)
class Module:
    """A source file: its package, its path below the package's folder, and its syntax tree."""

    package: str
    path: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @property
    def name(self) -> str:
        parts = self.path.removesuffix(".py").removesuffix("__init__").strip("/").split("/")
        return ".".join([self.package, *filter(None, parts)])

    def imports(self, types_too: bool = True) -> frozenset[str]:
        """The absolute names of everything it imports, inside functions too, and by calls with a literal name.

        Args:
            types_too: whether to count what it imports only for type checkers.
        """
        nodes = ast.walk(self.tree) if types_too else _executed(self.tree)
        return frozenset(name for node in nodes for name in self._imported(node))

    def _imported(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                origin = self._absolute(node)
                yield from (f"{origin}.{alias.name}" for alias in node.names)
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if called(node) in (
                "import_module",
                "__import__",
            ):
                yield name

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parents = self.name.split(".")
        base = parents[: len(parents) - node.level + self.is_package]
        return ".".join([*base, *filter(None, [node.module])])


def read_modules(*packages: str) -> list[Module]:
    """All modules of these packages, read from the repository."""
    return [module for package in packages for module in _read(package, ROOT / FOLDERS[package])]


def _read(package: str, folder: Path) -> list[Module]:
    paths = sorted(folder.rglob("*.py"))
    assert paths, f"{folder} has no modules"
    return [
        Module(package, path.relative_to(folder).as_posix(), ast.parse(path.read_bytes(), str(path)))
        for path in paths
    ]


def source(text: str, path: str = "sample.py", package: str = "dgemma_lsp") -> Module:
    """A module for a test of a rule."""
    return Module(package, path, ast.parse(text))


def called(call: ast.Call) -> str:
    """The last name of what is called: ``compile`` for ``re.compile(…)``."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def within(name: str, packages: Iterable[str]) -> bool:
    """Whether a dotted name is one of these modules or packages, or lies in one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads."""
    yield node
    if isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
        children: Iterable[ast.AST] = node.orelse
    else:
        children = ast.iter_child_nodes(node)
    for child in children:
        yield from _executed(child)
