"""The lean network against transformers' own classes, and its cached path against its uncached one."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgemma_model.errors import ModelError
from dgemma_model.network import checkpoint
from dgemma_model.network.config import NetworkConfig
from dgemma_model.network.layers import Network
from tests.model.tiny import TINY, network

SPECIAL = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}


def random_config(rng: random.Random) -> NetworkConfig:
    key_values = rng.choice((1, 2))
    layers = rng.randrange(1, 4)
    return NetworkConfig(
        vocab_size=rng.randrange(16, 128),
        hidden_size=8 * rng.randrange(2, 8),
        intermediate_size=8 * rng.randrange(1, 8),
        num_attention_heads=key_values * rng.choice((1, 2, 3)),
        num_key_value_heads=key_values,
        head_dim=rng.choice((8, 16)),
        num_experts=(experts := rng.randrange(2, 6)),
        top_k_experts=rng.randrange(1, experts + 1),
        moe_intermediate_size=8 * rng.randrange(1, 5),
        global_layers=(*(rng.random() < 0.5 for _ in range(layers - 1)), True),
        rope_theta=rng.choice((1e3, 1e4)),
        context=64,
    )


def stock_masks(tokens: int) -> dict[str, torch.Tensor]:
    # Explicit, because transformers takes jumps in position ids for packed sequences.
    causal = torch.ones(1, 1, tokens, tokens, dtype=torch.bool).tril()
    return {"full_attention": causal, "sliding_attention": causal}


@pytest.mark.parametrize("seed", range(12))
def test_logits_equal_those_of_the_stock_classes(seed: int) -> None:
    rng = random.Random(seed)
    config = random_config(rng)
    lean = network(config, seed)
    stock = checkpoint.stock_model(lean, SPECIAL)
    tokens, slots = rng.randrange(2, 24), rng.randrange(1, 12)
    ids = torch.randint(0, config.vocab_size, (2, tokens))
    canvas = torch.randint(0, config.vocab_size, (2, slots))
    places = torch.randperm(60)[: tokens + slots].expand(2, -1)
    prompt_at, canvas_at = places[:, :tokens], places[:, tokens:]

    with torch.no_grad():
        first = stock(
            input_ids=ids,
            position_ids=prompt_at,
            attention_mask=stock_masks(tokens),
            decoder_input_ids=canvas,
            decoder_position_ids=canvas_at,
        )
        second = stock(
            past_key_values=first.past_key_values,
            decoder_input_ids=canvas,
            decoder_position_ids=canvas_at,
            self_conditioning_logits=first.logits,
        )
    states, kept = lean.encode(ids, prompt_at)
    own_first = lean.logits(lean.decode(canvas, canvas_at, kept))
    belief = lean.believe(own_first.softmax(-1))
    own_second = lean.logits(lean.decode(canvas, canvas_at, kept, belief))

    encoded = stock.lm_head(first.encoder_last_hidden_state)
    assert lean.final(states) @ lean.embedding.t() == close_to(encoded)
    assert own_first == close_to(first.logits)
    assert own_second == close_to(second.logits)


class close_to:
    """Equal within 1e-4 of the largest value."""

    def __init__(self, wanted: torch.Tensor) -> None:
        self.wanted = wanted

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, torch.Tensor)
        return bool((other - self.wanted).abs().max() <= 1e-4 * self.wanted.abs().max())

    def __req__(self, other: object) -> bool:
        return self == other


def test_gradients_equal_those_of_the_stock_classes() -> None:
    lean = network(replace(TINY, context=64), 3).train().requires_grad_(True)
    stock = checkpoint.stock_model(lean, SPECIAL).train()
    ids, canvas = torch.randint(0, 96, (1, 9)), torch.randint(0, 96, (1, 5))
    at, canvas_at = torch.arange(9)[None], torch.arange(20, 25)[None]
    answer = stock(
        input_ids=ids,
        position_ids=at,
        attention_mask=stock_masks(9),
        decoder_input_ids=canvas,
        decoder_position_ids=canvas_at,
    )
    answer.logits.square().mean().backward()
    _, kept = lean.encode(ids, at)
    lean.logits(lean.decode(canvas, canvas_at, kept)).square().mean().backward()
    wanted = {name: parameter.grad for name, parameter in stock.named_parameters(remove_duplicate=False)}
    for name, parts in checkpoint.names(lean.config):
        if name.endswith(".scalar") or name.startswith("self_conditioning"):
            continue
        reference = torch.cat([wanted[part] for part in parts])
        own = lean.get_parameter(name).grad
        assert own is not None
        torch.testing.assert_close(own, reference, rtol=1e-3, atol=1e-6)


@given(cut=st.integers(1, 14), seed=st.integers(0, 3))
@settings(max_examples=15)
def test_a_prompt_encoded_in_two_pieces_is_the_prompt_encoded_at_once(cut: int, seed: int) -> None:
    lean = network(seed=seed)
    ids, at = torch.randint(0, 96, (1, 15)), torch.randperm(40)[:15][None]
    states, kept = lean.encode(ids, at)
    _, begun = lean.encode(ids[:, :cut], at[:, :cut])
    rest, continued = lean.encode(ids[:, cut:], at[:, cut:], begun)
    torch.testing.assert_close(rest, states[:, cut:], rtol=1e-4, atol=1e-4)
    for (key, value), (other_key, other_value) in zip(kept, continued, strict=True):
        torch.testing.assert_close(key, other_key, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(value, other_value, rtol=1e-4, atol=1e-5)


def test_a_batch_of_canvases_shares_one_prompt() -> None:
    lean = network()
    _, kept = lean.encode(torch.randint(0, 96, (1, 9)), torch.arange(9)[None])
    canvases, at = torch.randint(0, 96, (3, 6)), torch.arange(9, 15).expand(3, -1)
    together = lean.decode(canvases, at, kept)
    for row in range(3):
        alone = lean.decode(canvases[row : row + 1], at[:1], kept)
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_a_saved_checkpoint_loads_with_stock_transformers_and_with_us(tmp_path: Path) -> None:
    from transformers import DiffusionGemmaForBlockDiffusion

    lean = network(replace(TINY, context=128))
    checkpoint.save(lean, tmp_path, SPECIAL)
    again = checkpoint.load(tmp_path)
    stock = DiffusionGemmaForBlockDiffusion.from_pretrained(tmp_path, dtype=torch.float32)
    ids, canvas = torch.randint(0, 96, (1, 7)), torch.randint(0, 96, (1, 4))
    at, canvas_at = torch.arange(7)[None], torch.arange(7, 11)[None]
    _, kept = again.encode(ids, at)
    own = again.logits(again.decode(canvas, canvas_at, kept))
    with torch.no_grad():
        reference = stock(input_ids=ids, decoder_input_ids=canvas, decoder_position_ids=canvas_at).logits
    assert own == close_to(reference)


def test_weights_of_another_model_truncated_weights_and_no_folder_are_one_clear_sentence(
    tmp_path: Path,
) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        checkpoint.load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"has no config\.json"):
        checkpoint.load(tmp_path)
    checkpoint.save(network(), tmp_path, SPECIAL)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="damaged or incomplete"):
        checkpoint.load(tmp_path)
    weights.write_bytes(b"")
    with pytest.raises(ModelError, match="damaged or incomplete"):
        checkpoint.load(tmp_path)
    config = tmp_path / "config.json"
    config.write_text("{}")
    with pytest.raises(ModelError, match="cannot be read"):
        checkpoint.load(tmp_path)


def test_the_training_flag_measures_how_evenly_experts_share() -> None:
    lean = Network(TINY).train()
    for parameter in lean.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.02) if parameter.ndim > 1 else None
    lean.encode(torch.randint(0, 96, (2, 50)), torch.arange(50).expand(2, -1))
    imbalance = lean.layers[0].experts.imbalance  # type: ignore[union-attr]
    assert imbalance is not None
    assert 0.9 < imbalance.item() < 2
