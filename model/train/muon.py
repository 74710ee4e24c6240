"""Muon for matrices: momentum, orthogonalised by a Newton–Schulz iteration (Jordan et al., "Muon", 2024).

``torch.optim.Muon`` takes matrices only; experts are stacks of matrices, which this one orthogonalises side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315  # the quintic of the original, steepest at zero


def orthogonalised(gradient: Tensor, steps: int = 5) -> Tensor:
    """A nearly orthogonal matrix near ``gradient`` [..., rows, columns]."""
    x = gradient.mT if gradient.shape[-2] > gradient.shape[-1] else gradient
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = _A * x + (_B * square + _C * square @ square) @ x
    result: Tensor = x.mT if gradient.shape[-2] > gradient.shape[-1] else x
    return result


class Muon(torch.optim.Optimizer):
    """Optimiser for parameters [..., rows, columns]; everything else belongs to AdamW."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        bf16: bool = False,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._type = torch.bfloat16 if bf16 else torch.float32

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict[str, float]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient = parameter.grad
        assert gradient is not None
        momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        direction = orthogonalised(gradient.lerp(momentum, group["momentum"]).to(self._type))
        rows, columns = parameter.shape[-2:]
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)
