"""Masked text in, drafts of the fills out: tokenizer, layout, prompt cache and denoising loop put together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from dgemma_model.denoise import Canvas, Schedule, State, denoise
from dgemma_model.drafting import drafts
from dgemma_model.errors import ModelError
from dgemma_model.layout import BUCKETS, LAYOUT_KEY, Budget, Layout, MaskedText, bucket, drafted, lay_out
from dgemma_model.load import BUNDLED, CONFIG, TOKENIZER, load, parameter_count
from dgemma_model.network import Network
from dgemma_model.prompt_cache import PromptCache
from dgemma_model.tokenizer import Tokenizer, TokenizerFileError, UndecodableTokens


@dataclass(frozen=True, slots=True)
class FillOptions:
    """How to fill.

    Attributes:
        steps: denoising steps at most, for each width that is tried.
        seed: of the noise.
        strength: 1.0 forgets what stands in the regions; with 0.2 a fifth of its tokens is replaced by noise.
        alternatives: fills denoised side by side.
    """

    steps: int = 4
    seed: int = 0
    strength: float = 1.0
    alternatives: int = 1


@dataclass(frozen=True, slots=True)
class Fill:
    """One region's text: see the worker's protocol for its parts."""

    text: str
    confidence: float
    complete: bool
    slots: tuple[tuple[str, float, bool], ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """The fills [alternative][region] after a step, the most confident alternative first."""

    step: int
    final: bool
    alternatives: tuple[tuple[Fill, ...], ...]
    encoded_tokens: int
    prompt_tokens: int
    milliseconds: float


class Infiller:
    """A loaded checkpoint, ready to fill. Not for several threads at once."""

    def __init__(self, network: Network, tokenizer: Tokenizer, budget: Budget, path: Path) -> None:
        self.network, self.tokenizer, self.budget, self.path = network, tokenizer, budget, path
        self._cache = PromptCache(network)

    @classmethod
    def load(cls, path: Path | None = None, device: str = "cpu") -> Infiller:
        """Load a checkpoint folder; the bundled one by default.

        Raises:
            ModelError: it cannot be loaded.
        """
        folder = path or BUNDLED
        _refuse_missing(device)
        network = load(folder, device)
        try:
            tokenizer = Tokenizer.from_file(folder / TOKENIZER)
        except TokenizerFileError as error:
            raise ModelError(f"The tokenizer of the model {folder} cannot be used: {error}.") from error
        if tokenizer.vocab_size != network.config.vocab_size:
            raise ModelError(
                f"The tokenizer in {folder} belongs to another model: the vocabularies differ in size."
            )
        return cls(network, tokenizer, _budget(folder), folder)

    @property
    def parameters(self) -> int:
        """Of the text network."""
        return parameter_count(self.network)

    def drafts(
        self, masked: MaskedText, options: FillOptions, cancelled: Callable[[], bool]
    ) -> Iterator[Draft]:
        """Denoise all regions together; the canvas is widened, and denoised anew, while a region does not end in it.

        Raises:
            Cancelled: ``cancelled`` answered True.
            ModelError: the present text is too long for the widest region.
        """
        begun, steps, encoded = time.perf_counter(), 0, 0
        present = [self.tokenizer.encode(text) for text in masked.present]
        guesses = drafts(masked.segments) if options.strength >= 1 else []
        slots = [bucket(len(tokens)) for tokens in present]
        self._refuse_long(present)
        while True:
            layout = lay_out(masked, slots, self.tokenizer, self.budget)
            prompt, fresh = self._cache.encode(layout.prompt, layout.prompt_positions)
            encoded += fresh
            canvas = self._canvas(layout, present, options, guesses)
            schedule = Schedule(steps=options.steps, batch=options.alternatives, seed=options.seed)
            for state in denoise(self.network, prompt, canvas, self.tokenizer.end_id, schedule, cancelled):
                steps += 1
                fills = [self._fills(state, canvas, row) for row in range(options.alternatives)]
                wider = _wider(slots, fills[0]) if state.final else slots
                final = state.final and wider == slots
                milliseconds = 1000 * (time.perf_counter() - begun)
                yield Draft(steps, final, _ranked(fills), encoded, len(layout.prompt), milliseconds)
            if wider == slots:
                return
            slots = wider

    def _canvas(
        self, layout: Layout, present: list[list[int]], options: FillOptions, guesses: list[str | None]
    ) -> Canvas:
        canvas = Canvas.empty(layout.canvas_positions, layout.runs)
        if options.strength < 1:
            start, fixed = self._kept(layout, present, options)
            return replace(canvas, start=start, fixed=fixed)
        begun: list[int] = []
        for guess, width in zip(guesses, layout.slots, strict=True):
            begun += [-1] * width if guess is None else drafted(self.tokenizer, guess, width)
        return replace(canvas, draft=torch.tensor(begun))

    def _kept(self, layout: Layout, present: list[list[int]], options: FillOptions) -> tuple[Tensor, Tensor]:
        """The present text as token ids, and which slots keep it: all but a random share of ``strength``."""
        start: list[int] = []
        for tokens, width in zip(present, layout.slots, strict=True):
            start += [*tokens, self.tokenizer.end_id, *[self.tokenizer.pad_id] * (width - len(tokens) - 1)]
        generator = torch.Generator().manual_seed(options.seed)
        return torch.tensor(start), torch.rand(len(start), generator=generator) >= options.strength

    def _fills(self, state: State, canvas: Canvas, row: int) -> list[Fill]:
        return [
            self._fill(state.ids[row, run], state.probabilities[row, run], state.accepted[row, run])
            for run in canvas.runs
        ]

    def _fill(self, ids: Tensor, probabilities: Tensor, accepted: Tensor) -> Fill:
        tokens: list[int] = ids.tolist()
        complete = self.tokenizer.end_id in tokens
        length = tokens.index(self.tokenizer.end_id) if complete else len(tokens)
        confidence = float(probabilities[: length + 1].prod())
        slots = tuple(
            (self.tokenizer.decode_lossy([token]), probability, settled)
            for token, probability, settled in zip(
                tokens[:length], probabilities.tolist(), accepted.tolist(), strict=False
            )
        )
        try:
            return Fill(self.tokenizer.decode(tokens[:length]), confidence, complete, slots)
        except (
            UndecodableTokens
        ):  # half a character, or a special token in the middle: no text, whatever it says
            return Fill(self.tokenizer.decode_lossy(tokens[:length]), 0.0, False, slots)

    def _refuse_long(self, present: list[list[int]]) -> None:
        longest = max(map(len, present))
        if longest >= BUCKETS[-1]:
            raise ModelError(
                f"A region of {longest} tokens is too long for this model; select less, {BUCKETS[-1] - 1} at most."
            )


def _ranked(fills: list[list[Fill]]) -> tuple[tuple[Fill, ...], ...]:
    """Different alternatives, those whose regions all end first, then by confidence."""
    different = {tuple(fill.text for fill in regions): tuple(regions) for regions in reversed(fills)}
    return tuple(sorted(different.values(), key=_rank, reverse=True))


def _rank(regions: tuple[Fill, ...]) -> tuple[bool, float]:
    joint = 1.0
    for fill in regions:
        joint *= fill.confidence
    return all(fill.complete for fill in regions), joint


def _wider(slots: list[int], fills: list[Fill]) -> list[int]:
    """Twice the slots for each region that did not end; at most 64, beyond which a small model only rambles."""
    limit = BUCKETS[2]
    return [
        width if fill.complete or width >= limit else min(limit, 2 * width)
        for width, fill in zip(slots, fills, strict=True)
    ]


def _budget(folder: Path) -> Budget:
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    try:
        return Budget(**config[LAYOUT_KEY])
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"The model {folder} was not trained to fill regions in our layout; use a checkpoint made by model/train."
        ) from error


def _refuse_missing(device: str) -> None:
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("There is no CUDA device on this machine; use the device cpu.")
    if device not in {"cpu", "mps"} and not device.startswith("cuda"):
        raise ModelError(f"There is no device {device}; use cpu, cuda or mps.")
