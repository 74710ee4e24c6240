"""The runners against the obvious network and against transformers' own classes, in every way they are called."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dgemma_model.denoise.loop import Canvas, Schedule, denoise
from dgemma_model.errors import ModelError
from dgemma_model.network import checkpoint
from dgemma_model.network.best_runner import best_runner
from dgemma_model.network.layers import KeysValues, Network
from dgemma_model.network.native_library import VARIABLE, Processor, processors
from dgemma_model.network.native_runner import PIECE, NativeRunner
from dgemma_model.network.runner import Prompt, Runner
from dgemma_model.network.torch_runner import TorchRunner, entropy
from tests.model.network.test_layers import SPECIAL, random_config, stock_masks
from tests.model.tiny import TINY, network

ROOT = Path(__file__).parents[3]
LONG = replace(TINY, context=1024)
Make = Callable[[Network], Runner]

# Every kind of processor whose code runs here, alone and with a thread that shares the rows; and torch.
EXACT: dict[str, Make] = {"torch": TorchRunner}
for _kind in processors():
    if _kind != Processor.AVX512_BF16:
        EXACT[_kind] = lambda network, kind=_kind: NativeRunner(network, kind, 1)  # type: ignore[misc]
if processors():
    EXACT["two threads"] = lambda network: NativeRunner(network, EXACT_KIND, 2)
EXACT_KIND = next((kind for kind in processors() if kind != Processor.AVX512_BF16), None)
every_runner = pytest.mark.parametrize("make", EXACT.values(), ids=EXACT)
FASTEST: Make = EXACT[EXACT_KIND or "torch"]


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


def test_the_native_code_was_compiled_here() -> None:
    assert processors(), "there is no C compiler, or the package was installed before it had native code"
    assert isinstance(best_runner(network()), NativeRunner)


@every_runner
@pytest.mark.parametrize("seed", range(8))
def test_prompts_canvases_scores_and_beliefs_equal_those_of_the_network(make: Make, seed: int) -> None:
    rng = random.Random(seed)
    torch.manual_seed(seed)
    lean = random_network(rng)
    own = make(lean)
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


@every_runner
@pytest.mark.parametrize("tokens", [1, 17, PIECE, PIECE + 1, 600])
def test_few_and_many_tokens_equal_those_of_the_network(make: Make, tokens: int) -> None:
    torch.manual_seed(tokens)
    lean = network(LONG)
    both_prompts(lean, make(lean), tokens)


@every_runner
def test_probabilities_entropies_and_the_likeliest_are_those_of_torch(make: Make) -> None:
    torch.manual_seed(0)
    own = make(network())
    scores = torch.randn(3, 5, TINY.vocab_size) * torch.logspace(-2, 2, 5).unsqueeze(-1)
    wanted = torch.distributions.Categorical(logits=scores.clone())
    probabilities, best, entropies = own.soften(scores)
    assert probabilities is scores or torch.equal(probabilities, scores)
    torch.testing.assert_close(probabilities, wanted.probs, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(entropies, wanted.entropy(), rtol=1e-3, atol=1e-5)
    assert torch.equal(best, wanted.logits.argmax(-1))


@given(
    seed=st.integers(0, 99), vocabulary=st.sampled_from([64, 96, 256, 1000]), sharpness=st.floats(0.01, 30)
)
def test_entropy_is_the_slow_obvious_one(seed: int, vocabulary: int, sharpness: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = 30 * torch.tanh(sharpness * torch.randn(2, 5, vocabulary, generator=generator) / 30)
    probabilities = scores.softmax(-1)
    own = entropy(probabilities, scores, probabilities.argmax(-1))
    torch.testing.assert_close(own, torch.special.entr(probabilities).sum(-1), rtol=1e-4, atol=1e-4)
    assert (own >= 0).all()


@every_runner
@given(
    pieces=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 70)), min_size=1, max_size=6),
    seed=st.integers(0, 5),
)
@settings(max_examples=10, deadline=None)
def test_a_prompt_that_is_cut_and_extended_is_the_one_encoded_at_once(
    make: Make, pieces: list[tuple[int, int]], seed: int
) -> None:
    torch.manual_seed(seed)
    lean = network(LONG, seed)
    own = make(lean)
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


@every_runner
@pytest.mark.parametrize("tokens", [1, 9, 40, 150])
def test_a_peek_is_an_encoding_of_each_path_of_a_tree_that_leaves_the_prompt_alone(
    make: Make, tokens: int
) -> None:
    rng = random.Random(tokens)
    torch.manual_seed(tokens)
    lean = network(LONG)
    own = make(lean)
    prompt, kept = both_prompts(lean, own, 50)
    ids, at = some(lean, tokens), places(tokens)
    parents = [rng.randrange(-1, node) for node in range(tokens)]
    for _ in range(2):
        states = own.peek(prompt, ids, at, parents)
        for node in range(0, tokens, 7):
            path = [node]
            while parents[path[0]] >= 0:
                path.insert(0, parents[path[0]])
            wanted = lean.encode(ids[None, path], at[None, path], kept)[0][0, -1]
            assert_close(states[node], wanted)
    assert prompt.length == 50


@every_runner
def test_what_is_stored_is_what_is_extended_and_a_copy_is_independent(make: Make) -> None:
    torch.manual_seed(0)
    lean = network(LONG)
    own = make(lean)
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


def test_a_prompt_outlives_the_name_of_its_runner() -> None:
    torch.manual_seed(0)
    lean = network(LONG)
    prompt = FASTEST(lean).prompt()
    gc.collect()
    prompt.truncate(0)
    assert prompt.length == 0


def test_odd_widths_and_what_lies_elsewhere_are_left_to_torch() -> None:
    assert isinstance(best_runner(network(replace(TINY, moe_intermediate_size=23))), TorchRunner)
    assert not NativeRunner.can_run(network().to("meta"))


@pytest.mark.skipif(
    Processor.AVX512_BF16 not in processors(), reason="no products in bfloat16 on this processor"
)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_bfloat16_is_as_near_as_the_network_in_bfloat16(seed: int, threads: int) -> None:
    torch.manual_seed(seed)
    # All experts are chosen, since a rounding may choose another one, which is no rounding any more.
    lean = network(replace(LONG, top_k_experts=LONG.num_experts), seed)
    rounded = network(lean.config, seed).to(torch.bfloat16)
    own = NativeRunner(lean, Processor.AVX512_BF16, threads)
    assert own.dtype == torch.bfloat16
    ids, at, canvas, canvas_at = some(lean, 80), places(80), some(lean, 1, 16), places(1, 16)
    prompt = own.prompt()
    own.store(prompt, ids, at)
    exact = lean.logits(lean.decode(canvas, canvas_at, lean.encode(ids[None], at[None])[1]))
    plain = rounded.logits(rounded.decode(canvas, canvas_at, rounded.encode(ids[None], at[None])[1]))
    error = (own.logits(own.decode(canvas, canvas_at, prompt)) - exact).norm()
    assert error <= 0.8 * (plain - exact).norm()
    assert error <= 0.05 * exact.norm()


@every_runner
@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_those_of_the_stock_classes(make: Make, seed: int) -> None:
    rng = random.Random(seed)
    lean = network(random_config(rng), seed)
    stock, own = checkpoint.stock_model(lean, SPECIAL), make(lean)
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


def test_the_loop_gives_what_it_gives_with_torch() -> None:
    torch.manual_seed(0)
    lean = network(LONG)
    ids, at = some(lean, 40), places(40)
    canvas, schedule = Canvas.empty(list(range(40, 56)), [slice(0, 6), slice(6, 16)]), Schedule(4, 3)
    loops = []
    for own in (FASTEST(lean), TorchRunner(lean)):
        prompt = own.prompt()
        own.store(prompt, ids, at)
        loops.append(denoise(own, prompt, canvas, 1, schedule, lambda: False))
    for state, other in zip(*loops, strict=True):
        assert torch.equal(state.ids, other.ids)
        assert torch.equal(state.accepted, other.accepted)
        torch.testing.assert_close(state.probabilities, other.probabilities, rtol=1e-3, atol=1e-4)


FILL = """
from dgemma_model.fill.infiller import Infiller
from dgemma_model.protocol import FillRequest
own = Infiller.load()
request = FillRequest(("names = []\\nfor name in ", "\\n    print(name)\\n"), ("",))
*_, last = own.drafts(request, lambda: False)
print(type(own.runner).__name__, str(own.runner.dtype), repr(last.alternatives[0][0].text))
"""


@pytest.mark.parametrize(
    ("settings", "runner"),
    [
        ({VARIABLE: "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}, "NativeRunner"),
        ({VARIABLE: "plain", "ATEN_CPU_CAPABILITY": "default"}, "NativeRunner"),
        (
            {VARIABLE: "torch", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
            "TorchRunner",
        ),
    ],
    ids=["AVX2", "any processor", "torch alone"],
)
def test_a_lesser_processor_fills_with_the_same_in_float32(settings: dict[str, str], runner: str) -> None:
    if settings[VARIABLE] not in {*processors(), "torch"}:
        pytest.skip(f"this processor has no {settings[VARIABLE]}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    done = subprocess.run(
        [sys.executable, "-c", FILL], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    name, dtype, text = done.stdout.strip().split(" ", 2)
    assert (name, dtype) == (runner, "torch.float32")
    assert text == "'names:'"


def test_a_processor_that_is_none_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "Z80")
    with pytest.raises(ModelError, match=r"DGEMMA_CPU is 'Z80', .*; use .* or torch"):
        processors()
