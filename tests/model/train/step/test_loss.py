"""The fused loss and the optimiser against slow, obvious references."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dgemma_model.network import native_library
from dgemma_model.train.step import kernels
from dgemma_model.train.step.loss import capped_cross_entropy
from dgemma_model.train.step.muon import Muon, orthogonalised


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


@pytest.mark.skipif(not native_library.processors(), reason="nothing was compiled")
@pytest.mark.parametrize("vocabulary", [50, 64, 1000])
def test_a_thinned_gradient_is_right_on_average(vocabulary: int) -> None:
    torch.manual_seed(vocabulary)
    rows, draws, grain, cap = 6, 512, 0.05, 5.0
    states, weight = torch.randn(rows, 16), torch.randn(vocabulary, 16)
    targets, weights = torch.randint(0, vocabulary, (rows,)), torch.rand(rows)
    scores = states @ weight.t()
    gradient = scores.clone()
    losses = kernels.surprise(gradient, targets, weights, cap)
    d_states, d_weight = torch.zeros(rows, 16), torch.zeros(vocabulary, 16)
    for offset in (torch.arange(draws) + 0.5) / draws:
        own, part = kernels.thinned_surprise(
            scores, targets, weights, cap, states, weight, grain, offset.expand(rows).contiguous(), d_weight
        )
        torch.testing.assert_close(own, losses)
        d_states += part / draws
    torch.testing.assert_close(d_states, gradient @ weight, rtol=1e-2, atol=5e-3)
    torch.testing.assert_close(d_weight / draws, gradient.t() @ states, rtol=1e-2, atol=5e-3)


@pytest.mark.skipif(
    native_library.processor_for(torch.bfloat16) is None, reason="a processor that multiplies bfloat16"
)
def test_a_thinned_loss_goes_down_as_the_whole_one_does() -> None:
    ends = []
    for generator in (None, torch.Generator().manual_seed(0)):
        torch.manual_seed(0)
        states, targets = torch.randn(300, 32), torch.randint(0, 200, (300,))
        weight = torch.zeros(200, 32, requires_grad=True)
        optimizer = torch.optim.Adam([weight], lr=0.05)
        for _ in range(60):
            optimizer.zero_grad()
            loss = capped_cross_entropy(
                states, weight, targets, torch.full((300,), 1 / 300), 30.0, True, generator
            )
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        ends.append(loss.item())
    assert ends[0] < 1.0  # from log 200 = 5.3
    assert abs(ends[0] - ends[1]) < 0.05


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
