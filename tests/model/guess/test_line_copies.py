"""First canvases copied from the document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.guess.line_copies import draft, drafts, ending

CASES = [
    (
        "a line that began alike goes on alike",
        "for name in names:\n    print(name)\nfor name «»\n",
        "in names:",
    ),
    ("the line above decides between two", "a()\nuse(1)\nb()\nuse(2)\n\na()\nuse(«»\n", "1)"),
    ("the nearest occurrence above wins", "self.x = 1\nself.x = 2\nself.x «»\n", "= 2"),
    ("text below is searched too", "self.x «»\nother()\nself.x = 3\n", "= 3"),
    ("it stops where the line goes on", "call(first, second)\ncall(«»)\n", "first, second"),
    ("a whole line after the same line above", "begin()\n    end()\nmore\nbegin()\n    «»\n", "end()"),
    ("nothing alike", "alpha\nbeta\nzzzzz«»\n", None),
    ("white space alone is no match", "        x\n        y\nq = 1\n\n\n\n«»", None),
    ("an empty document", "«»", None),
]


@pytest.mark.parametrize(("what", "marked", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_draft(what: str, marked: str, wanted: str | None) -> None:
    before, after = marked.split("«»")
    assert draft(before, after) == wanted


@given(st.lists(st.text("ab \n(", max_size=30), min_size=2, max_size=5))
def test_a_draft_is_one_line_of_the_document(segments: list[str]) -> None:
    text = "".join(segments)
    for found in drafts(segments):
        assert found is None or ("\n" not in found and found in text)


@pytest.mark.parametrize(
    ("what", "line", "rest", "wanted"),
    [
        ("nothing is known of the end", "a, b)", "", ["a, b)"]),
        ("the line ends as it should", "a, b)", ")", ["a, b)"]),
        ("what follows the last occurrence goes", "f(a), b):", ")", ["f(a), b)"]),
        ("it ends otherwise: every word may be the last", "a, b", ")", ["a)", "a,)", "a, b)"]),
        ("an empty guess", "", ")", []),
    ],
)
def test_a_guess_is_made_to_end_with_the_line(what: str, line: str, rest: str, wanted: list[str]) -> None:
    assert ending(line, 0, rest) == wanted
    assert all(made.endswith(rest) for made in wanted)
