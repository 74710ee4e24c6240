"""How a masked document becomes prompt and canvas: the one format that training and serving share.

The prompt is causal: ``<bos>``, then the segments behind the first region, and the prefix (the segment before it) last,
so that typing at the cursor only appends. Position ids tell where a token stands in the document:

    prompt order       <bos>   segment 1 …                         prefix …
    positions          0       aligned, then on                    1, 2, 3 …
    canvas order       slots of region 1   slots of region 2 …
    positions          behind the prefix   behind segment 1 …

So each region's slots lie between its neighbours. The first position behind region 1 is rounded up to a multiple of
`ALIGNMENT`, with room for at least `RESERVED` slots. If it were exact, each typed token would move all later text by
one, and nothing that was encoded before could be used again; nor could it when a narrow region is widened.

This module knows nothing of networks or noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgemma_model.layouts.masked import MaskedText
from dgemma_model.syntax.statements import Borders
from dgemma_model.tokenizer import Tokenizer

LAYOUT_KEY = "infill_layout"
"""Section of a checkpoint's config.json that holds the budget."""

ALIGNMENT = 32
RESERVED = 64
BUCKETS = (16, 32, 64, 128, 256)
"""Widths that a region may have, in slots."""

_CHARACTERS_PER_TOKEN = (
    8  # a text of n tokens is hardly ever longer; text cut off here was out of budget anyway
)
_ANCHOR = 512  # characters: the prefix begins near a multiple of this, so that its beginning rarely moves
_TRIM = 64  # tokens: a prefix over its budget loses whole runs of this many, again so that it rarely moves


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens that the prompt may spend. A network learns its distances, so the checkpoint's config.json has them.

    Attributes:
        prefix: before the first region.
        suffix: behind the last region.
        between: for each segment between two regions.
    """

    prefix: int = 256
    suffix: int = 96
    between: int = 96


@dataclass(frozen=True, slots=True)
class Layout:
    """A laid-out document.

    Attributes:
        prompt: token ids in causal order.
        prompt_positions: document position of each.
        canvas_positions: document position of each slot, region after region.
        slots: width of each region's run of slots; their sum is the canvas' width.
    """

    prompt: list[int]
    prompt_positions: list[int]
    canvas_positions: list[int]
    slots: tuple[int, ...]

    @property
    def opening_position(self) -> int:
        """Position of the mark that opens region 1 for the encoder; its text then stands where the slots stand."""
        return self.canvas_positions[0] - 1

    @property
    def runs(self) -> list[slice]:
        """The slots of each region in the canvas."""
        ends = [sum(self.slots[: index + 1]) for index in range(len(self.slots))]
        return [slice(end - width, end) for end, width in zip(ends, self.slots, strict=True)]


def bucket(tokens: int) -> int:
    """Choose the narrowest run of slots that holds ``tokens`` and ``<end>``; the widest if none does."""
    return next((width for width in BUCKETS if width > tokens), BUCKETS[-1])


def arrange(bos: int, prefix: Sequence[int], later: Sequence[Sequence[int]], slots: Sequence[int]) -> Layout:
    """Lay out token ids.

    Args:
        bos: id of ``<bos>``.
        prefix: tokens before the first region.
        later: tokens of each segment behind a region, as many segments as there are regions.
        slots: width of each region.
    """
    prompt, positions, canvas = [bos], [0], list(range(1 + len(prefix), 1 + len(prefix) + slots[0]))
    here = -(-(1 + len(prefix) + max(RESERVED, slots[0])) // ALIGNMENT) * ALIGNMENT
    for index, segment in enumerate(later):
        prompt += segment
        positions += range(here, here + len(segment))
        here += len(segment)
        if index + 1 < len(slots):
            canvas += range(here, here + slots[index + 1])
            here += slots[index + 1]
    prompt += prefix
    positions += range(1, 1 + len(prefix))
    return Layout(prompt, positions, canvas, tuple(slots))


def drafted(tokenizer: Tokenizer, draft: Sequence[int], width: int) -> list[int]:
    """Fill a region's slots from a draft: its tokens, ``<end>``, then marks that tell that it is a draft."""
    tokens = draft[: width - 2]
    return [*tokens, tokenizer.end_id, *[tokenizer.draft_id] * (width - len(tokens) - 1)]


def lay_out(
    masked: MaskedText, slots: Sequence[int], tokenizer: Tokenizer, budget: Budget, borders: Borders
) -> Layout:
    """Lay out a document within a budget; text far from the regions is left out."""
    prefix = prefix_tokens(masked.segments[0], tokenizer, budget.prefix, borders)
    between = [_middle(tokenizer.encode(text), budget.between) for text in masked.segments[1:-1]]
    suffix = suffix_tokens(masked.segments[-1], tokenizer, budget.suffix)
    return arrange(tokenizer.bos_id, prefix, [*between, suffix], slots)


def prefix_tokens(text: str, tokenizer: Tokenizer, budget: int, borders: Borders) -> list[int]:
    """Encode the end of ``text``, at most ``budget`` tokens, from a place that rarely moves as the text grows.

    A statement begins at that place, or else a line; only in a line that is too long it may be anywhere. This costs no
    more than about a quarter of the budget.
    """
    earliest = max(0, len(text) - budget * _CHARACTERS_PER_TOKEN // 2)
    if earliest:
        earliest = borders.after(text, earliest // _ANCHOR * _ANCHOR, budget)
    tokens = tokenizer.encode(text[earliest:])
    excess = len(tokens) - budget
    if excess <= 0:
        return tokens
    surplus = -(-excess // _TRIM) * _TRIM
    left_out = earliest + len(tokenizer.decode_lossy(tokens[:surplus]))
    begin = borders.after(text, left_out, budget)
    return tokens[surplus:] if begin == left_out else tokenizer.encode(text[begin:])


def suffix_tokens(text: str, tokenizer: Tokenizer, budget: int) -> list[int]:
    """Encode the beginning of ``text``, at most ``budget`` tokens."""
    return tokenizer.encode(text[: budget * _CHARACTERS_PER_TOKEN])[:budget]


def _middle(tokens: list[int], budget: int) -> list[int]:
    """Leave out the middle of a segment that is over its budget."""
    if len(tokens) <= budget:
        return tokens
    return tokens[: budget // 2] + tokens[len(tokens) - budget // 2 :]
