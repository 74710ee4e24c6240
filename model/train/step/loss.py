"""The training loss: scores, soft cap, softmax and cross-entropy in one pass over chunks of rows.

A vocabulary's worth of scores for every token is by far the largest tensor of a small model's step. Here it never
exists: each chunk's scores stay in the processor's cache, and the gradients are made on the way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dgemma_model.network.native_library import processor_for
from dgemma_model.train.step import kernels

_ROWS = 512
_GRAIN = 1 / 64  # adds at most as much to the variance of a row's gradient, which is near 1


class _CappedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        targets: Tensor,
        weights: Tensor,
        cap: float,
        bf16: bool,
        generator: torch.Generator | None,
    ) -> Tensor:
        d_states, d_weight = torch.empty_like(states), torch.zeros_like(weight)
        kind = torch.bfloat16 if bf16 else states.dtype
        factor, rows_as = weight.to(kind), states.to(kind)
        losses = torch.empty_like(weights)
        compiled = states.device.type == "cpu" and processor_for(kind) is not None
        gradient_of = kernels.surprise if compiled else _gradient
        room = states.new_empty(min(_ROWS, len(states)), len(weight), dtype=kind)
        for start in range(0, len(states), _ROWS):
            rows = slice(start, start + _ROWS)
            scores = torch.mm(rows_as[rows], factor.t(), out=room[: len(targets[rows])])
            if compiled and generator is not None:
                offsets = torch.rand(len(scores), generator=generator)
                losses[rows], d_states[rows] = kernels.thinned_surprise(
                    scores, targets[rows], weights[rows], cap, states[rows], factor, _GRAIN, offsets, d_weight
                )
                continue
            losses[rows] = gradient_of(scores, targets[rows], weights[rows], cap)
            d_states[rows] = scores @ factor
            d_weight += scores.t() @ rows_as[rows]
        ctx.save_for_backward(d_states, d_weight)
        return losses @ weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None, None, None]:
        d_states, d_weight = ctx.saved_tensors
        return d_states * gradients[0], d_weight * gradients[0], None, None, None, None, None


def _gradient(scores: Tensor, targets: Tensor, weights: Tensor, cap: float) -> Tensor:
    """See `kernels.surprise`."""
    capped = scores.to(weights.dtype).div_(cap).tanh_()
    slope = capped.square().neg_().add_(1)  # of tanh
    exact = capped.mul_(cap)
    wanted = targets.unsqueeze(1)
    highest = exact.amax(1, keepdim=True)
    right = exact.gather(1, wanted).sub_(highest)
    exponentials = exact.sub_(highest).exp_()
    total = exponentials.sum(1, keepdim=True)
    gradient = exponentials.div_(total)
    gradient.scatter_add_(1, wanted, torch.full_like(right, -1.0))
    scores.copy_(gradient.mul_(slope).mul_(weights.unsqueeze(1)))
    return (total.log() - right).squeeze(1)


def capped_cross_entropy(
    states: Tensor,
    weight: Tensor,
    targets: Tensor,
    weights: Tensor,
    cap: float,
    bf16: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Weighted sum of the cross-entropies of ``cap * tanh(states @ weight.T / cap)``.

    Args:
        states: [rows, hidden].
        weight: [vocabulary, hidden].
        targets: token ids [rows].
        weights: of each row [rows]; rows of weight 0 should be left out beforehand, they cost as much as others.
        cap: the soft cap.
        bf16: whether the matrix products run in bfloat16.
        generator: of the random numbers by which small entries of the gradient are rounded, up or away, where compiled
            code can do that (see `kernels.thinned_surprise`); None: none are.

    Returns:
        A scalar in nats.
    """
    loss: Tensor = _CappedCrossEntropy.apply(states, weight, targets, weights, cap, bf16, generator)  # type: ignore[no-untyped-call]
    return loss
