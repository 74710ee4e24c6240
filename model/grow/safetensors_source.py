"""Plain networks from a folder as Hugging Face keeps them: config.json, safetensors, tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dgemma_model.errors import ModelError
from dgemma_model.grow.plain import Family, PlainConfig, Rope, RopeScaling
from dgemma_model.grow.source import Json, Source, Special, layer_names
from dgemma_model.grow.tensorfile import Float32, TensorFile, as_float32

_INDEX = "model.safetensors.index.json"
_OUTSIDE: Mapping[str, str] = {
    "embedding": "model.embed_tokens.weight",
    "head": "lm_head.weight",
    "norm": "model.norm.weight",
}
_IN_LAYER: Mapping[str, str] = {
    "attention_norm": "input_layernorm.weight",
    "query": "self_attn.q_proj.weight",
    "key": "self_attn.k_proj.weight",
    "value": "self_attn.v_proj.weight",
    "out": "self_attn.o_proj.weight",
    "query.bias": "self_attn.q_proj.bias",
    "key.bias": "self_attn.k_proj.bias",
    "value.bias": "self_attn.v_proj.bias",
    "out.bias": "self_attn.o_proj.bias",
    "mlp_norm": "post_attention_layernorm.weight",
    "gate": "mlp.gate_proj.weight",
    "up": "mlp.up_proj.weight",
    "down": "mlp.down_proj.weight",
}


def open_folder(folder: Path) -> Source:
    """The model in a folder.

    Raises:
        ModelError: a file is missing or damaged, or the model cannot be grown.
    """
    config = _read(folder / "config.json")
    network = _Network(folder, _config(folder, config))
    generation = _read(folder / "generation_config.json", optional=True)
    template = _read(folder / "tokenizer_config.json", optional=True).get("chat_template")
    separate = folder / "chat_template.jinja"
    if not isinstance(template, str):
        template = separate.read_text("utf-8") if separate.is_file() else None
    return Source(network, _read(folder / "tokenizer.json"), _special({**config, **generation}), template)


class _Network:
    """The weights, in one file or several."""

    def __init__(self, folder: Path, config: PlainConfig) -> None:
        self.config, self._folder = config, folder
        self._names = foreign_names(config)
        self._files = {name: file for file in _files(folder) for name in file.names()}

    def tensor(self, name: str) -> Float32:
        stored = self._names[name]
        if stored not in self._files:
            raise ModelError(f"The model in {self._folder} lacks the tensor {stored}; fetch it anew.")
        return as_float32(self._files[stored].read(stored))

    def has(self, name: str) -> bool:
        return self._names.get(name) in self._files


def foreign_names(config: PlainConfig) -> dict[str, str]:
    """Canonical names → those of transformers' ``state_dict``."""
    return {**_OUTSIDE, **layer_names(_IN_LAYER, config.layers, "model.layers.{}.")}


def _files(folder: Path) -> list[TensorFile]:
    if (folder / _INDEX).is_file():
        return [
            TensorFile(folder / name) for name in sorted(set(_read(folder / _INDEX)["weight_map"].values()))
        ]
    return [TensorFile(folder / "model.safetensors")]


def _read(path: Path, *, optional: bool = False) -> Json:
    if optional and not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}); a model needs config.json, tokenizer.json and safetensors."
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object; fetch the model anew.")
    return content


def _config(folder: Path, config: Json) -> PlainConfig:
    family = _family(folder, config)
    _refuse_variants(folder, config)
    qwen = family is Family.QWEN2
    try:
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        return PlainConfig(
            family=family,
            vocabulary=int(config["vocab_size"]),
            hidden=hidden,
            intermediate=int(config["intermediate_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or hidden // heads),
            epsilon=float(config["rms_norm_eps"]),
            rope=_rope(folder, config),
            context=int(config["max_position_embeddings"]),
            bias=qwen or bool(config.get("attention_bias")),
            out_bias=not qwen and bool(config.get("attention_bias")),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder}/config.json is incomplete ({error}); fetch the model anew.") from error


def _family(folder: Path, config: Json) -> Family:
    name = config.get("model_type", "unknown")
    try:
        return Family(name)
    except ValueError as error:
        raise ModelError(
            f"{folder} is a model of the family {name}; only Llama and Qwen2 can be grown."
        ) from error


def _refuse_variants(folder: Path, config: Json) -> None:
    if config.get("hidden_act", "silu") != "silu":
        raise ModelError(f"{folder} uses the activation {config['hidden_act']}; only silu can be grown.")
    if config.get("mlp_bias"):
        raise ModelError(
            f"{folder} has biases in its gated layers, which DiffusionGemma has not; it cannot be grown."
        )
    if quantised := config.get("quantization_config"):
        method = quantised.get("quant_method", "an unknown way")
        raise ModelError(f"{folder} is quantised by {method}; give the unquantised model, or a GGUF file.")
    if _slides(config):
        raise ModelError(f"{folder} uses sliding windows; such models cannot be grown.")


def _slides(config: Json) -> bool:
    """Whether some layers see only a window that is smaller than the context."""
    window = config.get("sliding_window")
    if (
        not config.get("use_sliding_window")
        or not window
        or window >= config.get("max_position_embeddings", 0)
    ):
        return False
    kinds = config.get("layer_types")
    if kinds:
        return "sliding_attention" in kinds
    return bool(config.get("max_window_layers", 0) < config.get("num_hidden_layers", 0))


def _rope(folder: Path, config: Json) -> Rope:
    """From `rope_parameters`, as transformers 5 writes it, or `rope_theta` and `rope_scaling`, as earlier ones did."""
    old: dict[str, Any] = {
        "rope_theta": config.get("rope_theta", 10_000.0),
        **(config.get("rope_scaling") or {}),
    }
    fields = {**old, **(config.get("rope_parameters") or {})}
    name = fields.get("rope_type", fields.get("type", "default"))
    if fields.get("partial_rotary_factor", 1.0) != 1.0:
        raise ModelError(f"{folder} turns only a part of each head; such models cannot be grown.")
    if name not in {scaling.value for scaling in RopeScaling}:
        raise ModelError(f"{folder} stretches its positions by the method {name}, which is not known here.")
    theta, scaling = float(fields["rope_theta"]), RopeScaling(name)
    match scaling:
        case RopeScaling.NONE:
            return Rope(theta)
        case RopeScaling.LINEAR:
            return Rope(theta, scaling, float(fields["factor"]))
    return Rope(
        theta,
        scaling,
        float(fields["factor"]),
        float(fields["low_freq_factor"]),
        float(fields["high_freq_factor"]),
        int(fields["original_max_position_embeddings"]),
    )


def _special(config: Json) -> Special:
    ends = config.get("eos_token_id")
    ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
    return Special(config.get("bos_token_id"), tuple(ends), config.get("pad_token_id"))
