"""Both sides of the training measurement do the same work."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.training import BEFORE, EXPERTS, batches, in_turns, our_step, stock_step
from dgemma_model.train.examples import Shape
from dgemma_model.train.train import Recipe
from tests.model.tiny import TINY, network, tokenizer

RECIPE = Recipe(rows=2, self_conditioning=0.0, pad_share=0.0)


@pytest.mark.parametrize("experts", EXPERTS)
def test_ours_and_transformers_have_the_same_loss(experts: str) -> None:
    own = tokenizer()
    given = batches(own, RECIPE, 2, Shape(prompt=64, canvas=32, suffix=16))
    lean = network(replace(TINY, vocab_size=own.vocab_size)).train().requires_grad_(True)
    theirs, ours = stock_step(lean, RECIPE, experts), our_step(lean, RECIPE)
    for batch in given:
        torch.testing.assert_close(ours(batch), theirs(batch), rtol=1e-3, atol=1e-3)


def test_steps_take_turns_and_the_first_do_not_count() -> None:
    made: list[tuple[str, int]] = []
    steps = {
        name: lambda batch, name=name: (made.append((name, batch)), torch.tensor(1.0))[1] for name in "ab"
    }
    times = in_turns(steps, list(range(BEFORE + 3)))
    assert made == [(name, batch) for batch in range(BEFORE + 3) for name in "ab"]
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3}
