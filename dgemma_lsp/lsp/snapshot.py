"""One version of a document, and the only place where the editor's positions become character offsets.

The text is kept here and not by pygls, whose lines also end at form feeds and other characters that end no line in the
protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import urlsplit

from lsprotocol.types import (
    Position,
    PositionEncodingKind,
    Range,
    TextDocumentContentChangeEvent,
    TextDocumentContentChangePartial,
)
from pygls.uris import to_fs_path

from dgemma_lsp.text.edit import Edit
from dgemma_lsp.text.line_breaks import to_lf
from dgemma_lsp.text.line_starts import LineStarts
from dgemma_lsp.text.masked import Region

_NO_EDIT = Edit(0, 0, 0)


class LineIndex:
    """Where the lines of one version begin, found when somebody asks.

    The next version takes the lines over and only puts right what its edit has changed. The older version would have
    to find its lines again, but hardly anybody asks about those.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: LineStarts | None = None

    @property
    def lines(self) -> LineStarts:
        if self._found is None:
            self._found = LineStarts(self._text)
        return self._found

    def handed_over(self, edit: Edit, text: str) -> LineIndex:
        """Return the index of the next version, which an edit has turned into ``text``."""
        following = LineIndex(text)
        following._found, self._found = self._found, None
        if following._found is not None and text is not self._text:
            following._found.follow(edit, text)
        return following


@dataclass(frozen=True)
class Snapshot:
    """One version of an open document.

    Attributes:
        uri: as the editor spells it.
        version: as the editor counts it.
        language: what editors call the language; None if neither the editor nor the file's name tells.
        text: with the document's own line endings.
        encoding: what the editor counts in within a line: bytes, UTF-16 units or characters.
        inherited: where the lines begin, if the version before this one knew.
    """

    uri: str
    version: int
    language: str | None
    text: str
    encoding: PositionEncodingKind
    inherited: LineIndex | None = field(default=None, repr=False, compare=False)

    @property
    def path(self) -> str | None:
        """The file's path; None if the document is not a file."""
        return path_of(self.uri)

    @property
    def lf_text(self) -> str:
        """The text with LF line endings, in the same lines."""
        return to_lf(self.text)

    def offset(self, position: Position) -> int:
        """Return the character offset of a position.

        A position behind the end of its line means the end of the line, one behind the last line means the end of the
        document, and one inside a character means the start of that character.
        """
        lines = self._index.lines
        if position.line >= len(lines):
            return len(self.text)
        start, end = lines.start(position.line), self._line_end(position.line)
        return start + _characters(self.text[start:end], position.character, self.encoding)

    def position(self, offset: int) -> Position:
        """Return the position of a character offset, which must not lie between CR and LF."""
        lines = self._index.lines
        line = lines.at(offset)
        return Position(line, _units(self.text[lines.start(line) : offset], self.encoding))

    def region(self, range_: Range) -> Region:
        """Return the characters of a range, whose ends may come in any order."""
        start, end = sorted((self.offset(range_.start), self.offset(range_.end)))
        return Region(start, end)

    def range(self, region: Region) -> Range:
        """Return the range of a region."""
        return Range(self.position(region.start), self.position(region.end))

    def from_lf(self, region: Region) -> Region:
        """Return the region of `text` for a region of `lf_text`, which must lie within a line."""
        line = self.lf_text.count("\n", 0, region.start)
        column = region.start - (self.lf_text.rfind("\n", 0, region.start) + 1)
        start = self._index.lines.start(line) + column
        return Region(start, start + region.end - region.start)

    def find_lines(self) -> None:
        """Find where the lines begin now, so that the first key need not wait for it."""
        len(self._index.lines)

    def changed(
        self, version: int, changes: Sequence[TextDocumentContentChangeEvent]
    ) -> tuple[Snapshot, list[Edit]]:
        """Make changes one after the other; return the next version and the edits that lead to it."""
        after = self._followed_by(version, self.text, _NO_EDIT)
        edits = []
        for change in changes:
            text, edit = after._after(change)
            after = after._followed_by(version, text, edit)
            edits.append(edit)
        return after, edits

    def _after(self, change: TextDocumentContentChangeEvent) -> tuple[str, Edit]:
        if not isinstance(change, TextDocumentContentChangePartial):
            return change.text, Edit.between(self.text, change.text)
        region = self.region(change.range)
        text = "".join((self.text[: region.start], change.text, self.text[region.end :]))
        return text, Edit(region.start, region.end, len(change.text))

    def _followed_by(self, version: int, text: str, edit: Edit) -> Snapshot:
        index = self._index.handed_over(edit, text)
        return replace(self, version=version, text=text, inherited=index)

    @cached_property
    def _index(self) -> LineIndex:
        return self.inherited or LineIndex(self.text)

    def _line_end(self, line: int) -> int:
        lines = self._index.lines
        if line + 1 == len(lines):
            return len(self.text)
        end = lines.start(line + 1) - 1
        return end - 1 if self.text[end - 1 : end + 1] == "\r\n" else end


def path_of(uri: str) -> str | None:
    """Return the path of a file; None if the URI is not that of a file."""
    return to_fs_path(uri) if urlsplit(uri).scheme == "file" else None


def _units(text: str, encoding: PositionEncodingKind) -> int:
    """Return the length of a text in the editor's units."""
    if encoding is PositionEncodingKind.Utf32 or text.isascii():
        return len(text)
    if encoding is PositionEncodingKind.Utf16:
        return len(text) + sum(character > "\uffff" for character in text)
    return len(text.encode("utf-8", "surrogatepass"))


def _characters(line: str, units: int, encoding: PositionEncodingKind) -> int:
    """Return how many whole characters of a line fit into a number of the editor's units."""
    if encoding is PositionEncodingKind.Utf32 or line.isascii():
        return min(units, len(line))
    left = units
    for index, character in enumerate(line):
        left -= _units(character, encoding)
        if left < 0:
            return index
    return len(line)
