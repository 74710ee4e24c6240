"""First canvases copied from the document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.drafting import draft, drafts

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
