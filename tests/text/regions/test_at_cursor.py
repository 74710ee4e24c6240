"""The function around a cursor (ˇ)."""

from __future__ import annotations

import pytest

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.at_cursor import enclosing_function
from dgemma_lsp.text.source_code import SourceCode
from tests.text.regions.marked import parts

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("language", "marked", "function"),
    [
        pytest.param(
            "python", "x = 1\ndef f():\n    retˇurn 1\n", "def f():\n    return 1", id="in its body"
        ),
        pytest.param("python", "deˇf f():\n    return 1\n", "def f():\n    return 1", id="in its header"),
        pytest.param("python", "def f():\n    return 1ˇ\n", "def f():\n    return 1", id="at its end"),
        pytest.param(
            "python", "def f():\n    a()\n    ˇ\n\nb()\n", "def f():\n    a()", id="indented behind it"
        ),
        pytest.param("python", "def f():\n    a()\nˇ\nb()\n", None, id="behind it"),
        pytest.param("python", "x = ˇ1\n", None, id="outside of all functions"),
        pytest.param("python", "def f():\n    def g(): paˇss\n", "def g(): pass", id="the innermost one"),
        pytest.param("typescript", "f(() => { ˇa() })\n", "() => { a() }", id="a function without a name"),
        pytest.param("go", "func f() {\n\tˇ\n}\n", "func f() {\n\t\n}", id="an empty one in Go"),
        pytest.param("ruby", "def f\n  ˇ\nend\n", "def f\n  \nend", id="an empty one in Ruby"),
        pytest.param("markdown", "# def\n```python\ndef f(): paˇss\n```\n", "def f(): pass", id="in a fence"),
        pytest.param("markdown", "ˇ# def\n```python\ndef f(): pass\n```\n", None, id="beside a fence"),
        pytest.param("kotlin", "fun f() { ˇ }\n", None, id="in a language that nobody knows"),
        pytest.param("python", "'😋'\ndef f(): ˇpass\n", "def f(): pass", id="behind an astral character"),
    ],
)
def test_the_function_around_a_cursor(language: str, marked: str, function: str | None) -> None:
    text, cursor = parts(marked)
    found = enclosing_function(SourceCode(text, language), cursor)
    assert (found and text[found.start : found.end]) == function


def test_a_function_that_is_longer_than_what_is_parsed_at_first_is_found_whole() -> None:
    text = "x = 1\n\ndef f():\n" + "    x = 1\n" * 20_000 + "\ny = 1\n"
    assert enclosing_function(SourceCode(text, "python"), 150_000) == Region(
        7, len(text) - len("\n\ny = 1\n")
    )
