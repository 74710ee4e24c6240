"""How a plain network sits in transformers' DiffusionGemma classes without losing anything: the numbers.

The classes have more than the plain network, and each surplus is made to do nothing:

* A norm behind a product (post-norms, those of queries, keys and values) only divides by √ε when its input is far
  smaller than √ε. So the product's matrix is made tiny by `shrink` (a power of two: nothing is rounded), and the
  norm's weight, or for values the next matrix, undoes both.
* The decoder norms its input to unit size. So the residual stream is `gain` times the plain one, which gives
  embeddings about that size, and the ε of all norms grows with it; `<mask>` gets exactly that size (`mask_size`).
* The last layer must attend fully and has no values of its own: one whose matrices are zero is appended. All others
  are sliding layers whose window is the whole context.
* Experts: the residual stream is made wider, to a multiple of 64, and the first new dimension holds the *kind* of a
  token: `+kind` for ordinary ones, `-kind` for `<mask>`. The first experts are null, as many as a token chooses, and
  their router rows read nothing but the kind, with a weight that decides alone: an ordinary token always gets the null
  experts, a masked slot never does. What experts learn therefore cannot change the pretrained model.
  (The idea of training for masked slots only, with LoRA in place of experts: Samragh et al. 2025, arXiv 2507.11851.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dgemma_model.errors import ModelError
from dgemma_model.grow.plain import PlainConfig
from dgemma_model.grow.source import Json, Special
from dgemma_model.grow.tensorfile import Float32
from dgemma_model.network.config import smallest_vision

_MULTIPLE = 64
_SOFTCAP = 1e4
"""Of logits; a logit of 30 is changed by three in a million."""

_CANVAS = 64
"""Slots that stock code fills at once unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The numbers of a growth.

    Attributes:
        plain: the network that is grown.
        exponent: the embedding is multiplied by two to this power (the classes multiply it by √hidden once more).
    """

    plain: PlainConfig
    exponent: int

    shrink = 2.0**-34
    stored_kind = 2.0**-15
    null_pull = 2.0**40

    @classmethod
    def fit(cls, plain: PlainConfig, embedding: Float32) -> Blueprint:
        """The growth whose embeddings are closest to unit size.

        Raises:
            ModelError: the embedding has no size, or one that is no number.
        """
        size = math.sqrt(float(np.square(embedding, dtype=np.float64).mean()))
        if not 0 < size < math.inf:
            raise ModelError(
                "The embedding is zero or holds numbers that are not finite; the source is damaged."
            )
        return cls(plain, -round(math.log2(size * math.sqrt(plain.hidden))))

    @property
    def hidden(self) -> int:
        """Width of the grown stream: room for the kind, then up to a multiple of 64."""
        return (self.plain.hidden // _MULTIPLE + 1) * _MULTIPLE

    @property
    def kind(self) -> int:
        """The dimension that tells masked slots from others."""
        return self.plain.hidden

    @property
    def embedding_factor(self) -> float:
        return 2.0**self.exponent

    @property
    def gain(self) -> float:
        """The grown residual stream as a multiple of the plain one."""
        return self.embedding_factor * math.sqrt(self.hidden)

    @property
    def norm_factor(self) -> float:
        """For weights of norms: the mean square now runs over more dimensions."""
        return math.sqrt(self.plain.hidden / self.hidden)

    @property
    def epsilon(self) -> float:
        return self.plain.epsilon * self.embedding_factor**2 * self.plain.hidden

    @property
    def root(self) -> float:
        """√ε, which an idle norm divides by."""
        return math.sqrt(self.epsilon)

    @property
    def out_factor(self) -> float:
        """For the matrix behind the values: the power of two next to √ε, so that values get about their own size."""
        return 2.0 ** round(math.log2(self.root))

    @property
    def out_shrink(self) -> float:
        """The attention's output as a multiple of the plain one."""
        return self.shrink * self.out_factor / self.root

    @property
    def mask_size(self) -> float:
        """Root mean square of the plain embedding of `<mask>` that the decoder's input norm leaves as it is."""
        return math.sqrt(1 - self.epsilon) / (self.embedding_factor * math.sqrt(self.plain.hidden))

    @property
    def experts(self) -> int:
        """Null experts and trained ones."""
        return self.plain.experts.chosen + self.plain.experts.number


def stock_config(blueprint: Blueprint, special: Special, mask: int) -> Json:
    """The configuration of ``DiffusionGemmaForBlockDiffusion`` for the grown network."""
    ends = list(special.ends) or None
    tokens = {"bos_token_id": special.begin, "eos_token_id": ends, "pad_token_id": special.pad}
    return {
        "architectures": ["DiffusionGemmaForBlockDiffusion"],
        "model_type": "diffusion_gemma",
        "dtype": "bfloat16",
        "canvas_length": _CANVAS,
        "mask_token_id": mask,
        "tie_word_embeddings": True,
        **tokens,
        "text_config": _text_config(blueprint) | tokens,
        "vision_config": smallest_vision(),
    }


def _text_config(blueprint: Blueprint) -> Json:
    plain = blueprint.plain
    rope = _rope(plain)
    return {
        "model_type": "diffusion_gemma_text",
        "vocab_size": plain.vocabulary,
        "hidden_size": blueprint.hidden,
        "intermediate_size": plain.intermediate,
        "num_hidden_layers": plain.layers + 1,
        "num_attention_heads": plain.heads,
        "num_key_value_heads": plain.kv_heads,
        "head_dim": plain.head_dim,
        "global_head_dim": plain.head_dim,
        "num_global_key_value_heads": plain.kv_heads,
        "hidden_activation": "silu",
        "max_position_embeddings": plain.context,
        "sliding_window": plain.context,
        "rms_norm_eps": blueprint.epsilon,
        "attention_bias": plain.bias,
        "layer_types": ["sliding_attention"] * plain.layers + ["full_attention"],
        "rope_parameters": {"sliding_attention": rope, "full_attention": rope},
        "final_logit_softcapping": _SOFTCAP,
        "num_experts": blueprint.experts,
        "top_k_experts": plain.experts.chosen,
        "moe_intermediate_size": plain.experts.width,
        "tie_word_embeddings": True,
    }


def _rope(plain: PlainConfig) -> dict[str, Any]:
    rope = plain.rope
    named: dict[str, Any] = {"rope_type": rope.scaling.value, "rope_theta": rope.theta}
    return named | rope.parameters()
