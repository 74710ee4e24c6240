"""Positions ↔ offsets, and edits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import (
    Position,
    PositionEncodingKind,
    Range,
    TextDocumentContentChangeEvent,
    TextDocumentContentChangePartial,
    TextDocumentContentChangeWholeDocument,
    TextDocumentItem,
)

from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.text.edit import Edit
from dgemma_lsp.text.masked import Region

pytestmark = pytest.mark.timeout(20)

UTF8, UTF16, UTF32 = PositionEncodingKind.Utf8, PositionEncodingKind.Utf16, PositionEncodingKind.Utf32
ENCODINGS = (UTF8, UTF16, UTF32)
URI = "file:///src/a.py"
TEXTS = st.text(alphabet="ab_é€😋𝒳\t\n\r\x0c\u2028 ", max_size=40)


def snapshot(text: str, encoding: PositionEncodingKind = UTF16) -> Snapshot:
    return Snapshot(URI, 1, "python", text, encoding)


@pytest.mark.parametrize(("encoding", "character"), [(UTF8, 9), (UTF16, 7), (UTF32, 6)])
def test_an_astral_character_counts_in_the_editors_units(
    encoding: PositionEncodingKind, character: int
) -> None:
    # The quote behind the smiling face.
    document = snapshot('\nx = "😋"\n', encoding)
    assert document.offset(Position(1, character)) == 7
    assert document.position(7) == Position(1, character)


@pytest.mark.parametrize(
    ("position", "offset"),
    [
        pytest.param(Position(0, 99), 2, id="behind the end of a line: the line's end, not its line break"),
        pytest.param(Position(1, 99), 6, id="behind the end of a CRLF line: before the CR"),
        pytest.param(Position(2, 99), 10, id="behind the end of the last line: all of it"),
        pytest.param(Position(99, 0), 10, id="behind the last line: the end of the document"),
        pytest.param(Position(2, 2), 9, id="inside of a surrogate pair: the character's start"),
        pytest.param(Position(2, 3), 10, id="behind a surrogate pair"),
    ],
)
def test_positions_that_are_not_between_two_characters(position: Position, offset: int) -> None:
    assert snapshot("ab\ncde\r\nf😋").offset(position) == offset


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(text=TEXTS, data=st.data())
def test_an_offset_survives_the_way_to_a_position_and_back(
    text: str, data: st.DataObject, encoding: PositionEncodingKind
) -> None:
    offset = data.draw(st.integers(0, len(text)))
    if text[offset - 1 : offset + 1] != "\r\n":
        document = snapshot(text, encoding)
        assert document.offset(document.position(offset)) == offset


@given(text=TEXTS, line=st.integers(0, 50), character=st.integers(0, 50), encoding=st.sampled_from(ENCODINGS))
def test_any_position_is_an_offset_of_the_text_outside_of_line_breaks(
    text: str, line: int, character: int, encoding: PositionEncodingKind
) -> None:
    offset = snapshot(text, encoding).offset(Position(line, character))
    assert 0 <= offset <= len(text)
    assert text[offset - 1 : offset + 1] != "\r\n"


def test_form_feeds_and_line_separators_end_no_line() -> None:
    document = snapshot("a\x0cb\u2028c\nd")
    assert document.position(7) == Position(1, 1)
    assert document.offset(Position(0, 5)) == 5


def test_a_range_given_backwards_is_the_same_region() -> None:
    document = snapshot("abc\ndef")
    assert document.region(Range(Position(1, 1), Position(0, 2))) == Region(2, 5)
    assert document.range(Region(2, 5)) == Range(Position(0, 2), Position(1, 1))


def test_only_files_have_a_path() -> None:
    assert snapshot("").path == "/src/a.py"
    assert Snapshot("untitled:Untitled-1", 1, None, "", UTF16).path is None


@pytest.mark.parametrize(
    ("language_id", "uri", "language"),
    [
        ("python", "file:///a.txt", "python"),
        ("Python", "file:///a", "python"),
        ("rust", "file:///a.rs", "rust"),
        ("", "file:///stubs/A.PYI", "python"),
        ("plaintext", "file:///a.py?x=1", "python"),
        ("plaintext", "untitled:Untitled-1", None),
    ],
)
def test_the_editors_language_comes_before_the_files_name(
    language_id: str, uri: str, language: str | None
) -> None:
    documents = Documents(UTF16)
    documents.open(TextDocumentItem(uri, language_id, 1, ""))
    opened = documents.get(uri)
    assert opened is not None
    assert opened.language == language


class TestDocuments:
    @pytest.fixture
    def documents(self) -> Documents:
        documents = Documents(UTF16)
        documents.open(TextDocumentItem(URI, "python", 1, "one\ntwo\n"))
        return documents

    def test_a_snapshot_stays_as_it_was(self, documents: Documents) -> None:
        before = documents.get(URI)
        assert before is not None
        documents.change(URI, 2, [insertion(0, 0, "zero\n")])
        assert before.text == "one\ntwo\n"
        assert not documents.is_current(before)
        after = documents.get(URI)
        assert after is not None
        assert (after.text, after.version) == ("zero\none\ntwo\n", 2)
        assert documents.is_current(after)

    def test_changes_are_made_one_after_the_other(self, documents: Documents) -> None:
        changes: list[TextDocumentContentChangeEvent] = [
            insertion(0, 3, "\n1.5"),
            insertion(1, 3, "!"),
            TextDocumentContentChangePartial(Range(Position(2, 0), Position(3, 0)), ""),
        ]
        documents.change(URI, 2, changes)
        assert text_of(documents) == "one\n1.5!\n"

    def test_a_whole_text_takes_the_place_of_the_old_one(self, documents: Documents) -> None:
        documents.change(URI, 2, [TextDocumentContentChangeWholeDocument("new")])
        assert text_of(documents) == "new"

    def test_an_edit_behind_a_form_feed_lands_where_the_editor_means(self, documents: Documents) -> None:
        documents.change(URI, 2, [TextDocumentContentChangeWholeDocument("a\x0c\nb\n")])
        documents.change(URI, 3, [insertion(1, 1, "!")])
        assert text_of(documents) == "a\x0c\nb!\n"

    def test_one_document_under_two_spellings_of_its_uri(self, documents: Documents) -> None:
        documents.open(TextDocumentItem("file:///c%3A/x.py", "python", 1, "x"))
        documents.change("file:///c:/x.py", 2, [insertion(0, 0, "y")])
        found = documents.get("file:///c%3A/x.py")
        assert found is not None
        assert found.text == "yx"

    def test_a_closed_document_is_unknown_and_edits_of_it_are_ignored(self, documents: Documents) -> None:
        before = documents.get(URI)
        assert before is not None
        documents.close(URI)
        documents.change(URI, 2, [insertion(0, 0, "y")])
        assert documents.get(URI) is None
        assert not documents.is_current(before)


@st.composite
def edit_sessions(draw: st.DrawFn) -> tuple[str, list[list[tuple[int, int, str] | str]]]:
    """A text, and changes of it: each a replaced stretch in characters, or a whole new text."""
    piece = st.text(alphabet="ab\r\n😋é", max_size=6)
    stretch = st.tuples(st.integers(0, 60), st.integers(0, 8), piece)
    change = stretch | st.text(alphabet="ab\r\n😋é", max_size=20)
    return draw(st.text(alphabet="ab\r\n😋é", max_size=30)), draw(
        st.lists(st.lists(change, max_size=3), max_size=8)
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(session=edit_sessions())
def test_random_edits_lead_to_the_text_and_the_positions_of_a_slow_obvious_reference(
    session: tuple[str, list[list[tuple[int, int, str] | str]]], encoding: PositionEncodingKind
) -> None:
    text, versions = session
    documents = Documents(encoding)
    documents.open(TextDocumentItem(URI, "python", 1, text))
    for version, changes in enumerate(versions, start=2):
        sent: list[TextDocumentContentChangeEvent] = []
        for change in changes:
            if isinstance(change, str):
                sent.append(TextDocumentContentChangeWholeDocument(change))
                text = change
                continue
            start = outside_of_crlf(text, min(change[0], len(text)))
            end = outside_of_crlf(text, min(start + change[1], len(text)))
            range_ = Range(position_of(text, start, encoding), position_of(text, end, encoding))
            sent.append(TextDocumentContentChangePartial(range_, change[2]))
            text = text[:start] + change[2] + text[end:]
        documents.change(URI, version, sent)
        found = documents.get(URI)
        assert found is not None
        assert (found.text, found.version) == (text, version)
        for offset in range(len(text) + 1):
            if outside_of_crlf(text, offset) == offset:
                assert found.position(offset) == position_of(text, offset, encoding)


def outside_of_crlf(text: str, offset: int) -> int:
    return offset - (text[offset - 1 : offset + 1] == "\r\n")


def position_of(text: str, offset: int, encoding: PositionEncodingKind) -> Position:
    """By splitting the whole text into its lines."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    codec = {UTF8: ("utf-8", 1), UTF16: ("utf-16-le", 2), UTF32: ("utf-32-le", 4)}[encoding]
    return Position(len(before) - 1, len(before[-1].encode(codec[0])) // codec[1])


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        pytest.param([(0, 0, "xy")], Region(4, 6), id="an insertion before"),
        pytest.param([(0, 2, "")], Region(0, 2), id="a deletion before, up to the region"),
        pytest.param([(4, 5, "x")], Region(2, 4), id="a change behind"),
        pytest.param([(2, 2, "x")], Region(3, 5), id="an insertion at its start"),
        pytest.param([(4, 4, "x")], Region(2, 4), id="an insertion at its end"),
        pytest.param([(3, 3, "x")], None, id="an insertion in it"),
        pytest.param([(1, 3, "")], None, id="a deletion of its beginning"),
        pytest.param([(0, 6, "")], None, id="a deletion of it and more"),
        pytest.param([(0, 0, "xy"), (0, 1, ""), (5, 6, "")], Region(3, 5), id="several"),
    ],
)
def test_a_region_is_followed_through_edits(
    changes: list[tuple[int, int, str]], moved: Region | None
) -> None:
    documents = Documents(UTF16)
    documents.open(TextDocumentItem(URI, "python", 1, "abcdef"))
    for version, (start, end, text) in enumerate(changes, start=2):
        range_ = Range(Position(0, start), Position(0, end))
        documents.change(URI, version, [TextDocumentContentChangePartial(range_, text)])
    assert documents.moved(URI, 1, Region(2, 4)) == moved


def test_a_region_survives_a_new_text_that_leaves_it_alone() -> None:
    documents = Documents(UTF16)
    documents.open(TextDocumentItem(URI, "python", 1, "abcdef"))
    documents.change(URI, 2, [TextDocumentContentChangeWholeDocument("xabcdef")])
    assert documents.moved(URI, 1, Region(2, 4)) == Region(3, 5)
    documents.change(URI, 3, [TextDocumentContentChangeWholeDocument("all is new")])
    assert documents.moved(URI, 1, Region(2, 4)) is None
    documents.close(URI)
    assert documents.moved(URI, 3, Region(0, 0)) is None


@given(before=TEXTS, after=TEXTS)
def test_an_edit_between_two_texts_is_what_they_differ_in(before: str, after: str) -> None:
    edit = Edit.between(before, after)
    assert before[: edit.start] + after[edit.start : edit.start + edit.length] + before[edit.end :] == after


def insertion(line: int, character: int, text: str) -> TextDocumentContentChangePartial:
    position = Position(line, character)
    return TextDocumentContentChangePartial(Range(position, position), text)


def text_of(documents: Documents) -> str:
    found = documents.get(URI)
    assert found is not None
    return found.text
