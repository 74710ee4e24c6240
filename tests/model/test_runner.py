"""The runner against the obvious network and against transformers' own classes, in every way it is called."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dgemma_model import load, runner
from dgemma_model.denoise import Canvas, Schedule, denoise
from dgemma_model.network import KeysValues, Network
from dgemma_model.runner import Plain, Prompt, Runner
from tests.model.test_network import SPECIAL, random_config, stock_masks
from tests.model.tiny import TINY, network

ROOT = Path(__file__).parents[2]
LONG = replace(TINY, context=1024)


def assert_close(own: Tensor, wanted: Tensor, within: float = 1e-4) -> None:
    """Equal within a share of the largest value."""
    assert own.shape == wanted.shape
    assert (own - wanted).abs().max() <= within * wanted.abs().max()


def random_network(rng: random.Random) -> Network:
    made = network(replace(random_config(rng), context=1024), rng.randrange(1000))
    for layer in made.layers:
        assert isinstance(layer.scalar, Tensor)
        layer.scalar.fill_(rng.choice((1.0, 0.7)))
    return made


def some(lean: Network, *shape: int) -> Tensor:
    return torch.randint(0, lean.config.vocab_size, shape)


def places(*shape: int) -> Tensor:
    return torch.randint(0, 60, shape)


def both_prompts(lean: Network, own: Runner, tokens: int) -> tuple[Prompt, list[KeysValues]]:
    ids, at = some(lean, tokens), places(tokens)
    prompt = own.prompt()
    states = own.extend(prompt, ids, at)
    wanted, kept = lean.encode(ids[None], at[None])
    assert prompt.length == tokens
    assert_close(states, wanted)
    return prompt, kept


@pytest.mark.parametrize("seed", range(16))
def test_prompts_canvases_scores_and_beliefs_equal_those_of_the_network(seed: int) -> None:
    rng = random.Random(seed)
    torch.manual_seed(seed)
    lean = random_network(rng)
    own = Runner(lean, torch.float32)
    prompt, kept = both_prompts(lean, own, rng.choice((1, 7, 63, 64, 65, 90)))
    shape = rng.randrange(1, 4), rng.choice((1, 5, 16, 33, 70))
    canvas, at = some(lean, *shape), places(*shape)
    belief = None
    for _ in range(2):
        scores = own.logits(own.decode(canvas, at, prompt, belief))
        wanted = lean.logits(lean.decode(canvas, at, kept, belief))
        assert_close(scores, wanted)
        belief = lean.believe(wanted.softmax(-1))
        assert_close(own.believe(scores.softmax(-1)), belief)


@pytest.mark.parametrize("tokens", [1, 17, 96, 97, runner.PIECE, runner.PIECE + 1, 600])
def test_few_and_many_tokens_equal_those_of_the_network(tokens: int) -> None:
    torch.manual_seed(tokens)
    lean = network(LONG)
    both_prompts(lean, Runner(lean, torch.float32), tokens)


@given(
    pieces=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 70)), min_size=1, max_size=6),
    seed=st.integers(0, 5),
)
@settings(max_examples=25, deadline=None)
def test_a_prompt_that_is_cut_and_extended_is_the_one_encoded_at_once(
    pieces: list[tuple[int, int]], seed: int
) -> None:
    torch.manual_seed(seed)
    lean = network(LONG, seed)
    own = Runner(lean, torch.float32)
    prompt, ids, at = own.prompt(), torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    for cut, more in pieces:
        prompt.truncate(max(0, prompt.length - cut))
        new, new_at = some(lean, more), places(more)
        ids, at = torch.cat((ids[: prompt.length], new)), torch.cat((at[: prompt.length], new_at))
        states = own.extend(prompt, new, new_at)
        wanted, kept = lean.encode(ids[None], at[None])
        assert_close(states, wanted[:, -more:])
    canvas, canvas_at = some(lean, 1, 8), places(1, 8)
    assert_close(own.decode(canvas, canvas_at, prompt), lean.decode(canvas, canvas_at, kept))


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (1, 9), (6, 12), (3, 40)])
def test_a_peek_is_an_encoding_of_each_row_that_leaves_the_prompt_alone(batch: int, tokens: int) -> None:
    torch.manual_seed(batch)
    lean = network(LONG)
    own = Runner(lean, torch.float32)
    prompt, kept = both_prompts(lean, own, 50)
    ids, at = some(lean, batch, tokens), places(batch, tokens)
    for _ in range(2):
        states = own.peek(prompt, ids, at)
        for row in range(batch):
            assert_close(states[row : row + 1], lean.encode(ids[row : row + 1], at[row : row + 1], kept)[0])
    assert prompt.length == 50


def test_what_is_stored_is_what_is_extended_and_a_copy_is_independent() -> None:
    torch.manual_seed(0)
    lean = network(LONG)
    own = Runner(lean, torch.float32)
    ids, at, canvas, canvas_at = some(lean, 300), places(300), some(lean, 2, 8), places(2, 8)
    extended, stored, copied = own.prompt(), own.prompt(), own.prompt()
    own.extend(extended, ids, at)
    own.store(stored, ids, at)
    wanted = own.decode(canvas, canvas_at, extended)
    assert torch.equal(own.decode(canvas, canvas_at, stored), wanted)
    copied.copy(extended, 300)
    extended.truncate(0)
    own.extend(extended, ids.flip(0), at)
    assert torch.equal(own.decode(canvas, canvas_at, copied), wanted)


def test_more_experts_than_are_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FEW_EXPERTS", 2)
    torch.manual_seed(0)
    lean = network(LONG)
    both_prompts(lean, Runner(lean, torch.float32), 30)


def test_without_onednn_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_has_onednn", lambda: False)
    torch.manual_seed(0)
    lean = network(LONG)
    own = Runner(lean)
    assert own.dtype == torch.float32
    assert isinstance(own._logits, Plain)
    prompt, kept = both_prompts(lean, own, 120)
    canvas, at = some(lean, 2, 8), places(2, 8)
    assert_close(own.logits(own.decode(canvas, at, prompt)), lean.logits(lean.decode(canvas, at, kept)))


@pytest.mark.parametrize("seed", range(4))
def test_bfloat16_is_as_near_as_the_network_in_bfloat16(seed: int) -> None:
    torch.manual_seed(seed)
    # All experts are chosen, since a rounding may choose another one, which is no rounding any more.
    lean = network(replace(LONG, top_k_experts=LONG.num_experts), seed)
    rounded = network(lean.config, seed).to(torch.bfloat16)
    own = Runner(lean, torch.bfloat16)
    ids, at, canvas, canvas_at = some(lean, 80), places(80), some(lean, 1, 16), places(1, 16)
    prompt = own.prompt()
    own.store(prompt, ids, at)
    exact = lean.logits(lean.decode(canvas, canvas_at, lean.encode(ids[None], at[None])[1]))
    plain = rounded.logits(rounded.decode(canvas, canvas_at, rounded.encode(ids[None], at[None])[1]))
    error = (own.logits(own.decode(canvas, canvas_at, prompt)) - exact).norm()
    assert error <= 1.5 * (plain - exact).norm()
    assert error <= 0.05 * exact.norm()


@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_those_of_the_stock_classes(seed: int) -> None:
    rng = random.Random(seed)
    lean = network(random_config(rng), seed)
    stock, own = load.stock_model(lean, SPECIAL), Runner(lean, torch.float32)
    ids, canvas = some(lean, 1, 20), some(lean, 1, 9)
    where = torch.randperm(60)[None, :29]
    with torch.no_grad():
        inputs = {"decoder_input_ids": canvas, "decoder_position_ids": where[:, 20:]}
        first = stock(input_ids=ids, position_ids=where[:, :20], attention_mask=stock_masks(20), **inputs)
        second = stock(past_key_values=first.past_key_values, self_conditioning_logits=first.logits, **inputs)
    prompt = own.prompt()
    own.store(prompt, ids[0], where[0, :20])
    scores = own.logits(own.decode(canvas, where[:, 20:], prompt))
    assert_close(scores, first.logits)
    belief = own.believe(scores.softmax(-1))
    assert_close(own.logits(own.decode(canvas, where[:, 20:], prompt, belief)), second.logits)


def test_the_loop_gives_what_it_gives_with_the_network() -> None:
    torch.manual_seed(0)
    lean = network(LONG)
    own = Runner(lean, torch.float32)
    prompt, kept = both_prompts(lean, own, 40)
    canvas, schedule = Canvas.empty(list(range(40, 56)), [slice(0, 6), slice(6, 16)]), Schedule(4, 3)
    states = denoise(own, prompt, canvas, 1, schedule, lambda: False)
    wanted = denoise(lean, kept, canvas, 1, schedule, lambda: False)  # type: ignore[arg-type]  # has the same methods
    for state, other in zip(states, wanted, strict=True):
        assert torch.equal(state.ids, other.ids)
        assert torch.equal(state.accepted, other.accepted)
        torch.testing.assert_close(state.probabilities, other.probabilities, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "less", ["ONEDNN_MAX_CPU_ISA=AVX2", "ATEN_CPU_CAPABILITY=avx2", "ATEN_CPU_CAPABILITY=default"]
)
def test_a_lesser_processor_gives_the_same(less: str) -> None:
    name, _, value = less.partition("=")
    program = (
        "import torch; from dgemma_model.runner import Runner; from tests.model.test_runner import *\n"
        "torch.manual_seed(0); lean = network(LONG); own = Runner(lean)\n"
        "both_prompts(lean, Runner(lean, torch.float32), 120)\n"
        "own.extend(own.prompt(), some(lean, 120), places(120)); print(own.dtype)"
    )
    environment = {**os.environ, name: value, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    if "ONEDNN" in less:
        assert done.stdout.strip() == "torch.float32"
