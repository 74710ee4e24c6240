"""Muon for matrices: momentum, orthogonalised by a Newton–Schulz iteration (Jordan et al., "Muon", 2024).

``torch.optim.Muon`` takes matrices only; experts are stacks of matrices, which this one orthogonalises side by side.
Several processes that train together each orthogonalise a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from dgemma_model.train.step.parallel import Group

_A, _B, _C = 3.4445, -4.7750, 2.0315  # the quintic of the original, steepest at zero


def orthogonalised(gradient: Tensor, steps: int = 5) -> Tensor:
    """A nearly orthogonal matrix near ``gradient`` [..., rows, columns]."""
    x = gradient.mT if gradient.shape[-2] > gradient.shape[-1] else gradient
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = _plus(_A, x, 1.0, _plus(_B, square, _C, square, square), x)
    result: Tensor = x.mT if gradient.shape[-2] > gradient.shape[-1] else x
    return result


def _plus(share: float, one: Tensor, factor: float, left: Tensor, right: Tensor) -> Tensor:
    """``share * one + factor * left @ right`` in one operation, rounded once."""
    add = torch.addmm if one.ndim == 2 else torch.baddbmm
    return add(one, left, right, beta=share, alpha=factor)


class Muon(torch.optim.Optimizer):
    """Optimiser for parameters [..., rows, columns]; everything else belongs to AdamW."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        bf16: bool = False,
        group: Group | None = None,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._type = torch.bfloat16 if bf16 else torch.float32
        self._group = group or Group()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for options in self.param_groups:
            used = [parameter for parameter in options["params"] if parameter.grad is not None]
            directions = [self._direction(parameter, options["momentum"]) for parameter in used]
            updates = self._group.share(orthogonalised, directions)
            for parameter, update in zip(used, updates, strict=True):
                rows, columns = parameter.shape[-2:]
                parameter.mul_(1 - options["lr"] * options["weight_decay"])
                parameter.add_(update, alpha=-options["lr"] * max(1.0, rows / columns) ** 0.5)

    def _direction(self, parameter: Tensor, momentum: float) -> Tensor:
        """Nesterov's: the gradient, and what is remembered of those before."""
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        remembered = state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(remembered, momentum).to(self._type)
