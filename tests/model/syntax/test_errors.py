"""Which texts fit into a Python file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.syntax.errors import Surroundings, border, closed, endings, repairs

BEFORE = "import os\n\n\nclass A:\n    def f(self, path):\n        with open("
BEHIND = "\n            return file.read()\n\n\ndef broken(:\n"


@pytest.mark.parametrize(
    ("fill", "fits"),
    [
        ("path) as file:", True),
        ("path) as file", False),
        ("path as file:", False),
        ("path)) as file:", False),
    ],
)
def test_a_text_that_breaks_the_syntax_is_told_from_one_that_does_not(fill: str, fits: bool) -> None:
    around = Surroundings((BEFORE, BEHIND))
    assert (around.errors([fill]) == 0) is fits


def test_statements_at_the_margin_bound_what_is_looked_at() -> None:
    far = "x = (\n" * 3 + BEFORE
    assert Surroundings((far, BEHIND)).errors(["path) as file:"]) == 0


def test_a_clause_belongs_to_the_statement_above() -> None:
    around = Surroundings(("if a:\n    b\n", "\nelse:\n    c\n"))
    assert around.errors(["elif d:\n    e"]) == 0
    assert around.errors(["f = 1"]) > 0


def test_regions_are_parsed_together() -> None:
    around = Surroundings(("f(", ")\ng(", "]\n"))
    assert around.errors(["[", ""]) > around.errors(["", "["]) > 0


@pytest.mark.parametrize("text", ["", "\ud800", "«»", "{{{{"])
def test_any_text_can_be_looked_at(text: str) -> None:
    assert Surroundings(("", text)).errors([text]) >= 0


@pytest.mark.parametrize(
    ("line", "least", "rest", "mended"),
    [
        (
            "    for x in range(3",
            10,
            "",
            ["    for x in range(3):", "    for x in range(3)", "    for x in range(", "    for x in range"],
        ),
        ("y = f(a, [b", 6, "", ["y = f(a, [b])", "y = f(a, ["]),
        ("y = f(a))", 4, "", ["y = f(a)", "y = f("]),
        ("f(a, g(b", 5, ")", ["f(a, g(b)"]),
        ("f(a, b", 5, ")", []),
        ("print('(')", 6, "", ["print('("]),
        ("print('(", 6, "", ["print('(')"]),
        ("from a import (", 8, "", ["from a import ()", "from a import"]),
        ("assert a:", 7, "", ["assert a"]),
        ("if a:", 3, "", ["if a"]),
        ("if f(a:", 6, "", ["if f(a):", "if f(a:)", "if f(a"]),
        ("x = f(a, g(b), [c], {d})", 4, "", ["x = f(", "x = f(a, g(", "x = f(a, g(b), ["]),
        ("else", 4, "", ["else:"]),
    ],
)
def test_brackets_and_colons_are_put_right(line: str, least: int, rest: str, mended: list[str]) -> None:
    assert repairs(line, least, rest) == mended


@pytest.mark.parametrize(
    ("before", "text", "mended"),
    [
        ('def f():\n    """Say', " it.", [' it."""']),
        ('def f():\n    """Say', ' it."""', [" it."]),
        ('"""Done."""\nx = ', "1", []),
    ],
)
def test_a_docstring_is_closed_or_left_open(before: str, text: str, mended: list[str]) -> None:
    assert closed(before, text) == mended


@pytest.mark.parametrize(
    ("marked", "mended"),
    [
        pytest.param("x = f(\n    «a,»\n)\n", [], id="it fits"),
        pytest.param("x = f(\n    «a,\n    g(»\n)\n", ["a,\n    g()", "a,\n    g(\n    )"], id="a bracket"),
        pytest.param("x = f(\n    [\n    «a»\ny = 1\n", ["a])", "a\n    ]\n)"], id="two of them"),
        pytest.param("def f(\n    «a,»\n\nb = 1\n", ["a,)", "a,\n)", "a,\n):"], id="a header's"),
        pytest.param("«x = '(' # [»\ny\n", [], id="signs in strings and comments are none"),
        pytest.param("x = ['# (', 'a',\n    «b»\n", ["b]"], id="a sign of a comment in a string"),
        pytest.param("x = [\n    «'''a»\n", ["'''a''']"], id="a long string"),
        pytest.param(
            "for a in b:\n    c\nif a:\n    d\n«e»\n    f\n",
            ["e\nif a:", "e\nfor a in b:"],
            id="a header of what is indented behind",
        ),
        pytest.param("if a:\n    b\n«else:»\n    f\n", [], id="which is there"),
    ],
)
def test_what_is_open_is_closed_and_what_is_indented_gets_a_header(marked: str, mended: list[str]) -> None:
    before, text, after = marked.replace("»", "«").split("«")
    found = endings(before, text, after)
    assert [text for text in mended if text not in found] == []
    assert bool(found) == bool(mended)


@given(
    st.text("ab(]\"'#\\ \n:", max_size=60),
    st.text("a(]\"' \n:", max_size=40),
    st.text("a(]\"' \n", max_size=40),
)
def test_any_text_may_be_ended(before: str, text: str, after: str) -> None:
    assert all(found.startswith(text) for found in endings(before, text, after))


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
    assert border(text, marked.replace("«", "").index("ˇ"), reach) == marked.replace("ˇ", "").index("«")
