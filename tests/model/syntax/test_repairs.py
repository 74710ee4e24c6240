"""What may be meant by a text that does not parse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.syntax.repairs import docstring_repairs, ending_repairs, line_repairs


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
    assert line_repairs(line, least, rest) == mended


@pytest.mark.parametrize(
    ("before", "text", "mended"),
    [
        ('def f():\n    """Say', " it.", [' it."""']),
        ('def f():\n    """Say', ' it."""', [" it."]),
        ('"""Done."""\nx = ', "1", []),
    ],
)
def test_a_docstring_is_closed_or_left_open(before: str, text: str, mended: list[str]) -> None:
    assert docstring_repairs(before, text) == mended


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
    found = ending_repairs(before, text, after)
    assert [text for text in mended if text not in found] == []
    assert bool(found) == bool(mended)


@given(
    st.text("ab(]\"'#\\ \n:", max_size=60),
    st.text("a(]\"' \n:", max_size=40),
    st.text("a(]\"' \n", max_size=40),
)
def test_any_text_may_be_ended(before: str, text: str, after: str) -> None:
    assert all(found.startswith(text) for found in ending_repairs(before, text, after))
