"""Where a text may be cut."""

from __future__ import annotations

import pytest

from dgemma_model.syntax.statements import Borders


@pytest.mark.parametrize(
    ("marked", "reach"),
    [
        pytest.param("a = 1\nb ˇ= 2\n«c = 3\n", 20, id="the next statement's line"),
        pytest.param("ˇ«a = 1\nb = 2\n", 20, id="the statement that begins there"),
        pytest.param("f(\n  ˇ a,\n   b,\n)\n«g()\n", 20, id="not in the middle of a statement"),
        pytest.param('def f():\n    """A\n ˇ  pass\n    """\n«    g()\n', 30, id="nor of a text"),
        pytest.param("@a\nˇ\ndef f():\n«    g()\n", 20, id="nor between a decorator and what it decorates"),
        pytest.param("if a: ˇb; c\n«d\n", 20, id="nor in the middle of a line"),
        pytest.param("é = '😋'\né ˇ= 2;\n«é = 3\n", 20, id="offsets are characters"),
        pytest.param("f(\n  ˇ a,\n«   b,\n   c)\n", 9, id="at a line where no statement is in reach"),
        pytest.param("f(a, ˇ«" + "b, " * 20, 9, id="anywhere where no line is"),
    ],
)
def test_a_text_is_cut_where_a_statement_begins(marked: str, reach: int) -> None:
    text = marked.replace("ˇ", "").replace("«", "")
    assert Borders().after(text, marked.replace("«", "").index("ˇ"), reach) == marked.replace("ˇ", "").index(
        "«"
    )
