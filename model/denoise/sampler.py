"""Decide which slots of a draft to believe, what to put into the others, and when to stop: pure functions on tensors.

This is DiffusionGemma's sampler (entropy-bounded acceptance, after Ben-Hamu et al., arXiv 2505.24857) with two changes
for infilling. The bound applies to each region separately, because regions differ in length and difficulty. And each
step accepts at least so many slots that the last step finds all of them accepted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 64


def likeliest(probabilities: Tensor) -> Tensor:
    """Find the index of the largest value along the last dimension; in blocks, as a plain argmax is not vectorised."""
    width = probabilities.shape[-1]
    if width % BLOCK:
        return probabilities.argmax(-1)
    blocks = probabilities.unflatten(-1, (-1, BLOCK))
    best = blocks.amax(-1).argmax(-1, keepdim=True)  # [..., 1]
    inside = blocks.take_along_dim(best.unsqueeze(-1), -2).argmax(-1)  # [..., 1]
    index: Tensor = best * BLOCK + inside
    return index.squeeze(-1)


def accept(entropies: Tensor, runs: Sequence[slice], bound: float, step: int, steps: int) -> Tensor:
    """Choose the slots to accept, as booleans [batch, slots].

    In each region these are the k slots of the least entropy, as many as possible while the entropies of all but the
    last of them sum up to at most ``bound`` (they are then nearly independent of each other). Each step accepts at
    least an equal share of the slots.

    Args:
        entropies: [batch, slots].
        runs: the slots of each region.
        bound: in nats.
        step: one of ``steps``, counted from 1.
        steps: number of steps.
    """
    accepted = torch.zeros_like(entropies, dtype=torch.bool)
    for run in runs:
        ordered, order = entropies[:, run].sort(-1)
        chosen = ordered.cumsum(-1) - ordered <= bound
        chosen[:, : math.ceil(chosen.shape[1] * step / steps)] = True
        accepted[:, run] = torch.zeros_like(chosen).scatter(1, order, chosen)
    return accepted


def until_end(ids: Tensor, runs: Sequence[slice], end: int) -> Tensor:
    """Mark each region's slots up to and including its first end token; booleans [batch, slots]."""
    counting = torch.zeros_like(ids, dtype=torch.bool)
    for run in runs:
        ended = (ids[:, run] == end).cumsum(-1)
        counting[:, run] = (ended == 0) | ((ended == 1) & (ids[:, run] == end))
    return counting


def settled(ids: Tensor, before: Tensor, accepted: Tensor, counting: Tensor) -> Tensor:
    """Tell which drafts [batch] will not change any more: each counting slot is accepted and kept its token.

    DiffusionGemma stops by the mean entropy of the canvas, which says nothing when a region ends early.
    """
    return ((ids == before) & accepted | ~counting).all(-1)


def noise(shape: tuple[int, ...], vocabulary: int, generator: torch.Generator) -> Tensor:
    """Draw token ids uniformly."""
    return torch.randint(0, vocabulary, shape, generator=generator)


def draw(scores: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw tokens [batch, slots] by their scores [batch, slots, vocabulary]; at temperature 0 the likeliest."""
    if temperature == 0:
        return likeliest(scores)
    uniform = torch.rand(scores.shape, generator=generator).clamp_(min=1e-20)
    gumbel = uniform.log_().neg_().log_().neg_()
    return likeliest(gumbel.add_(scores, alpha=1 / temperature))
