import pytest

from dgemma_lsp.cli.spans import line_and_column, parse_span, parse_spans
from dgemma_lsp.cli.textfile import TextFile, decode
from dgemma_lsp.text.masked import Region, RegionError

TEXT = "one\r\ntwo äö😋\n\tthree\rfour\n"


def file(text: str = TEXT, bom: bool = False) -> TextFile:
    return decode((b"\xef\xbb\xbf" if bom else b"") + text.encode(), "a.txt")


NAMED = [
    ("a bare line is that line without its ending", "1", "one"),
    ("a bare line counts CR, LF and CRLF as endings", "4", "four"),
    ("two lines cover both and what lies between", "1:2", "one\r\ntwo äö😋"),
    ("two equal numbers are one line", "3:3", "\tthree"),
    ("columns are characters, END is exclusive", "2:5:2:7", "äö"),
    ("an astral character is one column", "2:7:2:8", "😋"),
    ("a tab is one column", "3:1:3:2", "\t"),
    ("a span may cross lines", "1:2:2:2", "ne\r\nt"),
    ("the column after the last is the end of the line", "1:4:1:4", ""),
    ("bytes count from 0", "@0:@3", "one"),
    ("a byte offset counts the bytes of characters", "@9:@13", "äö"),
    ("the end of the file is a byte offset too", "@25:@30", "four\n"),
    ("a single byte is an insertion point", "@5", ""),
    ("byte to line and column", "@5:2:4", "two"),
    ("line and column to byte", "2:1:@8", "two"),
    ("byte to the end of a line", "@5:2", "two äö😋"),
    ("start of a line to byte", "2:@8", "two"),
    ("a final newline is followed by an empty line", "5", ""),
]


@pytest.mark.parametrize(("span", "text"), [case[1:] for case in NAMED], ids=[case[0] for case in NAMED])
def test_names(span: str, text: str) -> None:
    region = parse_span(span, file())
    assert TEXT[region.start : region.end] == text


def test_the_empty_line_at_the_end_is_the_end() -> None:
    assert parse_span("5", file()) == Region(len(TEXT), len(TEXT))


def test_a_byte_order_mark_counts_as_bytes_but_not_as_a_column() -> None:
    assert parse_span("@3:@6", file(bom=True)) == parse_span("1:1:1:4", file(bom=True)) == Region(0, 3)
    assert parse_span("@0:@6", file(bom=True)) == Region(0, 3)


def test_an_empty_file_has_one_line() -> None:
    assert (
        parse_span("1", file(""))
        == parse_span("1:1:1:1", file(""))
        == parse_span("@0", file(""))
        == Region(0, 0)
    )


def test_form_feeds_and_line_separators_end_no_line() -> None:
    assert parse_span("1", file("a\fb\u2028c\x85d\n")) == Region(0, 7)


REFUSED = [
    ("no number", "", "is not START:END"),
    ("a word", "ten:12", "is not START:END"),
    ("a negative number", "-1:2", "is not START:END"),
    ("a missing end", "3:", "is not START:END"),
    ("digits of another script", "٣", "is not START:END"),
    ("a number too long for any file", "9" * 5000, "is not START:END"),
    ("three numbers", "3:5:7", "ambiguous"),
    ("five numbers", "1:2:3:4:5", "too many numbers"),
    ("a byte as a column", "1:2:3:@4", "too many numbers"),
    ("line 0", "0:1", "lines are counted from 1"),
    ("column 0", "1:0:1:1", "column 0"),
    ("a line outside the file", "6", "line 6, but the last line is 5"),
    ("a column outside its line", "1:1:1:5", "line 1 has the columns 1 to 4"),
    ("a byte outside the file", "@0:@31", "which has 30 bytes"),
    ("END before START", "3:2", "ends before it starts"),
    ("END before START in one line", "1:3:1:2", "ends before it starts"),
    ("inside a character of two bytes", "@10", "inside a character"),
    ("inside an astral character", "@15", "inside a character"),
    ("between CR and LF", "@4", "two halves of a line ending"),
]


@pytest.mark.parametrize(("span", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refuses(span: str, why: str) -> None:
    with pytest.raises(RegionError, match=why) as caught:
        parse_span(span, file())
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("byte", [1, 2])
def test_refuses_a_byte_inside_the_byte_order_mark(byte: int) -> None:
    with pytest.raises(RegionError, match="byte order mark"):
        parse_span(f"@{byte}", file(bom=True))


def test_spans_come_in_document_order() -> None:
    assert parse_spans(["4", "1:2:1:3"], file()) == (Region(1, 2), Region(20, 24))


def test_spans_may_touch() -> None:
    assert parse_spans(["1:1:1:2", "1:2:1:3", "1:3:1:3"], file()) == (
        Region(0, 1),
        Region(1, 2),
        Region(2, 2),
    )


@pytest.mark.parametrize("specs", [["1:2", "2"], ["1", "1:2:1:3"], ["@5", "@5"], ["1", "1"]])
def test_refuses_spans_that_overlap_and_names_both(specs: list[str]) -> None:
    with pytest.raises(RegionError, match="overlap") as caught:
        parse_spans(specs, file())
    assert all(spec in str(caught.value) for spec in specs)


def test_line_and_column_are_what_a_span_would_say() -> None:
    for offset in range(len(TEXT)):
        if TEXT[offset - 1 : offset + 1] == "\r\n":
            continue
        line, column = line_and_column(TEXT, offset)
        assert parse_span(f"{line}:{column}:{line}:{column}", file()) == Region(offset, offset)
