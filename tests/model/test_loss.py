"""The fused loss and the optimiser against slow, obvious references."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dgemma_model.train.loss import capped_cross_entropy
from dgemma_model.train.muon import Muon, orthogonalised


@pytest.mark.parametrize("rows", [1, 255, 256, 600])
def test_loss_and_gradients_equal_the_plain_ones(rows: int) -> None:
    torch.manual_seed(rows)
    states = torch.randn(rows, 16, requires_grad=True)
    weight = torch.randn(50, 16, requires_grad=True)
    targets, weights = torch.randint(0, 50, (rows,)), torch.rand(rows)
    fused = capped_cross_entropy(states, weight, targets, weights, 5.0)
    (3 * fused).backward()  # type: ignore[no-untyped-call]
    gradients = (states.grad, weight.grad)
    states.grad = weight.grad = None
    scores = 5.0 * torch.tanh(states @ weight.t() / 5.0)
    plain = (F.cross_entropy(scores, targets, reduction="none") * weights).sum()
    (3 * plain).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-4)
    for own, reference in zip(gradients, (states.grad, weight.grad), strict=True):
        assert own is not None
        assert reference is not None
        torch.testing.assert_close(own, reference, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (3, 12, 12)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalised(torch.randn(shape)))
    assert values.min() > 0.3
    assert values.max() < 1.4


def test_muon_goes_downhill() -> None:
    torch.manual_seed(0)
    matrix, target = torch.nn.Parameter(torch.randn(6, 4)), torch.randn(6, 4)
    optimizer = Muon([matrix], lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (matrix - target).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
