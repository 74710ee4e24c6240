import pytest

from dgemma_lsp.text.line_breaks import in_document_newlines, to_lf
from tests.fakes import masked

NEWLINES = [
    ("those in the region win", "a\nb«\r\n»c\n", "\r\n"),
    ("else the last one before it", "a\nb\r\nc«»d\n", "\r\n"),
    ("also when that is a lone CR", "a\nb\rc«»\n", "\r"),
    ("also right in front of the region", "a\r\n«»b\n", "\r\n"),
    ("else the first one after it", "a«»\rb\n", "\r"),
    ("LF in a text of one line", "a«»b", "\n"),
    ("a CRLF that the region cuts in two counts as two", "a\r«\nb»", "\n"),
]


@pytest.mark.parametrize(
    ("marked", "newline"), [case[1:] for case in NEWLINES], ids=[case[0] for case in NEWLINES]
)
def test_newlines_of_a_fill(marked: str, newline: str) -> None:
    document = masked(marked)
    assert in_document_newlines("x\ny\n", document.text, document.regions[0]) == f"x{newline}y{newline}"


@pytest.mark.parametrize(
    ("text", "lf"), [("a\r\nb\rc\nd\n\r", "a\nb\nc\nd\n\n"), ("\r\r\n\n", "\n\n\n"), ("", "")]
)
def test_to_lf(text: str, lf: str) -> None:
    assert to_lf(text) == lf
