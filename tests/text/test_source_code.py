"""Excerpts of long texts."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.source_code import SourceCode
from dgemma_lsp.text.syntax import Excerpt
from tests.text.trees import nodes, whole

pytestmark = pytest.mark.timeout(60)


def long_text(functions: int = 3000) -> str:
    """A class in a class, with documentation that looks like code, and characters of every width."""
    method = (
        "        def method_{n}(self, a, b):\n"
        '            """Docs 😋\n\n            def not_a_method(self):\n                x = 1\n            """\n'
        "            if a > b:\n                return max(a, '{n} é', b)\n            return self.x[{n}]\n\n"
    )
    return "class A:\n    class B:\n" + "".join(method.format(n=n) for n in range(functions)) + "last = 1\n"


def test_an_excerpt_says_what_the_whole_text_says() -> None:
    text = long_text(400)
    everything = whole(text)
    for match in re.finditer("max", text):
        at = match.start() + 1
        excerpt = next(SourceCode(text, "python").excerpts(Region(at, at)))
        assert not excerpt.whole
        assert described(excerpt, at) == described(everything, at)


def described(excerpt: Excerpt, at: int) -> list[tuple[str, int]]:
    """The nodes around a place, and where they start, but for blocks, whose first statements may be left out."""
    found, node = [], excerpt.at(at)
    while node.parent:
        if node.kind != "block":
            found.append((node.kind, node.start))
        node = node.parent
    return found


def test_excerpts_grow_until_they_are_the_whole_text() -> None:
    text = long_text(400)
    found = list(SourceCode(text, "python").excerpts(Region(len(text) // 2, len(text) // 2)))
    sizes = [len(excerpt.body.of(text)) for excerpt in found]
    assert sizes == sorted(sizes)
    assert [excerpt.whole for excerpt in found] == [False] * (len(found) - 1) + [True]


def test_a_node_that_is_cut_off_is_not_held() -> None:
    text = "def f():\n" + "    x = 1\n" * 10_000 + "y = 2\n"
    cut, *_, full = SourceCode(text, "python").excerpts(Region(100, 100))
    for excerpt, held in ((cut, False), (full, True)):
        function = next(node for node in nodes(excerpt.root) if node.kind == "function_definition")
        assert excerpt.holds(function) is held


def test_braces_need_not_be_closed_in_an_excerpt() -> None:
    method = "    int method{n}(int a) {{\n        return call(a, {n});\n    }}\n\n"
    text = "class A\n{\n" + "".join(method.format(n=n) for n in range(2000)) + "}\n"
    at = text.index("call(a, 1000") + 5
    excerpt = next(SourceCode(text, "java").excerpts(Region(at, at)))
    kinds = [kind for kind, _ in described(excerpt, at)]
    assert kinds[1] == "argument_list"
    assert "method_declaration" in kinds
    assert "class_body" in kinds


def test_a_place_in_twenty_thousand_lines_takes_a_moment() -> None:
    text = "x = 1\n" * 3 + long_text(2200)
    assert text.count("\n") > 20_000
    spans = []
    for at in range(0, len(text), len(text) // 15):
        start = time.process_time()
        next(SourceCode(text, "python").excerpts(Region(at, at)))
        spans.append(time.process_time() - start)
    # Two or three milliseconds on an idle machine; ten times as much says that something is wrong.
    assert sorted(spans)[len(spans) // 2] < 0.03


def test_grammars_are_loaded_when_they_are_wanted(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, dgemma_lsp.lsp.server; print('tree_sitter_language_pack' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "False"
