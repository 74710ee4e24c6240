"""Both sides of the training measurement do the same work."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.training import EXPERTS, in_turns, our_step, rows, stock_step
from dgemma_model.train.examples import Shape
from dgemma_model.train.train import Recipe
from tests.model.tiny import TINY, network, tokenizer

RECIPE = Recipe(rows=2, self_conditioning=0.0, pad_share=0.0)


@pytest.mark.parametrize("experts", EXPERTS)
def test_ours_and_transformers_have_the_same_loss(experts: str) -> None:
    own = tokenizer()
    batch = rows(own, RECIPE.rows, Shape(prompt=64, canvas=32, suffix=16))
    lean = network(replace(TINY, vocab_size=own.vocab_size)).train().requires_grad_(True)
    steps = [stock_step(lean, batch, RECIPE, experts), our_step(lean, batch, RECIPE)]
    for _ in range(2):
        theirs, ours = (step() for step in steps)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_steps_take_turns_and_the_first_two_do_not_count() -> None:
    made: list[str] = []
    steps = {name: lambda name=name: (made.append(name), torch.tensor(1.0))[1] for name in "ab"}
    times = in_turns(steps, 3)
    assert made == ["a", "b"] * 5
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3}
