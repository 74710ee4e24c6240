"""The denoising loop: a generator that yields the draft after each step. It knows nothing of tokenizers or files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dgemma_model.denoise import sampler
from dgemma_model.errors import Cancelled
from dgemma_model.network.runner import Prompt, Runner


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is to be denoised.

    Attributes:
        positions: document position of each slot [slots].
        runs: where each region's slots lie.
        start: token ids of the fixed and the pinned slots [slots].
        fixed: slots that begin with their own text and return to it while the denoiser is unsure [slots].
        pinned: slots whose token never changes [slots].
        draft: what the first of a batch begins as, and returns to, instead of noise [slots], see `drafting`; −1 where
            there is none.
    """

    positions: Tensor
    runs: tuple[slice, ...]
    start: Tensor
    fixed: Tensor
    pinned: Tensor
    draft: Tensor | None = None

    @classmethod
    def empty(cls, positions: list[int], runs: list[slice]) -> Canvas:
        """A canvas of nothing but noise."""
        none = torch.zeros(len(positions), dtype=torch.bool)
        return cls(
            torch.tensor(positions), tuple(runs), torch.zeros(len(positions), dtype=torch.long), none, none
        )

    def begin(self, batch: int) -> tuple[Tensor, Tensor]:
        """Token ids to begin with and which of them to hold while the denoiser is unsure, each [batch, slots]."""
        start, held = (row.repeat(batch, 1) for row in (self.start, self.fixed | self.pinned))
        drafted = self.drafted
        if self.draft is not None:
            start[0, drafted] = self.draft[drafted]
        held[0, drafted] = True
        return start, held

    @property
    def drafted(self) -> Tensor:
        """Indices of the slots that begin as a draft."""
        if self.draft is None:
            return torch.empty(0, dtype=torch.long)
        return ((self.draft >= 0) & ~self.fixed & ~self.pinned).nonzero().squeeze(1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How to denoise.

    Attributes:
        steps: at most.
        batch: drafts denoised side by side; the first one is greedy, the others are drawn.
        seed: of the noise.
        temperature: of the drawn drafts in the first step; it falls to a half of that in the last.
        entropy_bound: nats, see `sampler.accept`.
        trust: nats by which a draft's tokens are favoured over others.
    """

    steps: int = 4
    batch: int = 1
    seed: int = 0
    temperature: float = 0.8
    entropy_bound: float = 0.1
    trust: float = 1.0


@dataclass(frozen=True, slots=True)
class State:
    """Drafts after a step; all tensors [batch, slots].

    Attributes:
        step: counted from 1.
        ids: the denoiser's tokens.
        probabilities: of those tokens, in the step in which each one was first accepted.
        accepted: slots that the next step builds on.
        final: whether this was the last step.
    """

    step: int
    ids: Tensor
    probabilities: Tensor
    accepted: Tensor
    final: bool


@torch.inference_mode()
def denoise(
    runner: Runner,
    prompt: Prompt,
    canvas: Canvas,
    end: int,
    schedule: Schedule,
    cancelled: Callable[[], bool],
) -> Iterator[State]:
    """Denoise a canvas over an encoded prompt.

    Args:
        runner: of the network that is to do it.
        prompt: what stands around the canvas, encoded.
        end: the token that ends a region.
        cancelled: asked before every step.

    Raises:
        Cancelled: ``cancelled`` answered True.
    """
    shape = (schedule.batch, len(canvas.positions))
    generator = torch.Generator().manual_seed(schedule.seed)
    positions = canvas.positions.expand(shape)
    start, held = canvas.begin(schedule.batch)
    current = torch.where(held, start, sampler.noise(shape, runner.config.vocab_size, generator))
    belief: Tensor | None = None
    ids, trusted, firm = current, torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
    for step in range(1, schedule.steps + 1):
        if cancelled():
            raise Cancelled
        scores = runner.logits(runner.decode(current, positions, prompt, belief))
        probabilities, best, entropies = runner.soften(_trusting(scores, canvas, schedule.trust))
        before, ids = ids, _answer(best, probabilities, canvas, schedule, step, generator)
        entropies.masked_fill_(canvas.pinned, 0.0)
        accepted = sampler.accept(entropies, canvas.runs, schedule.entropy_bound, step, schedule.steps)
        now = probabilities.gather(-1, ids.unsqueeze(-1)).squeeze(-1).masked_fill(canvas.pinned, 1.0)
        trusted = torch.where(firm & (ids == before), trusted, now)
        firm = accepted
        counting = sampler.until_end(ids, canvas.runs, end)
        # Where the denoiser, unsure as it may be, leaves alone what a slot began with, another step changes nothing.
        sure = accepted | (held & (ids == start))
        done = step > 1 and bool(sampler.settled(ids, before, sure, counting).all())
        final = done or step == schedule.steps
        yield State(step, ids, trusted, accepted, final)
        if final:
            return  # what follows prepares the next step
        fresh = sampler.noise(shape, runner.config.vocab_size, generator)
        current = torch.where(accepted, ids, torch.where(held, start, fresh))
        belief = _belief(runner, probabilities, canvas)


def _trusting(scores: Tensor, canvas: Canvas, trust: float) -> Tensor:
    """The scores, favouring the draft's tokens; changed in place."""
    if canvas.draft is not None:
        slots = canvas.drafted
        scores[0, slots, canvas.draft[slots]] += trust
    return scores


def _answer(
    best: Tensor,
    probabilities: Tensor,
    canvas: Canvas,
    schedule: Schedule,
    step: int,
    generator: torch.Generator,
) -> Tensor:
    ids = best.clone()
    if schedule.batch > 1 and step < schedule.steps:  # the last step is greedy for all
        temperature = schedule.temperature * (1 - 0.5 * step / schedule.steps)
        ids[1:] = sampler.draw(probabilities[1:].log(), temperature, generator)
    return torch.where(canvas.pinned, canvas.start, ids)


def _belief(runner: Runner, probabilities: Tensor, canvas: Canvas) -> Tensor:
    belief = runner.believe(probabilities)
    belief[:, canvas.pinned] = runner.embed(canvas.start[canvas.pinned])
    return belief
