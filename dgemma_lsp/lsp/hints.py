"""Hints at what may be wrong in the open documents. They follow the text around them and go when their own is edited.

This module knows nothing about the protocol or about engines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dgemma_lsp.lsp.documents import Documents
from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.text.masked import Region


@dataclass(frozen=True, slots=True)
class PlacedHint:
    """A hint at what may be wrong.

    Attributes:
        version: the version of the document that ``region`` belongs to.
        region: the word or sign.
        replacement: what would be likelier there.
        confidence: 0..1.
    """

    version: int
    region: Region
    replacement: str
    confidence: float


class Hints:
    """The hints of each document that was proofread.

    Args:
        documents: the open documents, which know where a region has moved to.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._hints: dict[str, list[PlacedHint]] = {}

    def read_documents(self) -> list[str]:
        """Return the URIs of the documents that were proofread."""
        return list(self._hints)

    def current(self, document: Snapshot) -> list[PlacedHint]:
        """Return the hints whose text is as it was, where they are now."""
        moved = ((hint, self._region(document, hint)) for hint in self._hints.get(document.uri, ()))
        return [
            replace(hint, version=document.version, region=region)
            for hint, region in moved
            if region is not None
        ]

    def put(self, document: Snapshot, hints: Iterable[PlacedHint]) -> None:
        """Replace all hints of a document."""
        self._hints[document.uri] = list(hints)

    def put_in_lines(self, document: Snapshot, lines: Sequence[Region], hints: Iterable[PlacedHint]) -> None:
        """Replace the hints that begin in some lines of a document."""
        self._hints[document.uri] = [*self._outside(document, lines), *hints]

    def follow(self, document: Snapshot) -> bool:
        """Move hints along with a document that has changed, and return whether some of them went."""
        before = len(self._hints.get(document.uri, ()))
        if before:
            self._hints[document.uri] = self.current(document)
        return len(self._hints.get(document.uri, ())) < before

    def forget(self, document: Snapshot) -> bool:
        """Forget a document that is being closed, and return whether it had hints."""
        return bool(self._hints.pop(document.uri, ()))

    def _outside(self, document: Snapshot, lines: Sequence[Region]) -> list[PlacedHint]:
        return [
            hint
            for hint in self._hints.get(document.uri, ())
            if (region := self._region(document, hint))
            and not any(line.start <= region.start < line.end for line in lines)
        ]

    def _region(self, document: Snapshot, hint: PlacedHint) -> Region | None:
        return self._documents.moved(document.uri, hint.version, hint.region)
