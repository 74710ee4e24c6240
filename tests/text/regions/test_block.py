"""The block («») around a cursor (ˇ), and what it lacks."""

from __future__ import annotations

import pytest

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.actions import Action, frames
from dgemma_lsp.text.regions.block import block_region, unfinished_block
from dgemma_lsp.text.regions.frame import framed
from dgemma_lsp.text.source_code import SourceCode
from tests.text.regions.marked import marking, parts, with_regions

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("language", "marked", "wanted"),
    [
        pytest.param("python", "if x:ˇ\n    a()\n    b()\n", "if x:\n    «a()\n    b()»\n", id="its header"),
        pytest.param("python", "if x:\n    aˇ()\n", "if x:\n    «a()»\n", id="a statement in it"),
        pytest.param(
            "python",
            "def f():\n    if x:\n        a()\n    ˇ\n",
            "def f():\n    «if x:\n        a()»\n    \n",
            id="the one that a line continues",
        ),
        pytest.param(
            "python", "if x:\n    a()\nelse:ˇ\n    b()\n", "if x:\n    a()\nelse:\n    «b()»\n", id="else"
        ),
        pytest.param("python", "x = ˇ1\n", None, id="none"),
        pytest.param("python", "def f():\n    ˇ\n", "def f():\n    «»\n", id="an empty one"),
        pytest.param(
            "java",
            "class A { void f() { if (x) { a(); } else { ˇb(); } } }\n",
            "class A { void f() { if (x) { a(); } else { «b();» } } }\n",
            id="the second of two",
        ),
        pytest.param("javascript", "f = () => {ˇ}\n", "f = () => {«»}\n", id="between braces"),
        pytest.param(
            "javascript", "function ˇf() {\r\n\r\n}", "function f() {\r\n«»\r\n}", id="before a CRLF"
        ),
        pytest.param(
            "javascript", "function ˇf() {\n  \n}\n", "function f() {\n  «»\n}\n", id="its empty line"
        ),
        pytest.param(
            "javascript", "function ˇf() {\n}\n", "function f() {«»\n}\n", id="without an empty line"
        ),
        pytest.param(
            "lua", "if x then\n  ˇ\nend\n", "if x then\n  «»\nend\n", id="no node for an empty body"
        ),
        pytest.param(
            "bash", "for x in 1; do\n  echo ˇ1\ndone\n", "for x in 1; do\n  «echo 1»\ndone\n", id="Bash"
        ),
        pytest.param("json", '{"a": {ˇ}}\n', '{"a": {«»}}\n', id="an object"),
        pytest.param("yaml", "a:\n  b: ˇ1\n", "a:\n  «b: 1»\n", id="a mapping"),
        pytest.param("toml", "a = [ˇ]\n", "a = [«»]\n", id="an array"),
    ],
)
def test_the_block_around_a_cursor(language: str, marked: str, wanted: str | None) -> None:
    text, cursor = parts(marked)
    found = block_region(SourceCode(text, language), cursor)
    assert (found and marking(text, found)) == wanted


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        pytest.param("if x:\n    aˇ()\n", None, id="nothing is missing"),
        pytest.param(
            "if x:\n    a()\n    ˇ\n    b()\n", "if x:\n    a()\n    «»\n    b()\n", id="an empty line"
        ),
        pytest.param("def f():\n    a()\n    ...ˇ\n", "def f():\n    a()\n    «...»\n", id="its placeholder"),
        pytest.param("def f():\n    ˇ\n", "def f():\n    «»\n", id="all of it"),
    ],
)
def test_a_block_is_completed_without_losing_a_statement(marked: str, wanted: str | None) -> None:
    text, cursor = parts(marked)
    found = unfinished_block(SourceCode(text, "python"), cursor)
    assert (found and marking(text, found)) == wanted


@pytest.mark.parametrize(
    ("language", "marked", "wanted"),
    [
        pytest.param("python", "class A:ˇ\n", "class A:\n    «»\n", id="behind a colon"),
        pytest.param("go", "func f() {ˇ}\n", "func f() {\n    «»\n}\n", id="between braces"),
        pytest.param("c", "\tif (x) {ˇ}\r\n", "\tif (x) {\r\n\t\t«»\r\n\t}\r\n", id="tabs and CRLF"),
        pytest.param("python", "class A:\n  ˇ\n", "class A:\n  «»\n", id="there is a line already"),
    ],
)
def test_a_block_is_begun_on_a_line_of_its_own(language: str, marked: str, wanted: str) -> None:
    text, cursor = parts(marked)
    after, regions = framed(
        text, frames(Action.COMPLETE_BLOCK, SourceCode(text, language), Region(cursor, cursor))
    )
    assert with_regions(after, regions) == wanted
