"""The part of a DiffusionGemma configuration that the lean network needs, read from a checkpoint's config.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgemma_model.errors import ModelError


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The shape of the text network; the names are those of transformers' ``DiffusionGemmaTextConfig``.

    Attributes:
        global_layers: True for each full-attention layer; its values are its keys (there is no v_proj).
        rope_theta: base of the rotary frequencies, the same for all layers.
        context: the most tokens of prompt and canvas together; within it sliding-window layers see everything, so
            that the lean network needs no window.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    num_experts: int
    top_k_experts: int
    moe_intermediate_size: int
    global_layers: tuple[bool, ...]
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-6
    softcap: float = 30.0
    context: int = 4096

    @property
    def num_hidden_layers(self) -> int:
        return len(self.global_layers)

    @classmethod
    def from_file(cls, path: Path) -> NetworkConfig:
        """Read ``config.json``.

        Raises:
            ModelError: the file cannot be read, or only transformers' own classes can run the network.
        """
        try:
            text = json.loads(path.read_text("utf-8"))["text_config"]
            return cls._from_text_config(text)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"The model's configuration {path} cannot be read ({error}).") from error

    @classmethod
    def _from_text_config(cls, text: dict[str, Any]) -> NetworkConfig:
        layers = text["layer_types"]
        theta = _common_rope_theta(text["rope_parameters"])
        for override in (text.get("per_layer_config") or {}).values():
            _refuse_unless(override.get("head_dim", text["head_dim"]) == text["head_dim"], "one head size")
            same = (
                override.get("num_key_value_heads", text["num_key_value_heads"])
                == text["num_key_value_heads"]
            )
            _refuse_unless(same, "one number of key-value heads")
        _refuse_unless(not text.get("attention_bias"), "attention without bias")
        _refuse_unless(text["hidden_activation"] == "gelu_pytorch_tanh", "the activation gelu_pytorch_tanh")
        return cls(
            vocab_size=text["vocab_size"],
            hidden_size=text["hidden_size"],
            intermediate_size=text["intermediate_size"],
            num_attention_heads=text["num_attention_heads"],
            num_key_value_heads=text["num_key_value_heads"],
            head_dim=text["head_dim"],
            num_experts=text["num_experts"],
            top_k_experts=text["top_k_experts"],
            moe_intermediate_size=text["moe_intermediate_size"],
            global_layers=tuple(kind == "full_attention" for kind in layers),
            rope_theta=theta,
            rms_norm_eps=text["rms_norm_eps"],
            softcap=text.get("final_logit_softcapping", 30.0),  # transformers leaves it out of the file
            context=min(text["sliding_window"], text["max_position_embeddings"]),
        )


def _common_rope_theta(parameters: dict[str, dict[str, Any]]) -> float:
    kinds = {(entry["rope_type"], entry["rope_theta"]) for entry in parameters.values()}
    _refuse_unless(len(kinds) == 1 and next(iter(kinds))[0] == "default", "one default rotary embedding")
    return float(next(iter(kinds))[1])


def _refuse_unless(condition: bool, wanted: str) -> None:
    if not condition:
        raise ValueError(f"the lean network wants {wanted}")


def smallest_vision() -> dict[str, Any]:
    """Return the smallest vision tower that transformers' classes and servers accept; our networks see no pictures."""
    return {
        "model_type": "gemma4_vision",
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "head_dim": 64,
        "default_output_length": 280,
        "position_embedding_size": 64,
    }
