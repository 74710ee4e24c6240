"""The open documents as the editor knows them.

A document is an immutable snapshot: a request keeps the one it was asked about while the user types on. The last edits
of each document are kept too, so that a region of an older snapshot can be found in the newest one.

A cell of a notebook is a document. The cells before and behind it are known here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from lsprotocol.types import PositionEncodingKind, TextDocumentContentChangeEvent, TextDocumentItem

from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.text.edit import Edit
from dgemma_lsp.text.languages import language_id
from dgemma_lsp.text.masked import Region

MOST_EDITS = 500
"""How many edits of a document are kept. A pending change that is older than so many keystrokes is given up."""


@dataclass(slots=True)
class _OpenDocument:
    """An open document.

    Attributes:
        snapshot: the newest one.
        edits: the last ones, each with the version that it has led to.
    """

    snapshot: Snapshot
    edits: deque[tuple[int, Edit]] = field(default_factory=lambda: deque(maxlen=MOST_EDITS))


class Documents:
    """The open documents, in their newest versions.

    Args:
        encoding: what the editor counts in within a line, until `agree_on` says otherwise.
    """

    def __init__(self, encoding: PositionEncodingKind = PositionEncodingKind.Utf16) -> None:
        self._encoding = encoding
        self._open: dict[str, _OpenDocument] = {}
        self._notebooks: dict[str, list[str]] = {}

    def agree_on(self, encoding: PositionEncodingKind) -> None:
        """Count in what editor and server have agreed on in ``initialize``; no document is open then."""
        self._encoding = encoding
        self._open.clear()
        self._notebooks.clear()

    def open(self, item: TextDocumentItem) -> None:
        language = language_id(item.language_id, urlsplit(item.uri).path)
        snapshot = Snapshot(item.uri, item.version, language, item.text, self._encoding)
        snapshot.find_lines()
        self._open[unquote(item.uri)] = _OpenDocument(snapshot)

    def change(self, uri: str, version: int, changes: Sequence[TextDocumentContentChangeEvent]) -> None:
        """Make changes. Those of a document that was never opened are ignored."""
        if (document := self._open.get(unquote(uri))) is not None:
            document.snapshot, edits = document.snapshot.changed(version, changes)
            document.edits.extend((version, edit) for edit in edits)
            # The document that was changed last comes last.
            self._open[unquote(uri)] = self._open.pop(unquote(uri))

    def close(self, uri: str) -> None:
        self._open.pop(unquote(uri), None)

    def get(self, uri: str) -> Snapshot | None:
        """Return the newest version of a document; None if it is not open."""
        # Messages may spell the same document file:///c%3A/x.py and file:///c:/x.py.
        document = self._open.get(unquote(uri))
        return None if document is None else document.snapshot

    def __iter__(self) -> Iterator[Snapshot]:
        """The open documents; those that were opened or changed last come first."""
        return (document.snapshot for document in reversed(list(self._open.values())))

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether the document is still open and has not changed."""
        return self.get(snapshot.uri) is snapshot

    def moved(self, uri: str, version: int, region: Region) -> Region | None:
        """Find a region of an older version in the newest one.

        Returns:
            None if its text was edited, or if the version is no longer known.
        """
        document = self._open.get(unquote(uri))
        if document is None or version > document.snapshot.version:
            return None
        edits = [edit for edited_version, edit in document.edits if edited_version > version]
        if len(edits) == MOST_EDITS:
            return None
        moved: Region | None = region
        for edit in edits:
            moved = moved and edit.moved(moved)
        return moved

    # Notebooks

    def arrange(self, notebook: str, cells: Iterable[str]) -> None:
        """Note which cells a notebook has, in order. A notebook without cells is closed."""
        self._notebooks[notebook] = [unquote(uri) for uri in cells]
        if not self._notebooks[notebook]:
            del self._notebooks[notebook]

    def cells(self, notebook: str) -> list[str]:
        """Return the cells of a notebook, in order."""
        return list(self._notebooks.get(notebook, ()))

    def notebook(self, uri: str) -> str | None:
        """Return the notebook that a document is a cell of; None if it is not a cell."""
        return next((name for name, cells in self._notebooks.items() if unquote(uri) in cells), None)

    def around(self, uri: str) -> tuple[list[Snapshot], list[Snapshot]]:
        """Return the cells before and behind a cell that are in the same language."""
        own, notebook = self.get(uri), self.notebook(uri)
        if own is None or notebook is None:
            return [], []
        cells = self._notebooks[notebook]
        at = cells.index(unquote(uri))
        return self._alike(cells[:at], own), self._alike(cells[at + 1 :], own)

    def _alike(self, cells: Iterable[str], own: Snapshot) -> list[Snapshot]:
        open_cells = filter(None, map(self.get, cells))
        return [cell for cell in open_cells if cell.language == own.language]
