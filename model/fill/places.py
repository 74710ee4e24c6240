"""Where a network is to write: what stands around one region, and how far its text may reach. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dgemma_model.layouts.masked import MaskedText, stem

_INDENTATION = re.compile(r"(?:^|(?<=\n))[ \t]*[ \t]\Z")
_GAP = "\0"


class Extent(Enum):
    """How far a text may reach."""

    INSIDE = "inside a line"
    LINE = "to the end of the line"
    BLOCK = "over several lines"


@dataclass(frozen=True, slots=True)
class Place:
    """One region, with the regions before it filled.

    Attributes:
        before: the text before it, up to where a token begins.
        stem: the known beginning of what is to be written: the end of the text before the region.
        rest: what stands behind it in its line, without blanks at the end.
        below: the text below its line.
        extent: how far its text may reach.
        tail: what its text must end with besides: the line end that the region holds, if any.
    """

    before: str
    stem: str
    rest: str
    below: str
    extent: Extent
    tail: str = ""

    @property
    def line(self) -> str:
        """The beginning of the line that the text is to go on from, without the stem."""
        return self.before[self.before.rfind("\n") + 1 :]

    @property
    def empty(self) -> bool:
        """Whether nothing but blanks stands in its line."""
        return not (self.line + self.stem + self.rest).strip()


def place_of(masked: MaskedText, region: int, fills: Sequence[str], single_line: bool) -> Place:
    """Describe the place of a region.

    Args:
        masked: the document.
        region: its index.
        fills: the texts of the regions before it.
        single_line: whether no region may get more than one line.
    """
    before, present = masked.until(region, fills), masked.present[region]
    begun = known_beginning(before)
    before = before[: len(before) - len(begun)]
    own, below = _behind(masked, region)
    fresh = not (before[before.rfind("\n") + 1 :] + begun).strip()
    if fresh and present.endswith("\n"):  # it holds whole lines
        extent, below = Extent.LINE if single_line else Extent.BLOCK, f"{own}\n{below}"
        return Place(before, begun, "", below, extent, "\n")
    one = single_line or ("\n" not in present and bool(present.strip()) and not fresh)
    extent = Extent.INSIDE if own.strip() else Extent.LINE if one else Extent.BLOCK
    return Place(before, begun, own.rstrip(), below, extent)


def known_beginning(before: str) -> str:
    """Find the end of a text that belongs to the first token behind it.

    It is a word or a sign with its space, as for every layout; here the last blank of an indentation as well, because
    the tokens of a base hold it together with the word behind it.
    """
    if _INDENTATION.search(before, before.rfind("\n") + 1):
        return before[-1]
    return stem(before)


def _behind(masked: MaskedText, region: int) -> tuple[str, str]:
    """What stands behind a region in its line, and the lines below.

    Lines with later regions are left out: with a gap in them, they would teach the network to leave gaps.
    """
    line, _, below = _GAP.join(masked.segments[region + 1 :]).partition("\n")
    return line.partition(_GAP)[0], "\n".join(each for each in below.split("\n") if _GAP not in each)
