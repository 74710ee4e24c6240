"""The open documents as the editor knows them, and the only place where its positions become character offsets.

A document is an immutable snapshot: a request keeps the one it was asked about while the user types on. The text is
kept here and not by pygls, whose lines also end at form feeds and other characters that end no line in the protocol.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from lsprotocol.types import (
    Position,
    PositionEncodingKind,
    Range,
    TextDocumentContentChangeEvent,
    TextDocumentContentChangePartial,
    TextDocumentItem,
)
from pygls.uris import to_fs_path

from dgemma_lsp.masked import Region

_LINE_BREAK = re.compile(r"\r\n|\r|\n")

_LANGUAGES = MappingProxyType({".py": "python", ".pyi": "python", ".pyw": "python"})
_NO_LANGUAGE = ("", "plaintext", "text")


@dataclass(frozen=True)
class Snapshot:
    """One version of an open document.

    Attributes:
        uri: as the editor spells it.
        version: counted by the editor.
        language: "python", …; None when neither the editor nor the file's name tells.
        text: with the document's own line endings.
        encoding: what the editor counts in within a line: bytes, UTF-16 units or characters.
    """

    uri: str
    version: int
    language: str | None
    text: str
    encoding: PositionEncodingKind

    @property
    def path(self) -> str | None:
        """The file's path, or None when the document is not a file."""
        return to_fs_path(self.uri) if urlsplit(self.uri).scheme == "file" else None

    def offset(self, position: Position) -> int:
        """The character offset of a position.

        A position behind the end of its line means the line's end, one behind the last line the document's end, one
        inside of a character that character's start.
        """
        if position.line >= len(self._line_starts):
            return len(self.text)
        start, end = self._line_starts[position.line], self._line_end(position.line)
        return start + _characters(self.text[start:end], position.character, self.encoding)

    def position(self, offset: int) -> Position:
        """The position of a character offset, which must not lie between CR and LF."""
        line = bisect_right(self._line_starts, offset) - 1
        return Position(line, _units(self.text[self._line_starts[line] : offset], self.encoding))

    def region(self, range_: Range) -> Region:
        """The characters of a range; its ends may be given in any order."""
        start, end = sorted((self.offset(range_.start), self.offset(range_.end)))
        return Region(start, end)

    def range(self, region: Region) -> Range:
        """The range of a region."""
        return Range(self.position(region.start), self.position(region.end))

    def changed(self, version: int, changes: Sequence[TextDocumentContentChangeEvent]) -> Snapshot:
        """The next version of the document: the changes are made one after the other."""
        after = self
        for change in changes:
            after = replace(after, text=after._text_after(change))
        return replace(after, version=version)

    def _text_after(self, change: TextDocumentContentChangeEvent) -> str:
        if not isinstance(change, TextDocumentContentChangePartial):
            return change.text
        region = self.region(change.range)
        return self.text[: region.start] + change.text + self.text[region.end :]

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(line_break.end() for line_break in _LINE_BREAK.finditer(self.text))]

    def _line_end(self, line: int) -> int:
        if line + 1 == len(self._line_starts):
            return len(self.text)
        end = self._line_starts[line + 1] - 1
        return end - 1 if self.text[end - 1 : end + 1] == "\r\n" else end


class Documents:
    """The open documents, in their newest versions.

    Args:
        encoding: what the editor counts in within a line, as agreed on in ``initialize``.
    """

    def __init__(self, encoding: PositionEncodingKind) -> None:
        self._encoding = encoding
        self._snapshots: dict[str, Snapshot] = {}

    def open(self, item: TextDocumentItem) -> None:
        language = language_of(item.language_id, item.uri)
        self._snapshots[unquote(item.uri)] = Snapshot(
            item.uri, item.version, language, item.text, self._encoding
        )

    def change(self, uri: str, version: int, changes: Sequence[TextDocumentContentChangeEvent]) -> None:
        """Apply an edit; one of a document that was never opened has nothing to be applied to, and is ignored."""
        if snapshot := self.get(uri):
            self._snapshots[unquote(uri)] = snapshot.changed(version, changes)

    def close(self, uri: str) -> None:
        self._snapshots.pop(unquote(uri), None)

    def get(self, uri: str) -> Snapshot | None:
        """The newest version of a document, or None when it isn't open."""
        # The same document may come as file:///c%3A/x.py and file:///c:/x.py, depending on the message.
        return self._snapshots.get(unquote(uri))

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether the document is still open and still as it was."""
        return self.get(snapshot.uri) is snapshot


def language_of(language_id: str, uri: str) -> str | None:
    """The language the editor names, or else the one that the name of the file tells."""
    if language_id.lower() not in _NO_LANGUAGE:
        return language_id.lower()
    return _LANGUAGES.get(PurePosixPath(urlsplit(uri).path).suffix.lower())


def _units(text: str, encoding: PositionEncodingKind) -> int:
    """The length of a text in the editor's units."""
    if encoding is PositionEncodingKind.Utf32 or text.isascii():
        return len(text)
    if encoding is PositionEncodingKind.Utf16:
        return len(text) + sum(character > "\uffff" for character in text)
    return len(text.encode("utf-8", "surrogatepass"))


def _characters(line: str, units: int, encoding: PositionEncodingKind) -> int:
    """How many whole characters of a line fit into a number of the editor's units."""
    if encoding is PositionEncodingKind.Utf32 or line.isascii():
        return min(units, len(line))
    left = units
    for index, character in enumerate(line):
        left -= _units(character, encoding)
        if left < 0:
            return index
    return len(line)
