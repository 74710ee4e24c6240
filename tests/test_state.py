"""No module of the packages holds state: what it binds when it is imported stays as it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.modules import INSTALLED, Module, called, read_modules, source

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
        case ast.Call() if (kind := called(value)) in MUTABLE_CONTAINERS:
            return f"is a {kind}"
        case ast.Call() if not name.isupper() and called(value) not in IMMUTABLE_CALLS:
            return "holds the result of a call, and its name is not in capitals"
        case _ if isinstance(value, DISPLAYS):
            return f"is a mutable {type(value).__name__}"
    return ""


@pytest.mark.parametrize("package", INSTALLED)
def test_no_module_level_state(package: str) -> None:
    assert {m.name: reasons for m in read_modules(package) if (reasons := mutable_state(m))} == {}


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
