"""Regions that are framed by new fixed text, such as the quotes around a docstring that is yet to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgemma_lsp.text.masked import Region


@dataclass(frozen=True, slots=True)
class Frame:
    """A region, and fixed text on both sides that is not in the document yet."""

    region: Region
    before: str = ""
    after: str = ""

    def shifted(self, by: int) -> Frame:
        """Return the same frame so many characters further on."""
        return Frame(self.region.shifted(by), self.before, self.after)


def framed(text: str, frames: Sequence[Frame]) -> tuple[str, tuple[Region, ...]]:
    """Return the text with its frames in place, and where their regions are in it.

    Args:
        text: the whole document.
        frames: in document order, without overlap.
    """
    parts: list[str] = []
    regions: list[Region] = []
    copied = length = 0
    for frame in frames:
        region = frame.region
        start = length + region.start - copied + len(frame.before)
        regions.append(Region(start, start + region.end - region.start))
        length = regions[-1].end + len(frame.after)
        parts += text[copied : region.start], frame.before, region.of(text), frame.after
        copied = region.end
    return "".join([*parts, text[copied:]]), tuple(regions)
