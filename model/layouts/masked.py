"""A masked document as every layout takes it: fixed segments, and regions that begin where a token begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dgemma_model.errors import ModelError

_LONGEST_STEM = 40  # characters that are searched
_STEM = re.compile(  # a word or a run of signs, with the space before it; or a space; but no indentation
    r"(?:(?<=\S) )?(?:\b\w{1,32}|(?<![^\w\s])[^\w\s]{1,8})\Z|(?<=\S) \Z"
)


@dataclass(frozen=True, slots=True)
class MaskedText:
    """The fixed texts around the regions, and the text that stands in the regions now.

    Attributes:
        segments: the fixed texts before, between and behind the regions.
        present: the text that stands in each region now.
        stems: the beginning of each region that is known, once `healed` has moved it from the segment before.

    Raises:
        ModelError: there is no region, or the number of segments does not fit.
    """

    segments: tuple[str, ...]
    present: tuple[str, ...]
    stems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.present or len(self.segments) != len(self.present) + 1:
            raise ModelError(
                f"{len(self.present)} regions need {len(self.present) + 1} segments, not {len(self.segments)}."
            )

    def healed(self) -> MaskedText:
        """Move the stem of each region from the segment before it into the region ("token healing")."""
        stems = tuple(stem(segment) for segment in self.segments[:-1])
        segments = [text[: len(text) - len(part)] for text, part in zip(self.segments, stems, strict=False)]
        return MaskedText((*segments, self.segments[-1]), self.present, stems)

    def until(self, region: int, fills: Sequence[str]) -> str:
        """Join the text before a region, with ``fills`` in the regions before it."""
        parts = [part for pair in zip(self.segments, fills[:region], strict=False) for part in pair]
        return "".join([*parts, self.segments[region]])

    def behind(self, region: int) -> str:
        """Join the fixed texts behind a region."""
        return "".join(self.segments[region + 1 :])


def stem(before: str) -> str:
    """Find the end of the text before a region that belongs to the region's first token: a word or sign and its space.

    Tokens are runs of characters, and a cursor may stand inside of one: ``retu`` is two tokens, ``return`` is one. Text
    that is tokenised only up to the cursor looks like nothing that a network has learnt from. So the region begins
    where its first token certainly begins, and its first characters are known.
    """
    match = _STEM.search(before, max(0, len(before) - _LONGEST_STEM))
    return "" if match is None else match[0]
