"""Both sides of the training measurement do the same work."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.training import BEFORE, EXPERTS, Cores, Side, batches, in_turns, our_step, rates, stock_step, ways
from dgemma_model.train.data.examples import Shape
from dgemma_model.train.recipe import Recipe
from dgemma_model.train.step.parallel import Group
from tests.model.tiny import TINY, network, tokenizer

RECIPE = Recipe(rows=2, self_conditioning=0.0, pad_share=0.0)


@pytest.mark.parametrize("experts", EXPERTS)
def test_ours_and_transformers_have_the_same_loss(experts: str) -> None:
    own = tokenizer()
    given = batches(own, RECIPE, 2, Shape(prompt=64, canvas=32, suffix=16))
    lean = network(replace(TINY, vocab_size=own.vocab_size)).train().requires_grad_(True)
    theirs, ours = stock_step(lean, RECIPE, Group(), experts), our_step(lean, RECIPE, Group())
    for batch in given:
        torch.testing.assert_close(ours(batch), theirs(batch), rtol=1e-3, atol=1e-3)


def test_everybody_takes_turns_and_the_first_steps_do_not_count() -> None:
    made: list[tuple[str, int]] = []
    one = Cores("1 core", 1, Group())
    sides = [
        Side(who, one, lambda batch, who=who: (made.append((who, batch)), torch.tensor(1.0))[1])
        for who in "ab"
    ]
    times = in_turns(sides, list(range(BEFORE + 3)), Group())
    assert made == [(who, batch) for batch in range(BEFORE + 3) for who in "ab"]
    assert {key: len(seconds) for key, seconds in times.items()} == {("a", "1 core"): 3, ("b", "1 core"): 3}


def test_ours_is_compared_with_the_faster_of_the_others_on_as_many_cores() -> None:
    one, threads, processes = (cores.name for cores in ways(Group(0, 2)))
    times = {("ours", one): [1.0], ("ours", processes): [1.0]}
    times |= {("eager", one): [4.0], ("grouped_mm", one): [3.0]}
    times |= {("eager", threads): [2.0], ("grouped_mm", threads): [2.5]}
    times |= {("eager", processes): [3.0], ("grouped_mm", processes): [3.2]}
    figures = rates(RECIPE, times, ways(Group(0, 2)))
    assert [round(figure.value, 3) for figure in figures if figure.unit == "×"] == [3.0, 4.0, 3.0]
    speeds = {figure.name.partition(", ")[2]: figure.value for figure in figures if figure.unit == "tokens/s"}
    assert len(speeds) == 8
    assert speeds[f"float32, ours on {processes}"] == 2 * speeds[f"float32, ours on {one}"]
