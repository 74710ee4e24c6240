"""The masked document: a text and the regions of it that may change.

Everything else in the product speaks of these two values. They know nothing of LSP positions, files or models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dgemma_model.protocol import ContextPiece


class RegionError(ValueError):
    """A region that cannot be filled. The message is one sentence for the user."""


@dataclass(frozen=True, slots=True, order=True)
class Region:
    """A half-open range of *character* offsets that may change. If ``start == end``, it is an insertion point."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise RegionError(f"A region must not end before it starts, but {self.start}:{self.end} does.")

    def of(self, text: str) -> str:
        """Return the characters of a text that lie in the region."""
        return text[self.start : self.end]

    def shifted(self, by: int) -> Region:
        """Return the region that lies so many characters further on; a negative number moves it back."""
        return Region(self.start + by, self.end + by)

    def contains(self, other: Region) -> bool:
        """Return whether another region lies inside this one; a region contains itself."""
        return self.start <= other.start and other.end <= self.end


def outermost(regions: Iterable[Region]) -> Iterator[Region]:
    """Return the regions in document order, without those that begin inside another one."""
    end = -1
    for region in sorted(regions, key=lambda region: (region.start, -region.end)):
        if region.start >= end:
            yield region
            end = region.end


@dataclass(frozen=True, slots=True)
class MaskedDocument:
    """A document's text with its regions, in document order and without overlap.

    Attributes:
        text: the whole document.
        regions: the parts that may change.
        path: the document's file, if it has one.
        language: what editors call the document's language.
        instruction: what the user wants, in their own words.
        markers: what the user writes where something is to be filled in.
        context: texts from elsewhere that may be copied from, with LF line endings.

    Raises:
        RegionError: there is no region, a region lies outside the text, or two regions overlap or are the same.
    """

    text: str
    regions: tuple[Region, ...]
    path: str | None = None
    language: str | None = None
    instruction: str | None = None
    markers: tuple[str, ...] = ()
    context: tuple[ContextPiece, ...] = ()

    def __post_init__(self) -> None:
        if not self.regions:
            raise RegionError("There is no region to fill; name at least one.")
        for before, after in zip(self.regions, self.regions[1:], strict=False):
            if after.start < before.end or after == before:
                raise RegionError(
                    f"Regions must be in order and must not overlap, but {before.start}:{before.end} and "
                    f"{after.start}:{after.end} do not."
                )
        if self.regions[-1].end > len(self.text):
            raise RegionError(
                f"Region {self.regions[-1].start}:{self.regions[-1].end} lies outside the text of "
                f"{len(self.text)} characters."
            )

    @property
    def segments(self) -> tuple[str, ...]:
        """The fixed text before, between and after the regions: one segment more than there are regions."""
        starts = [0, *(region.end for region in self.regions)]
        ends = [*(region.start for region in self.regions), len(self.text)]
        return tuple(self.text[start:end] for start, end in zip(starts, ends, strict=True))

    @property
    def present(self) -> tuple[str, ...]:
        """The text that each region has now."""
        return tuple(region.of(self.text) for region in self.regions)

    def filled(self, fills: Sequence[str]) -> str:
        """Return the text with each region replaced by its fill. The segments are copied as they are.

        Args:
            fills: one text for each region, in document order.
        """
        if len(fills) != len(self.regions):
            raise ValueError(f"{len(self.regions)} regions need as many fills, not {len(fills)}.")
        segments = self.segments
        return "".join(part for pair in zip(segments, (*fills, ""), strict=True) for part in pair)
