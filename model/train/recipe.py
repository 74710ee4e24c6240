"""What is trained, and how the learning rate changes while it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dgemma_model.layouts.infill import Budget
from dgemma_model.network.config import NetworkConfig
from dgemma_model.train.data.examples import Shape


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what is trained, apart from the time it gets.

    Attributes:
        rows: of a batch; each process has batches of its own.
        matrix_lr, other_lr: peak learning rates of Muon and of AdamW.
        warmup: steps.
        fully_noised: share of canvases with t = 1, where serving begins.
        pad_share: of the slots behind ``<end>`` whose loss is computed in a step.
        imbalance: weight of the experts' load balancing.
        encoder_weight: of the encoder's loss beside the canvas'.
        prompt: tokens of a row's prompt at most, text behind the regions included.
        average: decay, a step, of the running mean of the weights (Polyak averaging) that is exported in place of the
            last ones; 0 for none.
        characters_per_row: a file gives one row for so many of its characters.
        bf16: whether matrix products, the loss's and Muon's too, run in bfloat16; slower than float32 on a processor
            without AMX or AVX512-BF16.
    """

    hidden: int = 192
    layers: int = 4
    head_dim: int = 64
    dense: int = 384
    experts: int = 8
    top_k: int = 2
    expert: int = 96
    rows: int = 12
    matrix_lr: float = 0.02
    other_lr: float = 0.004
    warmup: int = 40
    self_conditioning: float = 0.3
    fully_noised: float = 0.3
    pad_share: float = 0.1
    imbalance: float = 0.01
    encoder_weight: float = 1.0
    prompt: int = 512
    average: float = 0.0
    characters_per_row: int = 1500
    bf16: bool = False
    seed: int = 0

    @property
    def dtype(self) -> torch.dtype:
        """In which matrices are multiplied."""
        return torch.bfloat16 if self.bf16 else torch.float32

    @property
    def shape(self) -> Shape:
        """Sizes of a row; a quarter of a long prompt stands behind the regions."""
        return Shape(prompt=self.prompt, canvas=144, suffix=self._suffix)

    @property
    def budget(self) -> Budget:
        """What the network may be asked with."""
        return Budget(prefix=3 * self.prompt // 4, suffix=self._suffix, between=self._suffix)

    @property
    def _suffix(self) -> int:
        return 3 * self.prompt // 16

    def network(self, vocabulary: int) -> NetworkConfig:
        """The network's shape; the last layer is global, as DiffusionGemma demands."""
        return NetworkConfig(
            vocab_size=vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.dense,
            num_attention_heads=self.hidden // self.head_dim,
            num_key_value_heads=max(1, self.hidden // self.head_dim // 2),
            head_dim=self.head_dim,
            num_experts=self.experts,
            top_k_experts=self.top_k,
            moe_intermediate_size=self.expert,
            global_layers=(False,) * (self.layers - 1) + (True,),
        )


def schedule(step: int, recipe: Recipe, elapsed: float, minutes: float, cooldown: float) -> float:
    """Factor of the learning rate: warm up by steps, then stay, then fall to zero in the last ``cooldown`` minutes."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    left = (minutes - elapsed) / cooldown if cooldown else 1.0
    return warm * max(0.0, min(1.0, left))
