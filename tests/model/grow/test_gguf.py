"""GGUF files of both families, as llama.cpp's converter writes them, give the network that they were made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedModel

from dgemma_model.errors import ModelError
from dgemma_model.grow.gguf_source import open_gguf
from dgemma_model.grow.opening import open_source
from dgemma_model.grow.plain import RopeScaling, tensors
from dgemma_model.grow.safetensors_source import open_folder
from dgemma_model.grow.tensorfile import Float32
from tests.model.grow.networks import llama, qwen2, save, tokenizer

gguf = pytest.importorskip("gguf")

TYPES = {"F32": 0.0, "F16": 1e-3, "Q8_0": 8e-3}
"""Of a type: the largest difference of a weight, as a share of the largest weight."""

NAMES = {
    "model.embed_tokens": "token_embd",
    "lm_head": "output",
    "model.norm": "output_norm",
    "model.layers": "blk",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def permuted(rows: Float32, heads: int) -> Float32:
    """As convert_hf_to_gguf.py permutes Llama's queries and keys."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def write(model: PreTrainedModel, path: Path, kind: str = "F32", **extra: Any) -> Path:
    """The model as a GGUF file; `extra` keys go below the architecture's name, or replace tensors (arrays)."""
    family = model.config.model_type
    writer = gguf.GGUFWriter(path, family)
    arrays = {name: value for name, value in extra.items() if isinstance(value, np.ndarray)}
    fields = {key: value for key, value in extra.items() if key not in arrays}
    for key, value in (_shape(model) | fields).items():
        writer.add_key_value(f"{family}.{key}", value, _type(value))
    _add_tokenizer(writer)
    for name, values in (_tensors(model) | arrays).items():
        quantised = gguf.GGMLQuantizationType[
            kind if values.ndim > 1 and name not in arrays else str(_ggml(values))
        ]
        writer.add_tensor(name, gguf.quantize(values, quantised), raw_dtype=quantised)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _ggml(values: Float32) -> str:
    return "F16" if values.dtype == np.float16 else "F32"


def _type(value: Any) -> Any:
    kinds = gguf.GGUFValueType
    return {int: kinds.UINT32, float: kinds.FLOAT32, str: kinds.STRING}[type(value)]


def _shape(model: PreTrainedModel) -> dict[str, Any]:
    config = model.config
    return {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.freq_base": 10_000.0,
    }


def _add_tokenizer(writer: Any) -> None:
    words = tokenizer()
    count = words.get_vocab_size()
    tokens = [words.id_to_token(number) for number in range(count)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, *(f"[PAD{number}]" for number in range(6))])
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens] + [5] * 6)
    writer.add_token_merges([" ".join(merge) for merge in json.loads(words.to_str())["model"]["merges"]])
    writer.add_eos_token_id(words.token_to_id("<|end|>"))


def _tensors(model: PreTrainedModel) -> dict[str, Float32]:
    config, made = model.config, {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = value.float().numpy()
        if config.model_type == "llama" and ("q_proj" in name or "k_proj" in name):
            values = permuted(
                values, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            )
        made[_renamed(name)] = np.ascontiguousarray(values)
    return made


def _renamed(name: str) -> str:
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return name


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(llama(tie_word_embeddings=False), id="llama"),
        pytest.param(llama(tie_word_embeddings=True, attention_bias=True), id="llama, tied, with biases"),
        pytest.param(qwen2(tie_word_embeddings=True), id="qwen2, tied"),
    ],
)
def test_the_network_comes_back(model: PreTrainedModel, kind: str, tmp_path: Path) -> None:
    expected = open_folder(save(model, tmp_path / "folder")).network
    found = open_source(str(write(model, tmp_path / "a.gguf", kind))).network
    assert found.config == expected.config
    for slot in tensors(found.config):
        one, other = found.tensor(slot.name), expected.tensor(slot.name)
        assert np.abs(one - other).max() <= TYPES[kind] * np.abs(other).max(), slot.name


def test_the_tokenizer_comes_back_without_what_was_never_used(tmp_path: Path) -> None:
    source = open_gguf(write(qwen2(), tmp_path / "a.gguf"))
    words = json.loads(tokenizer().to_str())
    assert source.tokenizer["model"]["vocab"].keys() == words["model"]["vocab"].keys() - {
        "<|end|>",
        "<|start|>",
    }
    assert source.tokenizer["model"]["merges"] == words["model"]["merges"]
    assert [token["content"] for token in source.tokenizer["added_tokens"]] == ["<|end|>", "<|start|>"]
    assert source.special.ends == (tokenizer().token_to_id("<|end|>"),)


def test_an_embedding_that_is_stored_twice_is_tied_and_the_better_copy_is_read(tmp_path: Path) -> None:
    model = qwen2(tie_word_embeddings=True)
    exact = model.state_dict()["model.embed_tokens.weight"].numpy()
    rounded = np.round(exact * 200) / 200
    path = write(
        model,
        tmp_path / "a.gguf",
        **{"output.weight": exact, "token_embd.weight": rounded.astype(np.float16)},
    )
    network = open_gguf(path).network
    assert network.config.tied
    assert np.array_equal(network.tensor("embedding"), exact)


def test_llama_3_is_known_by_its_divisors(tmp_path: Path) -> None:
    from dgemma_model.grow.plain import Rope

    model = llama(head_dim=32)
    stretched = Rope(500_000.0, RopeScaling.LLAMA3, factor=32.0)
    divisors = Rope(500_000.0).frequencies(32) / stretched.frequencies(32)
    extra = {"attention.key_length": 32, "rope.freq_base": 500_000.0}
    assert (
        open_gguf(
            write(model, tmp_path / "a.gguf", **extra, **{"rope_freqs.weight": divisors})
        ).network.config.rope
        == stretched
    )
    with pytest.raises(ModelError, match="divisors of its own"):
        open_gguf(write(model, tmp_path / "b.gguf", **extra, **{"rope_freqs.weight": divisors + 1}))


def test_a_split_model_is_read_from_all_its_files(tmp_path: Path) -> None:
    whole = open_gguf(write(qwen2(), tmp_path / "a.gguf"))
    _split(tmp_path / "a.gguf", tmp_path)
    second = tmp_path / "b-00002-of-00002.gguf"
    network = open_gguf(second).network
    assert all(
        np.array_equal(network.tensor(slot.name), whole.network.tensor(slot.name))
        for slot in tensors(network.config)
    )
    second.unlink()
    with pytest.raises(ModelError, match=r"b-00002-of-00002\.gguf is missing; all 2 files"):
        open_gguf(tmp_path / "b-00001-of-00002.gguf")


def _split(path: Path, folder: Path) -> None:
    """The tensors in two files, the metadata in the first, as llama.cpp splits a model."""
    model = qwen2()
    names = list(_tensors(model))
    for number in (1, 2):
        writer = gguf.GGUFWriter(folder / f"b-{number:05}-of-00002.gguf", "qwen2")
        if number == 1:
            for key, value in _shape(model).items():
                writer.add_key_value(f"qwen2.{key}", value, _type(value))
            _add_tokenizer(writer)
        for name in names[number - 1 :: 2]:
            writer.add_tensor(name, _tensors(model)[name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    assert path.is_file()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"expert_count": 8}, "a mixture of experts already"),
        ({"attention.sliding_window": 128}, "sliding window of 128 tokens"),
        ({"rope.dimension_count": 8}, "turns 8 of 16 numbers of a head"),
        ({"rope.scaling.type": "yarn"}, "by the method yarn, which is not known"),
        ({"blk.0.attn_output.bias": np.ones(96, np.float32)}, "a bias behind its attention only"),
        ({"blk.0.attn_q_norm.weight": np.ones(16, np.float32)}, "holds blk.0.attn_q_norm.weight"),
    ],
)
def test_what_cannot_be_grown_is_refused(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=sentence):
        open_gguf(write(llama(), tmp_path / "a.gguf", **changes))


def test_a_truncated_file_is_said_to_be_one(tmp_path: Path) -> None:
    path = write(llama(), tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(ModelError, match="is no GGUF file or is truncated"):
        open_gguf(path)


def test_another_file_is_no_gguf(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"hello, I am a text" * 10)
    with pytest.raises(ModelError, match="is no GGUF file or is truncated"):
        open_gguf(tmp_path / "a.gguf")
