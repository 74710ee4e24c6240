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
    """The slots to denoise, and what is known of them.

    Attributes:
        positions: document position of each slot [slots].
        runs: the slots of each region.
        start: token ids of the fixed and the pinned slots [slots].
        fixed: slots that begin with their own text, and return to it while the denoiser is unsure [slots].
        pinned: slots whose token never changes [slots].
        draft: tokens that the first canvas of a batch begins with, and returns to, instead of noise [slots]; −1 where
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
        """Make a canvas of which nothing is known."""
        none = torch.zeros(len(positions), dtype=torch.bool)
        return cls(
            torch.tensor(positions), tuple(runs), torch.zeros(len(positions), dtype=torch.long), none, none
        )

    def begin(self, batch: int) -> tuple[Tensor, Tensor]:
        """Make the first token ids, and tell which slots hold them while the denoiser is unsure: each [batch, slots].

        Slots that hold nothing are meant to be filled with noise.
        """
        start, held = (row.repeat(batch, 1) for row in (self.start, self.fixed | self.pinned))
        drafted = self.drafted
        if self.draft is not None:
            start[0, drafted] = self.draft[drafted]
        held[0, drafted] = True
        return start, held

    @property
    def drafted(self) -> Tensor:
        """Indices of the slots that begin with a token of the draft."""
        if self.draft is None:
            return torch.empty(0, dtype=torch.long)
        return ((self.draft >= 0) & ~self.fixed & ~self.pinned).nonzero().squeeze(1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How to denoise.

    Attributes:
        steps: number of steps at most.
        batch: canvases that are denoised side by side; the first is greedy, the others draw their tokens.
        seed: random seed.
        temperature: of the drawn tokens in the first step; in the last step it is half as high.
        entropy_bound: in nats; see `sampler.accept`.
        trust: nats added to the score of each of the draft's tokens.
    """

    steps: int = 4
    batch: int = 1
    seed: int = 0
    temperature: float = 0.8
    entropy_bound: float = 0.1
    trust: float = 1.0


@dataclass(frozen=True, slots=True)
class State:
    """The canvases after a step; all tensors are [batch, slots].

    Attributes:
        step: counted from 1.
        ids: the denoiser's tokens.
        probabilities: the probability of each token in the step in which it was first accepted.
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
        runner: runs the network.
        prompt: the encoded text around the canvas.
        canvas: what to denoise.
        end: id of the token that ends a region.
        schedule: how to denoise.
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
        probabilities, best, entropies = runner.soften(_favouring_draft(scores, canvas, schedule.trust))
        before, ids = ids, _choose(best, probabilities, canvas, schedule, step, generator)
        entropies.masked_fill_(canvas.pinned, 0.0)
        accepted = sampler.accept(entropies, canvas.runs, schedule.entropy_bound, step, schedule.steps)
        now = probabilities.gather(-1, ids.unsqueeze(-1)).squeeze(-1).masked_fill(canvas.pinned, 1.0)
        trusted = torch.where(firm & (ids == before), trusted, now)
        firm = accepted
        counting = sampler.until_end(ids, canvas.runs, end)
        # If an unsure denoiser keeps the token that a slot began with, another step would change nothing.
        sure = accepted | (held & (ids == start))
        done = step > 1 and bool(sampler.settled(ids, before, sure, counting).all())
        final = done or step == schedule.steps
        yield State(step, ids, trusted, accepted, final)
        if final:
            return  # the rest prepares the next step
        fresh = sampler.noise(shape, runner.config.vocab_size, generator)
        current = torch.where(accepted, ids, torch.where(held, start, fresh))
        belief = _belief(runner, probabilities, canvas)


def _favouring_draft(scores: Tensor, canvas: Canvas, trust: float) -> Tensor:
    """Raise the scores of the draft's tokens, in place."""
    if canvas.draft is not None:
        slots = canvas.drafted
        scores[0, slots, canvas.draft[slots]] += trust
    return scores


def _choose(
    best: Tensor,
    probabilities: Tensor,
    canvas: Canvas,
    schedule: Schedule,
    step: int,
    generator: torch.Generator,
) -> Tensor:
    """Choose a token for each slot [batch, slots]: the likeliest one, a drawn one, or the pinned one."""
    ids = best.clone()
    if schedule.batch > 1 and step < schedule.steps:  # the last step is greedy in all canvases
        temperature = schedule.temperature * (1 - 0.5 * step / schedule.steps)
        ids[1:] = sampler.draw(probabilities[1:].log(), temperature, generator)
    return torch.where(canvas.pinned, canvas.start, ids)


def _belief(runner: Runner, probabilities: Tensor, canvas: Canvas) -> Tensor:
    belief = runner.believe(probabilities)
    belief[:, canvas.pinned] = runner.embed(canvas.start[canvas.pinned])
    return belief
