"""The open documents as the editor knows them, and the only place where its positions become character offsets.

A document is an immutable snapshot: a request keeps the one it was asked about while the user types on. The text is
kept here and not by pygls, whose lines also end at form feeds and other characters that end no line in the protocol.
The last edits of each document are kept too, so that a place in an older snapshot can be found in the newest one.

A cell of a notebook is a document; what stands in the cells before and behind it is known here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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

from dgemma_lsp.text.edit import Edit
from dgemma_lsp.text.languages import language_id
from dgemma_lsp.text.line_breaks import to_lf
from dgemma_lsp.text.line_starts import LineStarts
from dgemma_lsp.text.masked import Region

MOST_EDITS = 500
"""Of each document that are kept: a pending edit that is older than so many keystrokes is given up."""


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
        return path_of(self.uri)

    def offset(self, position: Position) -> int:
        """The character offset of a position.

        A position behind the end of its line means the line's end, one behind the last line the document's end, one
        inside of a character that character's start.
        """
        if position.line >= len(self._lines):
            return len(self.text)
        start, end = self._lines.start(position.line), self._line_end(position.line)
        return start + _characters(self.text[start:end], position.character, self.encoding)

    def position(self, offset: int) -> Position:
        """The position of a character offset, which must not lie between CR and LF."""
        line = self._lines.at(offset)
        return Position(line, _units(self.text[self._lines.start(line) : offset], self.encoding))

    def region(self, range_: Range) -> Region:
        """The characters of a range; its ends may be given in any order."""
        start, end = sorted((self.offset(range_.start), self.offset(range_.end)))
        return Region(start, end)

    def range(self, region: Region) -> Range:
        """The range of a region."""
        return Range(self.position(region.start), self.position(region.end))

    @property
    def lf_text(self) -> str:
        """The text with LF line endings, in the same lines."""
        return to_lf(self.text)

    def from_lf(self, region: Region) -> Region:
        """The region of `text` that a region of `lf_text` stands for, which must lie within a line."""
        line = self.lf_text.count("\n", 0, region.start)
        column = region.start - (self.lf_text.rfind("\n", 0, region.start) + 1)
        start = self._lines.start(line) + column
        return Region(start, start + region.end - region.start)

    def changed(
        self, version: int, changes: Sequence[TextDocumentContentChangeEvent]
    ) -> tuple[Snapshot, list[Edit]]:
        """The next version of the document, and the edits that lead to it: the changes are made one after the other."""
        after, edits = self, []
        for change in changes:
            text, edit = after._after(change)
            following = replace(after, text=text)
            after._pass_lines_on(following, edit)
            after = following
            edits.append(edit)
        return after._renamed(version), edits

    def _after(self, change: TextDocumentContentChangeEvent) -> tuple[str, Edit]:
        if not isinstance(change, TextDocumentContentChangePartial):
            return change.text, Edit.between(self.text, change.text)
        region = self.region(change.range)
        text = "".join((self.text[: region.start], change.text, self.text[region.end :]))
        return text, Edit(region.start, region.end, len(change.text))

    def _renamed(self, version: int) -> Snapshot:
        after = replace(self, version=version)
        self._pass_lines_on(after, Edit(0, 0, 0))
        return after

    def _pass_lines_on(self, after: Snapshot, edit: Edit) -> None:
        """Nobody looks at the lines of an older version as often as at those of the newest, which get ours."""
        if (lines := self.__dict__.pop("_lines", None)) is not None:
            if after.text is not self.text:
                lines.follow(edit, after.text)
            after.__dict__["_lines"] = lines

    def find_lines(self) -> None:
        """Find where the lines begin now, not at the first key."""
        len(self._lines)

    @cached_property
    def _lines(self) -> LineStarts:
        return LineStarts(self.text)

    def _line_end(self, line: int) -> int:
        if line + 1 == len(self._lines):
            return len(self.text)
        end = self._lines.start(line + 1) - 1
        return end - 1 if self.text[end - 1 : end + 1] == "\r\n" else end


@dataclass(slots=True)
class _Open:
    """An open document.

    Attributes:
        snapshot: the newest.
        edits: the last ones, with the version that each of them belongs to.
    """

    snapshot: Snapshot
    edits: deque[tuple[int, Edit]] = field(default_factory=lambda: deque(maxlen=MOST_EDITS))


class Documents:
    """The open documents, in their newest versions.

    Args:
        encoding: what the editor counts in within a line, as agreed on in ``initialize``.
    """

    def __init__(self, encoding: PositionEncodingKind) -> None:
        self._encoding = encoding
        self._open: dict[str, _Open] = {}
        self._notebooks: dict[str, list[str]] = {}

    def open(self, item: TextDocumentItem) -> None:
        language = language_id(item.language_id, urlsplit(item.uri).path)
        snapshot = Snapshot(item.uri, item.version, language, item.text, self._encoding)
        snapshot.find_lines()
        self._open[unquote(item.uri)] = _Open(snapshot)

    def change(self, uri: str, version: int, changes: Sequence[TextDocumentContentChangeEvent]) -> None:
        """Apply an edit; one of a document that was never opened has nothing to be applied to, and is ignored."""
        if (document := self._open.get(unquote(uri))) is not None:
            document.snapshot, edits = document.snapshot.changed(version, changes)
            document.edits.extend((version, edit) for edit in edits)
            # So the last ones are those that were edited last.
            self._open[unquote(uri)] = self._open.pop(unquote(uri))

    def close(self, uri: str) -> None:
        self._open.pop(unquote(uri), None)

    def get(self, uri: str) -> Snapshot | None:
        """The newest version of a document, or None when it isn't open."""
        # The same document may come as file:///c%3A/x.py and file:///c:/x.py, depending on the message.
        document = self._open.get(unquote(uri))
        return None if document is None else document.snapshot

    def __iter__(self) -> Iterator[Snapshot]:
        """The open documents, the last one that was opened or edited first."""
        return (document.snapshot for document in reversed(list(self._open.values())))

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether the document is still open and still as it was."""
        return self.get(snapshot.uri) is snapshot

    def moved(self, uri: str, version: int, region: Region) -> Region | None:
        """Where a region of an older version is in the newest one.

        Returns:
            None when its text was edited, or when the version is not known any more.
        """
        document = self._open.get(unquote(uri))
        if document is None or version > document.snapshot.version:
            return None
        edits = [edit for made_in, edit in document.edits if made_in > version]
        if len(edits) == MOST_EDITS:
            return None
        moved: Region | None = region
        for edit in edits:
            moved = moved and edit.moved(moved)
        return moved

    # Notebooks

    def arrange(self, notebook: str, cells: Iterable[str]) -> None:
        """Note which cells a notebook has, in their order; none: it was closed."""
        self._notebooks[notebook] = [unquote(uri) for uri in cells]
        if not self._notebooks[notebook]:
            del self._notebooks[notebook]

    def cells(self, notebook: str) -> list[str]:
        """The cells of a notebook, in their order."""
        return list(self._notebooks.get(notebook, ()))

    def notebook(self, uri: str) -> str | None:
        """The notebook that a document is a cell of."""
        return next((name for name, cells in self._notebooks.items() if unquote(uri) in cells), None)

    def around(self, uri: str) -> tuple[list[Snapshot], list[Snapshot]]:
        """The cells before and behind a document that is one, those in its own language."""
        own, notebook = self.get(uri), self.notebook(uri)
        if own is None or notebook is None:
            return [], []
        cells = self._notebooks[notebook]
        at = cells.index(unquote(uri))
        return self._alike(cells[:at], own), self._alike(cells[at + 1 :], own)

    def _alike(self, cells: Iterable[str], own: Snapshot) -> list[Snapshot]:
        found = (self.get(uri) for uri in cells)
        return [one for one in found if one is not None and one.language == own.language]


def path_of(uri: str) -> str | None:
    """The path of a file; None for what is none."""
    return to_fs_path(uri) if urlsplit(uri).scheme == "file" else None


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
