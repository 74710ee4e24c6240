"""From a laid-out request to the canvas that is denoised, and from its slots back to fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dgemma_model.denoise.loop import Canvas, State
from dgemma_model.layouts.infill import BUCKETS, Layout, drafted
from dgemma_model.protocol import Fill, FillOptions, Slot
from dgemma_model.tokenizer import Tokenizer, UndecodableTokens

Region = Sequence[int]
"""The tokens of a region."""


def guessed_canvas(
    layout: Layout, stems: Sequence[Region], guesses: Sequence[Region], tokenizer: Tokenizer
) -> Canvas:
    """Make a canvas that begins with guesses, which the denoiser may change.

    Args:
        layout: where the slots are.
        stems: the known beginning of each region; it is pinned in a region without a guess.
        guesses: each begins with the region's stem.
        tokenizer: knows the marks behind a guess.
    """
    draft: list[int] = []
    start = torch.zeros(len(layout.canvas_positions), dtype=torch.long)
    for guess, width, run, stem in zip(guesses, layout.slots, layout.runs, stems, strict=True):
        draft += drafted(tokenizer, guess, width) if guess else [-1] * width
        start[run][: len(stem)] = torch.tensor(stem, dtype=torch.long)[:width]
    pins = [[] if guess else stem for guess, stem in zip(guesses, stems, strict=True)]
    empty = Canvas.empty(layout.canvas_positions, layout.runs)
    return replace(empty, start=start, pinned=_first_slots(layout.slots, pins), draft=torch.tensor(draft))


def present_canvas(
    layout: Layout,
    stems: Sequence[Region],
    present: Sequence[Region],
    options: FillOptions,
    tokenizer: Tokenizer,
) -> Canvas:
    """Make a canvas that begins with the present text, a random share of which becomes noise.

    Args:
        layout: where the slots are.
        stems: the known beginning of each region, which is pinned.
        present: the present text of each region, its stem included.
        options: the strength is the share, and the seed decides which slots it is.
        tokenizer: knows the marks behind the text.
    """
    start: list[int] = []
    for tokens, width in zip(present, layout.slots, strict=True):
        start += [*tokens, tokenizer.end_id, *[tokenizer.pad_id] * (width - len(tokens) - 1)]
    generator = torch.Generator().manual_seed(options.seed)
    fixed = torch.rand(len(start), generator=generator) >= options.strength
    empty = Canvas.empty(layout.canvas_positions, layout.runs)
    return replace(empty, start=torch.tensor(start), fixed=fixed, pinned=_first_slots(layout.slots, stems))


def _first_slots(slots: Sequence[int], tokens: Sequence[Region]) -> Tensor:
    """Mark the first slots of each region, as many as it has tokens; booleans [slots]."""
    rows = [torch.arange(width) < len(known) for width, known in zip(slots, tokens, strict=True)]
    return torch.cat(rows)


def read_fills(
    state: State, row: int, canvas: Canvas, stems: Sequence[str], tokenizer: Tokenizer
) -> list[Fill]:
    """Read the fill of each region from one canvas of a batch.

    Args:
        state: the canvases after a step.
        row: which canvas of the batch to read.
        canvas: tells where the regions are.
        stems: the known beginning of each region, which is left out.
        tokenizer: decodes.
    """
    return [
        _read_fill(
            state.ids[row, run], state.probabilities[row, run], state.accepted[row, run], stem, tokenizer
        )
        for run, stem in zip(canvas.runs, stems, strict=True)
    ]


def _read_fill(ids: Tensor, probabilities: Tensor, accepted: Tensor, stem: str, tokenizer: Tokenizer) -> Fill:
    """Read a region's slots; the fill is empty if they contradict its stem or are no text."""
    tokens: list[int] = ids.tolist()
    complete = tokenizer.end_id in tokens
    length = tokens.index(tokenizer.end_id) if complete else len(tokens)
    shown = zip(tokens[:length], probabilities.tolist(), accepted.tolist(), strict=False)
    slots = [Slot(tokenizer.decode_lossy([token]), sure, settled) for token, sure, settled in shown]
    try:
        text = tokenizer.decode(tokens[:length])
    except UndecodableTokens:
        text = ""
    if not text.startswith(stem):
        return Fill("", 0.0, False, without_stem(stem, slots))
    confidence = float(probabilities[: length + 1].prod())
    return Fill(text[len(stem) :], confidence, complete, without_stem(stem, slots))


def without_stem(stem: str, slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """Leave out the first characters of the slots' text, as many as the stem has."""
    characters = len(stem)
    kept: list[Slot] = []
    for text, confidence, settled in slots:
        if characters < len(text):
            kept.append(Slot(text[characters:], confidence, settled))
        characters = max(0, characters - len(text))
    return tuple(kept)


def wider(slots: list[int], fills: Sequence[Fill]) -> list[int]:
    """Give each region that did not end 64 slots; with more of them a small model only rambles.

    They are given at once, because every change of a width moves the text behind it, which has to be encoded again.
    """
    limit = BUCKETS[2]
    return [width if fill.complete else max(limit, width) for width, fill in zip(slots, fills, strict=True)]
