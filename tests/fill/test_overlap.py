import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.fill.overlap import without_overlap

# Each case: a sentence, the text with its region between « and », the raw fill, the text the region gets.
OVERLAP = [
    ("a closing bracket that stands behind the region is cut", "f(«»)\n", "a, b)", "a, b"),
    ("a closing bracket that has a partner in the fill stays", "f(«»)\n", "g(a)", "g(a)"),
    ("a closing bracket with a partner before the region stays", "f(g(«»)\n", "a)", "a)"),
    ("of two closing brackets only the one too many is cut", "h(f(«»))\n", "g(a))", "g(a)"),
    ("all of several closing brackets are cut", "x[f(«»)]\n", "a)]", "a"),
    ("a closing quote is cut", 'print("«»")\n', 'hello"', "hello"),
    ("a closing quote and bracket are cut", 'print("«»")\n', 'hello")', "hello"),
    ("a whole string inside a call stays", "print(«»)\n", '"hello"', '"hello"'),
    ("a bracket inside a string is text", "print(«»)\n", '"(", x)', '"(", x'),
    ("a bracket inside a comment is text", "f(  # (\n    «»)\n", "a)", "a"),
    ("the colon goes with its bracket", "def f(«»):\n    return 1\n", "a, b):", "a, b"),
    ("a colon that ends the line already is cut", "for item in «»:\n    x\n", "items:", "items"),
    ("a comma that ends the line already is cut", "    first=«»,\n", "1,", "1"),
    ("a colon inside the line may repeat", "x[a«»:b]\n", ":", ":"),
    ("a colon that was doubled before stays", "x[1:«2:»:\n]", "2:", "2:"),
    (
        "the rest of the line and whole lines behind it are cut",
        "def f(«»):\n    x = 1\n",
        "a):\n    x = 1",
        "a",
    ),
    ("a whole repeated line is cut", "    «»\n    return x\n", "x = 1\n    return x", "x = 1"),
    ("several repeated lines are cut", "«»\ny = 2\nz = 3\n", "x = 1\ny = 2\nz = 3", "x = 1"),
    ("whole lines with their endings are cut", "a\n«»y = 2\nz\n", "x = 1\ny = 2\n", "x = 1\n"),
    ("half a line in front of another region may repeat", "«»\ny = «»", "x = 1\ny = ", "x = 1\ny = "),
    ("a repeated line is cut at the start of the file", "«»y = 2\n", "y = 2\n", ""),
    ("half a line may repeat", "«»\n    return x + 1\n", "y\n    return x", "y\n    return x"),
    ("a word in the line may repeat", "a = «» + b\n", "c + b", "c + b"),
    ("a blank line may repeat", "x = 1«»\n\ny = 2\n", "\n", "\n"),
    ("a repeated line that is a bracket with a partner stays", "«»)\n", "f(\n)\n", "f(\n)\n"),
    (
        "a repeated tail that closes the fill's own bracket stays",
        "g([«»\n]) + y\n",
        "h([1\n]) + y",
        "h([1\n]) + y",
    ),
    ("a tail that was there before is how this text is written", "f(«a)»)\n", "b)", "b)"),
    ("a tail is compared to the next region, not beyond", "f(«», «»)\n", "a, b)", "a, b)"),
    ("nothing behind the region, nothing to repeat", "x = «»", "f(a))", "f(a))"),
]


@pytest.mark.parametrize(
    ("marked", "fill", "expected"), [case[1:] for case in OVERLAP], ids=[case[0] for case in OVERLAP]
)
def test_overlap(marked: str, fill: str, expected: str) -> None:
    before, present, after = re.split("[«»]", marked)[:3]
    assert without_overlap(before, fill, present, after) == expected


@given(st.text("()\n ax\"'#"), st.text("()\n ax\"'#"), st.text("()\n ax\"'#"))
def test_only_a_repeated_tail_is_ever_cut(before: str, fill: str, after: str) -> None:
    kept = without_overlap(before, fill, "", after)
    assert fill.startswith(kept)
    assert after.startswith(fill[len(kept) :])
