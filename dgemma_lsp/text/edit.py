"""One change of a text, and where it moves the regions of that text."""

from __future__ import annotations

from dataclasses import dataclass

from dgemma_lsp.text.masked import Region
from dgemma_model.protocol import unchanged_ends


@dataclass(frozen=True, slots=True)
class Edit:
    """A piece of a text was replaced by another one.

    Attributes:
        start: where the replaced piece began.
        end: where it ended, exclusive.
        length: how many characters the new piece has.
    """

    start: int
    end: int
    length: int

    @classmethod
    def between(cls, before: str, after: str) -> Edit:
        """Return the smallest edit that turns one text into another."""
        head, tail = unchanged_ends(before, after)
        return cls(head, len(before) - tail, len(after) - tail - head)

    @property
    def growth(self) -> int:
        """By how many characters the text became longer."""
        return self.length - (self.end - self.start)

    def moved(self, region: Region) -> Region | None:
        """Return where a region is after the edit; None if the edit changed it, or wrote at an empty one."""
        if region.start == region.end == self.start == self.end:
            return None
        if self.end <= region.start:
            return region.shifted(self.growth)
        return region if region.end <= self.start else None
