"""The rules that keep the code in layers, enforced on its syntax trees (see CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.modules import BESIDE, FOLDERS, INSTALLED, ROOT, Module, called, read_modules, source, within

LSP = ("pygls", "lsprotocol")
HEAVY = ("torch", "transformers", "tokenizers", "safetensors", "bitsandbytes")

CONTRACT = ("dgemma_model.protocol", "dgemma_model.errors")
"""What the product knows of the model."""

PIPE = "dgemma_model.pipe"
KNOW_MORE: Mapping[str, str] = {
    "dgemma_lsp.engines.local": "dgemma_model.worker",
    "dgemma_lsp.engines.worker_process": PIPE,
}
"""What else some know of it: one runs the worker in its own process, the other talks to it through a pipe."""

OUTSIDE_WORLD = (
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib.Path",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
)
"""What a pure module does without."""

PURE = (
    "dgemma_lsp.text",
    *(f"dgemma_lsp.fill.{name}" for name in ("context", "overlap", "polish", "rejection", "syntax_errors")),
)

MOST_LINES = 450


def offences(modules: Iterable[Module], forbidden: Sequence[str]) -> dict[str, set[str]]:
    """What modules import of the packages that are forbidden to them, by module."""
    found = {m.name: {name for name in m.imports() if within(name, forbidden)} for m in modules}
    return {module: names for module, names in found.items() if names}


# The model


def test_the_model_knows_nothing_of_lsp_or_of_the_product() -> None:
    assert offences(read_modules("dgemma_model"), ("dgemma_lsp", *LSP)) == {}


def test_a_model_that_knows_the_product_is_found() -> None:
    curious = source("def f():\n    from dgemma_lsp.text import lines", "worker.py", "dgemma_model")
    assert offences([curious], ("dgemma_lsp", *LSP)) == {"dgemma_model.worker": {"dgemma_lsp.text.lines"}}
    assert offences([source("import dgemma_lsprotocol")], ("dgemma_lsp",)) == {}


def beyond_the_contract(modules: Iterable[Module]) -> dict[str, set[str]]:
    """What modules of the product import of the model, besides the contract and what else they may know."""
    found = {}
    for module in modules:
        known = (*CONTRACT, KNOW_MORE.get(module.name, CONTRACT[0]))
        foreign = {name for name in module.imports() if within(name, ["dgemma_model"])}
        found[module.name] = {name for name in foreign if not within(name, known)}
    return {module: names for module, names in found.items() if names}


def test_the_product_knows_the_model_by_its_contract() -> None:
    assert beyond_the_contract(read_modules("dgemma_lsp")) == {}


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ("from dgemma_model import protocol", "fill/pipeline.py", set()),
        ("from dgemma_model.protocol import Fill", "fill/pipeline.py", set()),
        ("from dgemma_model.worker import load", "engines/local.py", set()),
        (
            "from dgemma_model.worker import load",
            "fill/pipeline.py",
            {"dgemma_model.worker.load"},
        ),
        ("from dgemma_model.pipe import Sender", "engines/worker_process.py", set()),
        ("from dgemma_model.pipe import Sender", "engines/local.py", {"dgemma_model.pipe.Sender"}),
        ("from dgemma_model.fill import infiller", "engines/local.py", {"dgemma_model.fill.infiller"}),
        ("import dgemma_model", "fill/pipeline.py", {"dgemma_model"}),
    ],
)
def test_what_goes_beyond_the_contract_is_found(text: str, path: str, found: set[str]) -> None:
    assert set().union(*beyond_the_contract([source(text, path)]).values()) == found


def unusual_needs(modules: Iterable[Module]) -> dict[str, set[str]]:
    """What modules import besides the standard library and the contract."""
    known = (*CONTRACT, *sys.stdlib_module_names)
    found = {m.name: {name for name in m.imports() if not within(name, known)} for m in modules}
    return {module: names for module, names in found.items() if names}


def test_the_contract_needs_nothing_but_the_standard_library() -> None:
    contract = [m for m in read_modules("dgemma_model") if within(m.name, (*CONTRACT, PIPE))]
    assert {m.name for m in contract} >= set(CONTRACT)
    assert unusual_needs(contract) == {}


def test_a_contract_that_needs_more_is_found() -> None:
    contract = source("import json\nimport torch\nfrom dgemma_model.errors import ModelError", "protocol.py")
    assert unusual_needs([contract]) == {"dgemma_lsp.protocol": {"torch"}}


# The product


def test_the_product_imports_no_torch() -> None:
    assert offences(read_modules("dgemma_lsp"), HEAVY) == {}


LOADED = """
import sys
print(*sorted(name for name in sys.modules if name.split(".")[0] in {heavy}
      or name.startswith("dgemma_model.") and name not in {contract}))
"""


def loaded_by(module: str) -> list[str]:
    """What an import loads of torch and its like, and of the model besides the contract."""
    script = f"import {module}{LOADED.format(heavy=HEAVY, contract=(*CONTRACT, PIPE))}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize("module", ["dgemma_lsp.cli.edit", "dgemma_lsp.lsp.server", "dgemma_lsp.cli.main"])
def test_starting_up_loads_no_torch(module: str) -> None:
    assert loaded_by(module) == []


def test_a_module_that_loads_more_is_found() -> None:
    assert {"dgemma_model.tokenizer", "tokenizers"} <= set(loaded_by("dgemma_model.tokenizer"))


def test_lsp_types_stay_at_the_boundary() -> None:
    inner = [m for m in read_modules("dgemma_lsp") if not within(m.name, ["dgemma_lsp.lsp"])]
    assert offences(inner, LSP) == {}


def test_lsp_types_elsewhere_are_found() -> None:
    inner = source("def f():\n    from lsprotocol.types import Range", "text/edits.py")
    assert offences([inner], LSP) == {"dgemma_lsp.text.edits": {"lsprotocol.types.Range"}}


def impurities(modules: Iterable[Module]) -> dict[str, set[str]]:
    """What makes modules more than functions of text: imports and calls that reach the outside world."""
    found = offences([m for m in modules if not _reads_what_is_beside_it(m)], OUTSIDE_WORLD)
    for module in modules:
        calls = {called(node) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
        if reaching := calls & {"open", "print", "input"}:
            found[module.name] = found.get(module.name, set()) | reaching
    return found


def _reads_what_is_beside_it(module: Module) -> bool:
    """Whether every path in a module begins with ``Path(__file__)``, and it reaches for nothing else outside."""
    nodes = list(ast.walk(module.tree))
    paths = [node for node in nodes if isinstance(node, ast.Name) and node.id == "Path"]
    own = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node) == "Path(__file__)"]
    reaches = {name for name in module.imports() if within(name, OUTSIDE_WORLD)}
    return reaches == {"pathlib.Path"} and 0 < len(paths) == len(own)


def test_text_in_text_out() -> None:
    pure = [module for module in read_modules("dgemma_lsp") if within(module.name, PURE)]
    assert {name for name in PURE if not any(within(m.name, [name]) for m in pure)} == set()
    assert impurities(pure) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os.path", {"os.path"}),
        ("def f(path):\n    return open(path)", {"open"}),
        ("from pathlib import Path, PurePosixPath", {"pathlib.Path"}),
        ("from pathlib import PurePosixPath", set()),
        ("from pathlib import Path\nTABLE = Path(__file__).with_name('languages.toml')", set()),
        ("from pathlib import Path\nHERE = Path(__file__)\nTHERE = Path('x')", {"pathlib.Path"}),
    ],
)
def test_a_reach_into_the_outside_world_is_found(text: str, found: set[str]) -> None:
    assert set().union(*impurities([source(text)]).values()) == found


# All packages


def test_what_is_installed_does_without_the_rest_of_the_repository() -> None:
    assert offences(read_modules(*INSTALLED), ("tests", *BESIDE)) == {}


def test_nothing_outside_tests_imports_tests() -> None:
    assert offences(read_modules(*BESIDE), ("tests",)) == {}


def test_an_import_of_tests_is_found() -> None:
    borrowing = source("from tests.lsp import client", "serving.py", "bench")
    assert offences([borrowing], ("tests", *BESIDE)) == {"bench.serving": {"tests.lsp.client"}}


Graph = Mapping[str, set[str]]
"""What each module, or each folder, imports of the others."""


def imports_among(modules: Sequence[Module]) -> Graph:
    """What these modules import of each other, inside functions too."""
    names = frozenset(module.name for module in modules)
    return {
        module.name: {
            known
            for name in module.imports(types_too=False)
            if (known := _module_of(name, names)) is not None
        }
        for module in modules
    }


def _module_of(name: str, modules: frozenset[str]) -> str | None:
    """The module that an imported name is or comes from; None for one of another package."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def circles(graph: Graph) -> list[tuple[str, ...]]:
    """Those that import each other in a circle, each circle sorted."""
    reached = {name: _reached(graph, name) for name in graph}
    rounds = {tuple(sorted(other for other in reached[name] if name in reached[other])) for name in graph}
    return sorted(names for names in rounds if names)


def _reached(graph: Graph, start: str) -> set[str]:
    """Everything that an import leads to, directly or not."""
    found: set[str] = set()
    pending = list(graph[start])
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += graph[name]
    return found


def by_folder(graph: Graph) -> Graph:
    """The same among the folders of the packages; a module that lies in none of them stands for itself."""
    folders: dict[str, set[str]] = {}
    for name, imported in graph.items():
        own = _folder(name)
        folders.setdefault(own, set()).update(folder for folder in map(_folder, imported) if folder != own)
    return folders


def _folder(name: str) -> str:
    return ".".join(name.split(".")[:2])


def test_no_modules_import_each_other() -> None:
    assert circles(imports_among(read_modules(*FOLDERS))) == []


def test_no_folders_import_each_other() -> None:
    installed = imports_among(read_modules(*INSTALLED))
    assert circles(by_folder(installed)) == []


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ({"a": "from pkg import b", "b": ""}, []),
        ({"a": "from pkg import b", "b": "from pkg.a import f"}, [("pkg.a", "pkg.b")]),
        (
            {"a": "from . import b", "b": "import pkg.c", "c": "from .a import f"},
            [("pkg.a", "pkg.b", "pkg.c")],
        ),
        ({"a": "from pkg import b", "b": "def f():\n    from pkg.a import g"}, [("pkg.a", "pkg.b")]),
        ({"a": "import pkg.a"}, [("pkg.a",)]),
        ({"a": "from pkg import b", "b": "if TYPE_CHECKING:\n    from pkg.a import f"}, []),
        (
            {
                "a": "from pkg import b",
                "b": "if typing.TYPE_CHECKING:\n    import pkg.a\nelse:\n    import c",
            },
            [],
        ),
        (
            {"a": "import pkg.b", "b": "import pkg.a", "c": "import pkg.d", "d": "import pkg.c"},
            [("pkg.a", "pkg.b"), ("pkg.c", "pkg.d")],
        ),
    ],
)
def test_circles_are_found(texts: Mapping[str, str], found: list[tuple[str, ...]]) -> None:
    modules = [source(text, f"{name}.py", "pkg") for name, text in texts.items()]
    assert circles(imports_among(modules)) == found


def test_circles_of_folders_are_found() -> None:
    texts = {
        "fill/a": "import pkg.text.a",
        "text/a": "",
        "text/b": "def f():\n    import pkg.fill.b",
        "fill/b": "",
    }
    graph = imports_among([source(text, f"{name}.py", "pkg") for name, text in texts.items()])
    assert circles(graph) == []
    assert circles(by_folder(graph)) == [("pkg.fill", "pkg.text")]


def long_files(folders: Iterable[Path], root: Path = ROOT) -> dict[str, int]:
    """The lines of each source file that has too many of them, by its path below the root."""
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".c", ".h")]
    lengths = {path.relative_to(root).as_posix(): path.read_bytes().count(b"\n") for path in files}
    return {name: lines for name, lines in lengths.items() if lines > MOST_LINES}


def test_no_file_is_too_long() -> None:
    assert long_files(ROOT / folder for folder in FOLDERS.values()) == {}


def test_a_long_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text("\n" * MOST_LINES)
    (tmp_path / "long.h").write_text("\n" * (MOST_LINES + 1))
    assert long_files([tmp_path], tmp_path) == {"long.h": MOST_LINES + 1}


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


def packages(modules: Iterable[Module]) -> set[str]:
    """The packages that these modules are or lie in."""
    return {m.name if m.is_package else m.name.rpartition(".")[0] for m in modules}


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    assert set(listed) == packages(read_modules(*INSTALLED))


def test_a_package_is_seen_by_its_modules() -> None:
    modules = [source("", "cli/main.py"), source("", "text/regions/__init__.py")]
    assert packages(modules) == {"dgemma_lsp.cli", "dgemma_lsp.text.regions"}
