"""Where a grown checkpoint is to write, and where it is to stop: «» marks a region and its present text."""

from __future__ import annotations

import re

import pytest

from dgemma_model.fill.block_ends import block_end, line_end
from dgemma_model.fill.line_ends import Tree, possible_ends
from dgemma_model.fill.places import Extent, Place, known_beginning, place_of
from dgemma_model.layouts.masked import MaskedText


def masked(marked: str) -> MaskedText:
    parts = re.split("[«»]", marked)
    return MaskedText(tuple(parts[::2]), tuple(parts[1::2]))


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("    retu", "retu"),
        ("    return ", " "),
        ("def f():\n    ", " "),
        ("\t\t", "\t"),
        ("def f():\n", ""),
        ("f(a,", ","),
        ("x =  ", ""),
        ("", ""),
    ],
)
def test_what_belongs_to_the_first_token_is_its_known_beginning(before: str, expected: str) -> None:
    assert known_beginning(before) == expected


@pytest.mark.parametrize(
    ("marked", "single", "expected"),
    [
        ("f(«»)\ng()\n", False, Place("f", "(", ")", "g()\n", Extent.INSIDE)),
        ("x = «»\ny\n", True, Place("x =", " ", "", "y\n", Extent.LINE)),
        ("x = «»  \ny\n", True, Place("x =", " ", "", "y\n", Extent.LINE)),
        ("x = «»\ny\n", False, Place("x =", " ", "", "y\n", Extent.BLOCK)),
        ("x = «1»\ny\n", False, Place("x =", " ", "", "y\n", Extent.LINE)),
        ("a:\n  «pass»\ny\n", False, Place("a:\n ", " ", "", "y\n", Extent.BLOCK)),
        ("a\n«b\nc\n»d\n", False, Place("a\n", "", "", "d\n", Extent.BLOCK, "\n")),
        ("a\n«b\n»d\n", True, Place("a\n", "", "", "d\n", Extent.LINE, "\n")),
        ("f(«», «»)\ny", True, Place("f", "(", ",", "y", Extent.INSIDE)),
        ("x = «»\ny = «»\nz\n", True, Place("x =", " ", "", "z\n", Extent.LINE)),
    ],
)
def test_a_place_tells_what_stands_around_its_region(marked: str, single: bool, expected: Place) -> None:
    assert place_of(masked(marked), 0, (), single) == expected


def test_a_later_region_has_the_earlier_ones_before_it() -> None:
    place = place_of(masked("x = «»\ny = «»\n"), 1, ("one",), True)
    assert (place.before, place.stem) == ("x = one\ny =", " ")


@pytest.mark.parametrize(
    ("line", "text", "below", "kept"),
    [
        ("    ", "a\n    b\n", "", None),
        ("    ", "a\n    b\nc", "", "a\n    b"),
        ("    ", "a\n\n        b\n\n    c", "", "a\n\n        b"),
        ("    ", "if a:\n        b\n    c\n", "    c\nd", "if a:\n        b"),
        ("", "    a\n    b\nc", "", "    a\n    b"),
        ("", "a\nb\n\nc", "", "a\nb"),
        ("def f():", "\n    a\n    b\nc", "", "\n    a\n    b"),
        ("x = [", "\n    1,\n]\ny", "", "\n    1,\n]"),
        ("int f() {", "\n  a;\n}\n\nint g", "", "\n  a;\n}"),
        ("", "a\n", "a", None),
    ],
)
def test_a_block_ends_where_its_indentation_or_what_follows_says(
    line: str, text: str, below: str, kept: str | None
) -> None:
    end = block_end(line, text, below)
    assert (None if end is None else text[:end]) == kept


def test_a_line_ends_with_its_line() -> None:
    assert line_end("a = 1\nb") == 5
    assert line_end("a = 1") is None


@pytest.mark.parametrize(
    ("line", "least", "rest", "expected"),
    [
        ("f(a, b)", 2, ")", ["f(a", "f(a,", "f(a, b", "f(a, b)"]),
        ("return x", 0, "urn x", ["ret", "return", "return x"]),
        ("f(", 2, ")", []),
    ],
)
def test_a_text_may_end_with_each_word_and_sign_or_where_the_rest_begins(
    line: str, least: int, rest: str, expected: list[str]
) -> None:
    assert [line[:end] for end in possible_ends(line, least, rest)] == expected


def test_texts_share_their_beginnings_in_a_tree() -> None:
    tree = Tree()
    for ids in ([1, 2, 3], [1, 4], [1, 2]):
        tree.add(ids)
    assert (tree.tokens, tree.parents, tree.leaves) == ([1, 2, 3, 4], [-1, 0, 1, 0], [2, 3, 1])
