"""Whether a region («») gets one line or a block."""

from __future__ import annotations

import pytest

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.single_line import stays_in_line
from dgemma_lsp.text.source_code import SourceCode
from tests.text.regions.marked import without_marks

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        pytest.param("x = «»\n", True, id="the rest of a line"),
        pytest.param("print(«a, b»)\n", True, id="a selection inside a line"),
        pytest.param("if x:\n    «»\n", False, id="an empty line behind a colon: a block"),
        pytest.param("x = 1\n«»\n", True, id="an empty line behind a statement"),
        pytest.param("if x:\n    «a()\n    b()»\n", False, id="a selection of two lines"),
        pytest.param("«»", True, id="an empty document"),
        pytest.param("if (x) {\n    «»\n}\n", False, id="an empty line behind a brace: a block"),
        pytest.param("def f():\n    «...»\n", False, id="a placeholder alone on its line: a block"),
        pytest.param(
            "f() {\n  «throw new Error('not implemented')»;\n}\n", False, id="one in another language"
        ),
        pytest.param("x = «⟨fill⟩»\n", True, id="a placeholder in a line"),
        pytest.param("    «a + b»\n", True, id="a line that is no placeholder"),
    ],
)
def test_a_region_inside_a_line_stays_there(marked: str, wanted: bool) -> None:
    start = marked.index("«")
    region = Region(start, marked.index("»") - 1)
    assert stays_in_line(SourceCode(without_marks(marked), None), region) is wanted


@pytest.mark.parametrize("inside", ["<FILL>", "⟨fill⟩", "pass", "TODO: sort"])
def test_a_block_may_follow_where_a_placeholder_stands_alone(inside: str) -> None:
    text = f"def f():\n    {inside}\n"
    region = Region(13, 13 + len(inside))
    assert not stays_in_line(SourceCode(text, "python", ("<FILL>",)), region)
    assert stays_in_line(SourceCode(f"x = {inside}\n", "python", ("<FILL>",)), Region(4, 4 + len(inside)))


def test_what_is_no_marker_is_a_line() -> None:
    assert stays_in_line(SourceCode("<FILL>\n", None), Region(0, 6))
