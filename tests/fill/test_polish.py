import re

import pytest

from dgemma_lsp.fill.polish import polished, trim_line_ends

TRIMMED = [
    ("blanks before a newline go", "«»x", "a \n\tb\t \n", "a\n\tb\n"),
    ("a line of blanks is left empty", "«»x", "a\n    \nb", "a\n\nb"),
    ("indentation for what follows stays", "«»x", "a\n    ", "a\n    "),
    ("a blank between the fill and a word stays", "«»x", "a = ", "a = "),
    ("blanks at the end of the region's line go", "«»\nx", "a  ", "a"),
    ("blanks in front of another region stay", "«»«»", "a  ", "a  "),
    ("form feeds stay", "«»\n", "\f\n", "\f\n"),
]


@pytest.mark.parametrize(
    ("marked", "fill", "expected"), [case[1:] for case in TRIMMED], ids=[case[0] for case in TRIMMED]
)
def test_trim_line_ends(marked: str, fill: str, expected: str) -> None:
    assert trim_line_ends(fill, re.split("[«»]", marked)[2]) == expected


def test_polishing_does_all_of_it() -> None:
    assert polished("a,  \r\n  b)  ", "f(", "", ")\n") == "a,\n  b)  "
    assert polished("a,  \r\n  b)", "f(", "", ")\n") == "a,\n  b"


def test_a_fill_that_is_there_already_is_left_alone() -> None:
    assert polished("a \r\n)", "f(", "a \n)", ")\n") == "a \n)"
