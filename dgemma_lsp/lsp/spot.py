"""Where a completion is wanted: at the cursor, or behind the selected entry of the editor's own list."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lsprotocol.types import Position, SelectedCompletionInfo

from dgemma_lsp.lsp.snapshot import Snapshot
from dgemma_lsp.text.masked import Region


@dataclass(frozen=True)
class Spot:
    """Where a completion is wanted.

    Attributes:
        document: the document as it is.
        replaced: what the selected entry of the editor's list would replace; the cursor if none is selected.
        chosen: the text of that entry.
    """

    document: Snapshot
    replaced: Region
    chosen: str = ""

    @classmethod
    def of(cls, document: Snapshot, position: Position, selected: SelectedCompletionInfo | None) -> Spot:
        if selected is not None:
            return cls(document, document.region(selected.range), selected.text)
        cursor = document.offset(position)
        return cls(document, Region(cursor, cursor))

    @cached_property
    def text(self) -> str:
        """The document with the selected entry put in."""
        before, after = self.document.text[: self.replaced.start], self.document.text[self.replaced.end :]
        return before + self.chosen + after

    @property
    def cursor(self) -> int:
        """A character offset in `text`."""
        return self.replaced.start + len(self.chosen)
