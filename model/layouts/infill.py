"""How a masked document becomes prompt and canvas: the one format that training and serving share.

The prompt is causal: ``<bos>``, the segments after the first region, then the prefix (the segment before it) last, so
that typing at the cursor only appends. Position ids say where a token stands in the document:

    prompt order       <bos>   segment 1 …                         prefix …
    positions          0       aligned, then on                    1, 2, 3 …
    canvas order       slots of region 1   slots of region 2 …
    positions          behind the prefix   behind segment 1 …

so every region's slots physically lie between its neighbours. The first position after region 1 is rounded up to a
multiple of `ALIGNMENT`, with room for at least `RESERVED` slots: were it exact, each typed token would move all later
text by one and nothing encoded before could be used again; nor could it when a narrow region is widened.

The word that the cursor stands in goes with the region (`partial`): its characters are known, its tokens are not
before it has ended. This module knows nothing of networks or noise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dgemma_model.errors import ModelError
from dgemma_model.syntax.errors import border
from dgemma_model.tokenizer import Tokenizer

LAYOUT_KEY = "infill_layout"  # of the budget in a checkpoint's config.json
ALIGNMENT = 32
RESERVED = 64
BUCKETS = (16, 32, 64, 128, 256)
_CHARACTERS_PER_TOKEN = (
    8  # a text of n tokens is hardly ever longer; what is cut off here was out of budget anyway
)
_ANCHOR = 512  # characters: the prefix begins near a multiple of this, so that it rarely moves
_PARTIAL = re.compile(  # a word or a run of signs, with the space before it; or a space; but no indentation
    r"(?:(?<=\S) )?(?:\b\w{1,32}|(?<![^\w\s])[^\w\s]{1,8})\Z|(?<=\S) \Z"
)
_TRIM = 64  # tokens: a prefix over its budget loses whole runs of this many, again so that it rarely moves


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens that the prompt may spend; kept in the checkpoint's config.json, for a network learns its distances.

    Attributes:
        prefix: before the first region.
        suffix: after the last region.
        between: each segment between two regions.
    """

    prefix: int = 256
    suffix: int = 96
    between: int = 96


@dataclass(frozen=True, slots=True)
class MaskedText:
    """The fixed texts before, between and after the regions, and what stands in the regions now.

    Attributes:
        segments: the fixed texts.
        present: what stands in each region now.
        begun: the `partial` of each segment before a region, once `healed` has moved it from there into the region.

    Raises:
        ModelError: no region, or not one segment more than there are regions.
    """

    segments: tuple[str, ...]
    present: tuple[str, ...]
    begun: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.present or len(self.segments) != len(self.present) + 1:
            raise ModelError(
                f"{len(self.present)} regions need {len(self.present) + 1} segments, not {len(self.segments)}."
            )

    def healed(self) -> MaskedText:
        """The same text with every region beginning where its first token begins."""
        begun = tuple(partial(segment) for segment in self.segments[:-1])
        segments = [text[: len(text) - len(part)] for text, part in zip(self.segments, begun, strict=False)]
        return MaskedText((*segments, self.segments[-1]), self.present, begun)


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
    def writing_position(self) -> int:
        """Of the mark behind which region 1 is written: the text then stands where the region's slots stand."""
        return self.canvas_positions[0] - 1

    @property
    def runs(self) -> list[slice]:
        """Where each region's slots lie in the canvas."""
        ends = [sum(self.slots[: index + 1]) for index in range(len(self.slots))]
        return [slice(end - width, end) for end, width in zip(ends, self.slots, strict=True)]


def partial(before: str) -> str:
    """The end of the text before a region that is cut off and made part of the region: a word or sign and its space.

    Tokens are runs of characters, and a cursor may stand inside of one: ``retu`` is two tokens, ``return`` is one.
    Text that was tokenised only up to the cursor looks like nothing that a network has learnt from. So the region
    begins where its first token certainly begins, and its first characters are known.
    """
    match = _PARTIAL.search(before, max(0, len(before) - 40))
    return "" if match is None else match[0]


def bucket(tokens: int) -> int:
    """The narrowest run of slots that holds ``tokens`` and ``<end>``; the widest when none does."""
    return next((width for width in BUCKETS if width > tokens), BUCKETS[-1])


def arrange(bos: int, prefix: Sequence[int], later: Sequence[Sequence[int]], slots: Sequence[int]) -> Layout:
    """Lay out token ids.

    Args:
        bos: id of ``<bos>``.
        prefix: tokens before the first region.
        later: tokens of each segment behind a region, as many as there are regions.
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
    """A region's slots as they begin from a draft: its tokens, ``<end>``, then marks that it is a draft."""
    tokens = draft[: width - 2]
    return [*tokens, tokenizer.end_id, *[tokenizer.draft_id] * (width - len(tokens) - 1)]


def lay_out(masked: MaskedText, slots: Sequence[int], tokenizer: Tokenizer, budget: Budget) -> Layout:
    """Lay out a document within a budget: text far from the regions is left out."""
    prefix = prefix_tokens(masked.segments[0], tokenizer, budget.prefix)
    between = [_middle(tokenizer.encode(text), budget.between) for text in masked.segments[1:-1]]
    suffix = suffix_tokens(masked.segments[-1], tokenizer, budget.suffix)
    return arrange(tokenizer.bos_id, prefix, [*between, suffix], slots)


def prefix_tokens(text: str, tokenizer: Tokenizer, budget: int) -> list[int]:
    """The last tokens of ``text``, at most ``budget`` of them, from a place that rarely moves as the text grows.

    With that place begins a statement, or else a line; in a line that is too long it is anywhere. For that no more
    than about a quarter of the budget is given up.
    """
    earliest = max(0, len(text) - budget * _CHARACTERS_PER_TOKEN // 2)
    if earliest:
        earliest = border(text, earliest // _ANCHOR * _ANCHOR, budget)
    tokens = tokenizer.encode(text[earliest:])
    excess = len(tokens) - budget
    if excess <= 0:
        return tokens
    surplus = -(-excess // _TRIM) * _TRIM
    left_out = earliest + len(tokenizer.decode_lossy(tokens[:surplus]))
    begin = border(text, left_out, budget)
    return tokens[surplus:] if begin == left_out else tokenizer.encode(text[begin:])


def suffix_tokens(text: str, tokenizer: Tokenizer, budget: int) -> list[int]:
    """The first tokens of ``text``, at most ``budget`` of them."""
    return tokenizer.encode(text[: budget * _CHARACTERS_PER_TOKEN])[:budget]


def _middle(tokens: list[int], budget: int) -> list[int]:
    if len(tokens) <= budget:
        return tokens
    return tokens[: budget // 2] + tokens[len(tokens) - budget // 2 :]
