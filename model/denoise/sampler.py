"""Which slots of a draft to believe, what to put into the others, and when to stop: pure functions on tensors.

DiffusionGemma's sampler (entropy-bounded acceptance, after Ben-Hamu et al., arXiv 2505.24857), with two changes for
infilling: the bound holds for each region by itself, since regions differ in length and difficulty, and at least so
many slots are accepted in each step that the last step finds all of them accepted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 64


def likeliest(probabilities: Tensor) -> Tensor:
    """Indices of the largest of the last dimension; by blocks, since a plain argmax isn't vectorised."""
    width = probabilities.shape[-1]
    if width % BLOCK:
        return probabilities.argmax(-1)
    blocks = probabilities.unflatten(-1, (-1, BLOCK))
    best = blocks.amax(-1).argmax(-1, keepdim=True)  # [..., 1]
    inside = blocks.take_along_dim(best.unsqueeze(-1), -2).argmax(-1)  # [..., 1]
    index: Tensor = best * BLOCK + inside
    return index.squeeze(-1)


def entropy(probabilities: Tensor, scores: Tensor, best: Tensor) -> Tensor:
    """Entropy in nats [...] of softmaxed scores, without the logarithm of each.

    Args:
        probabilities: [..., vocabulary].
        scores: that they were made of [..., vocabulary].
        best: index of a large one [...].
    """
    index = best.unsqueeze(-1)
    normaliser = (scores.gather(-1, index) - probabilities.gather(-1, index).log()).squeeze(-1)
    mean: Tensor = torch.linalg.vecdot(probabilities, scores)
    return (normaliser - mean).clamp_(min=0)


def accept(entropies: Tensor, runs: Sequence[slice], bound: float, step: int, steps: int) -> Tensor:
    """Which slots to accept, as booleans [batch, slots].

    In each region the k surest slots such that the entropies of all but the least sure of them sum up to at most
    ``bound`` (they are then nearly independent of each other), but never fewer than an equal share per step asks for.

    Args:
        entropies: [batch, slots].
        runs: where each region's slots lie.
        bound: nats.
        step: of ``steps``, counted from 1.
    """
    accepted = torch.zeros_like(entropies, dtype=torch.bool)
    for run in runs:
        ordered, order = entropies[:, run].sort(-1)
        chosen = ordered.cumsum(-1) - ordered <= bound
        chosen[:, : math.ceil(chosen.shape[1] * step / steps)] = True
        accepted[:, run] = torch.zeros_like(chosen).scatter(1, order, chosen)
    return accepted


def until_end(ids: Tensor, runs: Sequence[slice], end: int) -> Tensor:
    """Which slots count: each region's up to and with its first end token; booleans [batch, slots]."""
    counting = torch.zeros_like(ids, dtype=torch.bool)
    for run in runs:
        ended = (ids[:, run] == end).cumsum(-1)
        counting[:, run] = (ended == 0) | ((ended == 1) & (ids[:, run] == end))
    return counting


def settled(ids: Tensor, before: Tensor, accepted: Tensor, counting: Tensor) -> Tensor:
    """Which drafts [batch] will not change any more: every counting slot is accepted and says what it said before.

    A canvas' mean entropy, which DiffusionGemma's own stop test looks at, says nothing when a region ends early.
    """
    return ((ids == before) & accepted | ~counting).all(-1)


def noise(shape: tuple[int, ...], vocabulary: int, generator: torch.Generator) -> Tensor:
    """Uniformly random token ids."""
    return torch.randint(0, vocabulary, shape, generator=generator)


def draw(scores: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Tokens [batch, slots] drawn by their scores [batch, slots, vocabulary]; the likeliest at temperature 0."""
    if temperature == 0:
        return likeliest(scores)
    uniform = torch.rand(scores.shape, generator=generator).clamp_(min=1e-20)
    gumbel = uniform.log_().neg_().log_().neg_()
    return likeliest(gumbel.add_(scores, alpha=1 / temperature))
