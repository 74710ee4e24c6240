"""Read a DiffusionGemma repository into the lean network, and write the network as one.

Names on disk are transformers' own, so that every checkpoint of ours loads with
``DiffusionGemmaForBlockDiffusion.from_pretrained``. Only `save` and `stock_model` import transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dgemma_model.errors import ModelError
from dgemma_model.network.config import NetworkConfig, smallest_vision
from dgemma_model.network.folder import CONFIG, WEIGHTS, file_of
from dgemma_model.network.layers import Network

if TYPE_CHECKING:
    from transformers import DiffusionGemmaForBlockDiffusion

_DECODER = "model.decoder."
_IN_LAYER: Mapping[str, tuple[str, ...]] = {
    "attention_norm": ("input_layernorm.weight",),
    "qkv": ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    "query_norm": ("self_attn.q_norm.weight",),
    "key_norm": ("self_attn.k_norm.weight",),
    "out": ("self_attn.o_proj.weight",),
    "post_attention_norm": ("post_attention_layernorm.weight",),
    "mlp_norm": ("pre_feedforward_layernorm.weight",),
    "gate_up": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
    "down": ("mlp.down_proj.weight",),
    "post_mlp_norm": ("post_feedforward_layernorm_1.weight",),
    "experts.router_scale": ("router.scale",),
    "experts.router": ("router.proj.weight",),
    "experts.expert_scale": ("router.per_expert_scale",),
    "experts.norm": ("pre_feedforward_layernorm_2.weight",),
    "experts.gate_up": ("experts.gate_up_proj",),
    "experts.down": ("experts.down_proj",),
    "post_experts_norm": ("post_feedforward_layernorm_2.weight",),
    "post_norm": ("post_feedforward_layernorm.weight",),
    "scalar": ("layer_scalar",),
}
_OUTSIDE: Mapping[str, tuple[str, ...]] = {
    "embedding": ("embed_tokens.weight",),
    "norm": ("norm.weight",),
    "self_conditioning.norm": ("self_conditioning.pre_norm.weight",),
    "self_conditioning.gate_up": ("self_conditioning.gate_proj.weight", "self_conditioning.up_proj.weight"),
    "self_conditioning.down": ("self_conditioning.down_proj.weight",),
}


def names(config: NetworkConfig) -> Iterator[tuple[str, tuple[str, ...]]]:
    """List each tensor of the lean network with the stock tensors that it is made of, in order."""
    for lean, stock in _OUTSIDE.items():
        yield lean, tuple(_DECODER + name for name in stock)
    for index, shared in enumerate(config.global_layers):
        for lean, stock in _IN_LAYER.items():
            parts = stock[:2] if lean == "qkv" and shared else stock  # a global layer's values are its keys
            yield f"layers.{index}.{lean}", tuple(f"{_DECODER}layers.{index}.{name}" for name in parts)


def load(path: Path, device: str = "cpu") -> Network:
    """Load the checkpoint in folder ``path`` as the lean network, in float32, ready for inference.

    Raises:
        ModelError: the folder is missing, the lean network cannot run the checkpoint, or its weights are damaged.
    """
    config = NetworkConfig.from_file(file_of(path, CONFIG))
    # Not on the device "meta": there, arange imports torch's compiler, which takes longer than torch itself.
    network = Network(config)
    network.load_state_dict(_read_weights(file_of(path, WEIGHTS), config), strict=True, assign=True)
    return network.to(device).eval().requires_grad_(False)


def save(network: Network, path: Path, extra: Mapping[str, Any]) -> None:
    """Write the network as a DiffusionGemma repository: config.json, generation_config.json, model.safetensors.

    Args:
        network: its weights are written as bfloat16.
        path: the folder; it is made if it is missing.
        extra: further keys for config.json, such as special token ids.
    """
    stock = stock_model(network, extra)
    torch.nn.Module.to(stock, torch.bfloat16)  # transformers' own `to` is a wrapper that has no types
    stock.save_pretrained(path)


def stock_model(network: Network, extra: Mapping[str, Any] | None = None) -> DiffusionGemmaForBlockDiffusion:
    """Make transformers' own model with a copy of the lean network's weights."""
    from transformers import DiffusionGemmaForBlockDiffusion

    stock: DiffusionGemmaForBlockDiffusion = DiffusionGemmaForBlockDiffusion(
        stock_config(network.config, extra or {})
    )
    state = network.state_dict()
    own = stock.state_dict()
    for lean, parts in names(network.config):
        pieces = state[lean].split([own[part].shape[0] for part in parts])
        for part, piece in zip(parts, pieces, strict=True):
            own[part].copy_(piece)
            if part.endswith("layer_scalar"):
                own[part.replace(_DECODER, "model.encoder.language_model.")].copy_(piece)
    stock.eval()
    return stock


def stock_config(config: NetworkConfig, extra: Mapping[str, Any]) -> Any:
    """Make transformers' configuration of the same shape, with the smallest vision tower that it accepts."""
    from transformers import DiffusionGemmaConfig, DiffusionGemmaTextConfig

    rope = {"rope_type": "default", "rope_theta": config.rope_theta}
    special = {key: extra[key] for key in ("pad_token_id", "eos_token_id", "bos_token_id") if key in extra}
    text = DiffusionGemmaTextConfig(  # type: ignore[call-arg]  # further keys go to per_layer_config
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        global_head_dim=config.head_dim,
        num_global_key_value_heads=config.num_key_value_heads,
        max_position_embeddings=config.context,
        sliding_window=config.context,
        layer_types=["full_attention" if full else "sliding_attention" for full in config.global_layers],
        rope_parameters={"sliding_attention": dict(rope), "full_attention": dict(rope)},
        num_experts=config.num_experts,
        top_k_experts=config.top_k_experts,
        moe_intermediate_size=config.moe_intermediate_size,
        rms_norm_eps=config.rms_norm_eps,
        **special,
    )
    return DiffusionGemmaConfig(
        text_config=text,
        vision_config=smallest_vision(),
        canvas_length=extra.get("canvas_length", 64),
        **special,
    )


def parameter_count(network: Network) -> int:
    """Count the parameters of the text network."""
    return sum(parameter.numel() for parameter in network.parameters())


def _read_weights(path: Path, config: NetworkConfig) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            wanted = {part for _, parts in names(config) for part in parts}
            missing = wanted - set(file.keys())
            if missing:
                raise ModelError(f"The weights {path} lack {min(missing)}; they belong to another model.")
            return _gather({name: file.get_tensor(name).float() for name in wanted}, config)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"The weights {path} are damaged or incomplete ({error}); copy them anew."
        ) from error


def _gather(stock: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    return {lean: torch.cat([stock[part] for part in parts]) for lean, parts in names(config)}
