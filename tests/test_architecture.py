"""The rules that keep the code in layers, enforced on the syntax trees of both packages (see CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FOLDERS: Mapping[str, str] = {"dgemma_lsp": "dgemma_lsp", "dgemma_model": "model"}
"""Import name → folder."""

PURE = ("text/regions/at_cursor.py", "fill/polish.py")

OUTSIDE_WORLD = frozenset(
    {"asyncio", "io", "logging", "os", "pathlib", "shutil", "socket", "subprocess", "tempfile"}
)
"""What a pure module does without."""

SPEAK_LSP = frozenset(
    {
        "lsp/actions.py",
        "lsp/completion.py",
        "lsp/documents.py",
        "lsp/to_lsp.py",
        "cli/main.py",
        "lsp/progress.py",
        "lsp/proofreading.py",
        "lsp/server.py",
        "lsp/serving.py",
    }
)
KNOW_THE_MODEL = frozenset({"engines/local.py", "cli/doctor.py"})


@dataclass(frozen=True)
class Module:
    """A source file: its place below the package's folder, its import name, its syntax tree."""

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

    def imports(self) -> frozenset[str]:
        """The absolute names of all modules it imports, anywhere in it, also by a call with a literal name."""
        return frozenset(name for node in ast.walk(self.tree) for name in self._imported(node))

    def roots(self) -> frozenset[str]:
        """The packages it imports from."""
        return frozenset(name.partition(".")[0] for name in self.imports())

    def _imported(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                origin = self._absolute(node)
                yield from (f"{origin}.{alias.name}" for alias in node.names)
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if _called(node) in (
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


def modules(package: str) -> list[Module]:
    folder = ROOT / FOLDERS[package]
    paths = sorted(folder.rglob("*.py"))
    assert paths, f"{folder} has no modules"
    return [
        Module(package, path.relative_to(folder).as_posix(), ast.parse(path.read_bytes(), str(path)))
        for path in paths
    ]


def _called(call: ast.Call) -> str:
    """The last name of what is called: ``compile`` for ``re.compile(…)``."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def source(text: str, path: str = "sample.py") -> Module:
    return Module("dgemma_lsp", path, ast.parse(text))


# Layers


def test_the_model_knows_nothing_of_lsp_or_of_the_product() -> None:
    above = {"dgemma_lsp", "pygls", "lsprotocol"}
    assert {m.name: m.roots() & above for m in modules("dgemma_model") if m.roots() & above} == {}


def test_only_the_local_engine_and_the_doctor_know_the_model() -> None:
    assert {m.path for m in modules("dgemma_lsp") if "dgemma_model" in m.roots()} <= KNOW_THE_MODEL


def test_the_product_imports_no_torch() -> None:
    heavy = {"torch", "transformers", "tokenizers", "safetensors", "bitsandbytes"}
    assert {m.name: m.roots() & heavy for m in modules("dgemma_lsp") if m.roots() & heavy} == {}


def test_lsp_types_stay_at_the_boundary() -> None:
    lsp = {"pygls", "lsprotocol"}
    assert {m.path for m in modules("dgemma_lsp") if m.roots() & lsp} <= SPEAK_LSP


@pytest.mark.parametrize("path", PURE)
def test_text_in_text_out(path: str) -> None:
    (module,) = [m for m in modules("dgemma_lsp") if m.path == path]
    assert module.roots() & OUTSIDE_WORLD == frozenset()
    calls = {_called(node) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
    assert calls & {"open", "print", "input"} == set()


@pytest.mark.parametrize("module", ["dgemma_lsp.cli.edit", "dgemma_lsp.lsp.server", "dgemma_lsp.cli.main"])
def test_starting_up_loads_no_torch(module: str) -> None:
    loaded = f"import sys, {module}; print(*sorted({{'torch', 'transformers', 'dgemma_model'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


# State


ANNOTATED_READ_ONLY = frozenset({"Mapping", "Sequence", "Collection", "Set", "AbstractSet", "Iterable"})
"""A display with such a type can be trusted: mypy refuses to change it."""

MUTABLE_CONTAINERS = frozenset(
    {
        "list",
        "dict",
        "set",
        "bytearray",
        "defaultdict",
        "deque",
        "Counter",
        "OrderedDict",
        "ChainMap",
        "array",
    }
    | {
        "WeakKeyDictionary",
        "WeakValueDictionary",
        "WeakSet",
        "Queue",
        "Lock",
        "RLock",
        "Event",
        "ContextVar",
        "count",
    }
)
IMMUTABLE_CALLS = frozenset(
    {"TypeVar", "ParamSpec", "NewType", "getLogger", "namedtuple", "frozenset", "tuple"}
)
"""What may be bound to a name that is not in capitals, besides types."""

DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)


def mutable_state(module: Module) -> list[str]:
    """Why a module has state, or may have; nothing if it has none.

    A module-level name may hold a constant, a tuple, a type, a function. A list, dict or set only with a read-only
    annotation (``Mapping[…]``, ``Sequence[…]``, …) or wrapped (``tuple``, ``frozenset``, ``MappingProxyType``). What a
    call returns only under a name in capitals, which says that nobody changes it. No ``global``, no ``+=``.
    """
    bindings = [reason for statement in _module_level(module.tree.body) for reason in _stateful(statement)]
    rebinding = [f"global {', '.join(n.names)}" for n in ast.walk(module.tree) if isinstance(n, ast.Global)]
    return bindings + rebinding


def _module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import, those under ``if``, ``try``, ``with`` and ``for`` too."""
    for statement in body:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for inner in ("body", "orelse", "finalbody"):
                yield from _module_level(getattr(statement, inner, []))
            for handler in getattr(statement, "handlers", []):
                yield from _module_level(handler.body)


def _stateful(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.AugAssign():
            return [f"{ast.unparse(statement.target)} is changed after it was bound"]
        case ast.Assign(targets=targets, value=value):
            return [f"{name} {why}" for name in map(ast.unparse, targets) if (why := _mutable(name, value))]
        case ast.AnnAssign(target=target, annotation=annotation, value=ast.expr() as value):
            if _annotated_read_only(annotation):
                return []
            return [f"{ast.unparse(target)} {why}" for why in [_mutable(ast.unparse(target), value)] if why]
    return []


def _annotated_read_only(annotation: ast.expr) -> bool:
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return ast.unparse(outer).rpartition(".")[2] in ANNOTATED_READ_ONLY


def _mutable(name: str, value: ast.expr) -> str:
    """Why binding this value to this name makes state; empty if it does not."""
    if name == "__all__":
        return ""
    match value:
        case ast.Tuple(elts=parts):
            return next(filter(None, (_mutable(name, part) for part in parts)), "")
        case ast.Call() if (called := _called(value)) in MUTABLE_CONTAINERS:
            return f"is a {called}"
        case ast.Call() if not name.isupper() and _called(value) not in IMMUTABLE_CALLS:
            return "holds the result of a call, and its name is not in capitals"
        case _ if isinstance(value, DISPLAYS):
            return f"is a mutable {type(value).__name__}"
    return ""


@pytest.mark.parametrize("package", FOLDERS)
def test_no_module_level_state(package: str) -> None:
    assert {m.name: reasons for m in modules(package) if (reasons := mutable_state(m))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "LIMIT = 3",
        "KINDS = ('a', 'b')",
        "KINDS = frozenset({'a', 'b'})",
        "_TABLE = MappingProxyType({'a': 1})",
        "_TABLE: Mapping[str, int] = {'a': 1}",
        "_TABLE: Final[int] = 3",
        "LINE = re.compile('a')",
        "DEFAULTS = Settings()",
        "log = logging.getLogger(__name__)",
        "T = TypeVar('T')",
        "Cancelled = Callable[[], bool]",
        "__all__ = ['a']",
        "def f():\n    cache = {}",
    ],
)
def test_these_are_not_state(text: str) -> None:
    assert mutable_state(source(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "cache = {}",
        "CACHE = {}",
        "CACHE: dict[str, int] = {'a': 1}",
        "names: list[str] = []",
        "NAMES = [n for n in range(3)]",
        "PAIR = (1, [])",
        "server = LanguageServer()",
        "PENDING = deque()",
        "if True:\n    cache = {}",
        "try:\n    pass\nexcept ValueError:\n    cache = {}",
        "N = 1\nN += 1",
        "def f():\n    global N\n    N = 1",
    ],
)
def test_these_are_state(text: str) -> None:
    assert len(mutable_state(source(text))) == 1


# The tools of this test, and the packaging


@pytest.mark.parametrize(
    ("text", "path", "imported"),
    [
        ("import torch.nn as nn", "cli.py", "torch.nn"),
        ("from torch import nn", "cli.py", "torch.nn"),
        ("def f():\n    from pygls import server", "cli.py", "pygls.server"),
        ("from . import edits", "cli.py", "dgemma_lsp.edits"),
        ("from .base import Engine", "engines/local.py", "dgemma_lsp.engines.base.Engine"),
        ("from .base import Engine", "engines/__init__.py", "dgemma_lsp.engines.base.Engine"),
        ("from ..edits import diff", "engines/local.py", "dgemma_lsp.edits.diff"),
        ("importlib.import_module('torch.nn')", "cli.py", "torch.nn"),
    ],
)
def test_every_way_to_import_is_seen(text: str, path: str, imported: str) -> None:
    assert source(text, path).imports() == {imported}


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    found = {m.name if m.is_package else m.name.rpartition(".")[0] for p in FOLDERS for m in modules(p)}
    assert set(listed) == found
