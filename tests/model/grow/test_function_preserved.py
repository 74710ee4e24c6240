"""A grown model computes in transformers' DiffusionGemma classes what it computed in its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DynamicCache, PreTrainedModel

from dgemma_model.grow import command
from dgemma_model.grow import export as export_module
from dgemma_model.grow.checkpoint import Card, Packed
from dgemma_model.grow.export import export, write_stock
from dgemma_model.grow.plain import PlainConfig, PlainNetwork, expert_tensors
from dgemma_model.grow.safetensors_source import foreign_names
from dgemma_model.grow.source import Special
from dgemma_model.grow.tensorfile import Float32
from tests.model.grow.networks import (
    capped,
    difference,
    encoder_logits,
    ids_below,
    llama,
    qwen2,
    save,
    stock,
    tokenizer,
)

EXACT = 1e-4
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 network, tied, with biases, in four bits."""
    folder = tmp_path_factory.mktemp("source")
    out = tmp_path_factory.mktemp("packed") / "model"
    assert command.main([str(save(qwen2(tie_word_embeddings=True), folder)), "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(qwen2(tie_word_embeddings=True), id="qwen2, tied"),
        pytest.param(qwen2(tie_word_embeddings=False), id="qwen2, untied"),
        pytest.param(llama(tie_word_embeddings=True), id="llama, tied"),
        pytest.param(llama(tie_word_embeddings=False, attention_bias=True), id="llama, untied, with biases"),
        pytest.param(llama(head_dim=32), id="llama, heads wider than the stream"),
        pytest.param(llama(rope_parameters=LLAMA3), id="llama, stretched as Llama 3"),
        pytest.param(
            qwen2(rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}),
            id="qwen2, stretched linearly",
        ),
    ],
)
def test_the_encoder_computes_the_same_logits(model: PreTrainedModel, tmp_path: Path) -> None:
    source, out = save(model, tmp_path / "source"), tmp_path / "out"
    assert command.main([str(source), "--out", str(out), "--bits", "16"]) == 0
    kept = tokenizer().get_vocab_size()
    ids = ids_below(kept)
    with torch.no_grad():
        expected = model(ids).logits[..., :kept]
    assert difference(encoder_logits(stock(out), ids)[..., :kept], expected) < EXACT


def test_a_model_in_several_files_is_loaded_as_one(
    grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(grown, tmp_path / "whole")
    monkeypatch.setattr(export_module, "_SHARD", 200_000)
    export(grown, tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("model-*.safetensors"))) > 3
    ids = ids_below(300, rows=1, tokens=5)
    whole, parts = (encoder_logits(stock(tmp_path / name), ids) for name in ("whole", "parts"))
    assert torch.equal(whole, parts)


def test_a_trimmed_vocabulary_keeps_the_logits_of_its_tokens(tmp_path: Path) -> None:
    model = llama(tie_word_embeddings=True)
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.py").write_text("def add(first, second):", "utf-8")
    source, out = save(model, tmp_path / "source"), tmp_path / "out"
    arguments = [str(source), "--out", str(out), "--bits", "16", "--vocabulary", "270", "--texts", str(texts)]
    assert command.main(arguments) == 0

    grown = stock(out)
    old, new = tokenizer(), tokenizer().from_file(str(out / "tokenizer.json"))
    same = torch.tensor([old.token_to_id(new.id_to_token(number)) for number in range(269)])
    ids = ids_below(269)
    with torch.no_grad():
        expected = model(same[ids]).logits[..., same]
    assert grown.config.text_config.vocab_size == 270
    assert difference(encoder_logits(grown, ids)[..., :269], expected) < EXACT


def test_an_export_computes_what_the_packed_weights_say(grown: Path, tmp_path: Path) -> None:
    export(grown, tmp_path / "out")
    packed, model = Packed(grown), stock(tmp_path / "out")
    plain = _plain_model(packed)
    ids = ids_below(packed.config.vocabulary - 1)
    with torch.no_grad():
        expected = plain(ids).logits
    assert difference(encoder_logits(model, ids), expected) < EXACT


def test_the_decoder_computes_the_same_for_a_canvas_of_masks(grown: Path, tmp_path: Path) -> None:
    export(grown, tmp_path / "out")
    packed, model = Packed(grown), stock(tmp_path / "out")
    mask = packed.config.vocabulary - 1
    prompt, canvas = ids_below(mask, rows=1, tokens=20), torch.full((1, 8), mask)
    with torch.no_grad():
        cache = DynamicCache(config=model.config.get_text_config())
        model.model.encoder.language_model(input_ids=prompt, past_key_values=cache)
        states = model.model.decoder(decoder_input_ids=canvas, past_key_values=cache).last_hidden_state
        logits = capped(model, model.lm_head(states))
        whole = _plain_model(packed)(
            torch.cat([prompt, canvas], 1), attention_mask=_canvas_sees_all(prompt.shape[1], canvas.shape[1])
        ).logits
    # The mask's embedding is rounded to eight bits, and its size with it.
    assert difference(logits, whole[:, prompt.shape[1] :]) < 2e-3


def _canvas_sees_all(prompt: int, canvas: int) -> torch.Tensor:
    seen = torch.ones(prompt + canvas, prompt + canvas, dtype=torch.bool).tril()
    seen[prompt:] = True
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]


def test_experts_reach_masked_slots_and_nothing_else(grown: Path, tmp_path: Path) -> None:
    network = _WithExperts(Packed(grown))
    card = Card({"added_tokens": []}, Special(None, (), None), 0, None)
    write_stock(tmp_path / "out", network, Packed(grown).blueprint, card)
    export(grown, tmp_path / "idle")
    mask = network.config.vocabulary - 1
    ids = ids_below(mask, rows=1)
    ids[0, 25] = mask
    with torch.no_grad():
        trained, idle = (
            stock(tmp_path / name).model.encoder.language_model(input_ids=ids).last_hidden_state
            for name in ("out", "idle")
        )
    assert torch.equal(trained[:, :25], idle[:, :25])
    assert (trained[:, 25] - idle[:, 25]).abs().max() > 0.1 * idle[:, 25].abs().max()


def test_experts_add_what_their_formula_says(grown: Path, tmp_path: Path) -> None:
    network = _WithExperts(Packed(grown))
    card = Card({"added_tokens": []}, Special(None, (), None), 0, None)
    write_stock(tmp_path / "out", network, Packed(grown).blueprint, card)
    model = stock(tmp_path / "out")
    layer, blueprint = model.model.decoder.layers[0], Packed(grown).blueprint
    hidden = network.config.hidden
    state = torch.randn(5, hidden, generator=torch.Generator().manual_seed(1))
    wide = torch.zeros(5, blueprint.hidden)
    wide[:, :hidden] = state * blueprint.gain
    wide[:, blueprint.kind] = -blueprint.stored_kind * blueprint.hidden**0.5
    with torch.no_grad():
        _, weights, chosen = layer.router(wide)
        added = layer.post_feedforward_layernorm_2(
            layer.experts(layer.pre_feedforward_layernorm_2(wide), chosen, weights)
        )
        added = layer.post_feedforward_layernorm(added)[:, :hidden] / blueprint.gain
    assert difference(added, _experts_of(network, state)) < EXACT


def _experts_of(network: PlainNetwork, state: torch.Tensor) -> torch.Tensor:
    """The formula of `expert_tensors`, one slot and one expert at a time."""
    config, experts = network.config, network.config.experts
    parts = {
        name: torch.from_numpy(network.tensor(f"layers.0.experts.{name}"))
        for name in ("norm", "router", "gate", "up", "down")
    }
    parts |= {name: parts[name].bfloat16().float() for name in ("gate", "up", "down")}
    gate, up = (parts[name].view(experts.number, experts.width, -1) for name in ("gate", "up"))
    down = parts["down"].view(experts.number, config.hidden, -1)
    sums = torch.zeros_like(state)
    for slot, x in enumerate(state):
        h = torch.nn.functional.rms_norm(x, x.shape, parts["norm"], config.epsilon)
        likely, chosen = (parts["router"] @ h).softmax(0).topk(experts.chosen)
        for share, expert in zip(likely / likely.sum(), chosen, strict=True):
            inner = torch.nn.functional.silu(gate[expert] @ h) * (up[expert] @ h)
            sums[slot] += share * (down[expert] @ inner)
    return sums


class _WithExperts:
    """A network with random experts."""

    def __init__(self, network: PlainNetwork) -> None:
        self._network = network
        self.config: PlainConfig = network.config
        random = np.random.default_rng(5)
        self._experts = {
            slot.name: random.normal(0, 0.3, slot.shape).astype(np.float32)
            for slot in expert_tensors(self.config)
        }

    def tensor(self, name: str) -> Float32:
        return self._experts[name] if name in self._experts else self._network.tensor(name)

    def has(self, name: str) -> bool:
        return name in self._experts or self._network.has(name)


def _plain_model(packed: Packed) -> PreTrainedModel:
    """Qwen2 as transformers has it, with the packed weights, matrices rounded to bfloat16 as in the files.

    The growth scales matrices by powers of two only, so that it may round before or after.
    """
    model = qwen2(tie_word_embeddings=True, vocab_size=packed.config.vocabulary)
    names = foreign_names(packed.config)
    weights = {
        foreign: torch.from_numpy(packed.tensor(own)) for own, foreign in names.items() if packed.has(own)
    }
    rounded = {name: w.bfloat16().float() if w.ndim > 1 else w for name, w in weights.items()}
    model.load_state_dict(rounded | {"lm_head.weight": rounded["model.embed_tokens.weight"]})
    return model
