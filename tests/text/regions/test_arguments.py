"""The arguments («») around a cursor (ˇ)."""

from __future__ import annotations

import pytest

from dgemma_lsp.text.regions.arguments import arguments_region
from dgemma_lsp.text.source_code import SourceCode
from tests.text.regions.marked import marking, parts

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("language", "marked", "wanted"),
    [
        pytest.param("python", "x = f(ˇ)\n", "x = f(«»)\n", id="none yet"),
        pytest.param("python", "x = f(a, ˇb)\n", "x = f(«a, b»)\n", id="some"),
        pytest.param("python", "x = f(a)ˇ\n", None, id="behind them"),
        pytest.param("python", "x = fˇ(a)\n", None, id="before them"),
        pytest.param("python", "x = f(g(ˇa), b)\n", "x = f(g(«a»), b)\n", id="the innermost call"),
        pytest.param("python", "x = f(g(a)ˇ)\n", "x = f(«g(a)»)\n", id="behind an inner call"),
        pytest.param("python", "f(\n    ˇ\n)\n", "f(\n    «»\n)\n", id="on a line of their own"),
        pytest.param("python", "f('aˇ')\n", None, id="in a string"),
        pytest.param("python", "f(a  # hˇm\n)\n", None, id="in a comment"),
        pytest.param("python", "x = (ˇ)\n", None, id="parentheses without a call"),
        pytest.param("rust", "fn f() { g(ˇ) }\n", "fn f() { g(«») }\n", id="Rust"),
        pytest.param("ruby", "puts ˇx\n", None, id="a call without parentheses"),
        pytest.param("java", "class A { int x = f(ˇ); }\n", "class A { int x = f(«»); }\n", id="Java"),
        pytest.param("python", "'😋'; f(ˇ)\n", "'😋'; f(«»)\n", id="behind an astral character"),
    ],
)
def test_the_arguments_around_a_cursor(language: str, marked: str, wanted: str | None) -> None:
    text, cursor = parts(marked)
    found = arguments_region(SourceCode(text, language), cursor)
    assert (found and marking(text, found)) == wanted
