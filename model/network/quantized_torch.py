"""A quantised network in torch, for machines where nothing was compiled: slower, and several times as large in memory.

Weights are widened when the network is opened, and activations are not rounded; for the rest it is `quantized_runner`,
and the tests compare the two.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional

from dgemma_model.network.quantized import (
    Booleans,
    Checkpoint,
    Floats,
    Matrix,
    Prompt,
    QuantizedNetwork,
    Ranking,
)

log = logging.getLogger(__name__)


class TorchPrompt(Prompt):
    """Keys and values [kv_heads, tokens, head_dim] of each layer; those of the last pass stand behind the prompt's."""

    def __init__(self, layers: int, kv_heads: int, head_dim: int) -> None:
        self.length = 0
        self.layers = [(torch.empty(kv_heads, 0, head_dim),) * 2 for _ in range(layers)]

    def truncate(self, length: int) -> None:
        self.length = min(self.length, length)

    def copy(self, other: Prompt, length: int) -> None:
        assert isinstance(other, TorchPrompt)
        self.layers = [(keys[:, :length], values[:, :length]) for keys, values in other.layers]
        self.length = length

    def keep(self, tokens: Sequence[int]) -> None:
        places = torch.tensor([*range(self.length), *(self.length + token for token in tokens)])
        self.layers = [(keys[:, places], values[:, places]) for keys, values in self.layers]
        self.length = len(places)

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put a pass behind the prompt; the prompt's and the pass' keys and values are returned."""
        before = (tensor[:, : self.length].to(keys.dtype) for tensor in self.layers[layer])
        whole = [torch.cat(pair, 1) for pair in zip(before, (keys, values), strict=True)]
        self.layers[layer] = (whole[0], whole[1])
        return self.layers[layer]


class QuantizedTorch(QuantizedNetwork):
    """The torch form.

    Args:
        checkpoint: its weights.
        threads: torch's, as it chooses where nothing is said.
        dtype: of the products; bfloat16 where the processor multiplies it, else float32.
    """

    def __init__(
        self, checkpoint: Checkpoint, threads: int | None = None, dtype: torch.dtype | None = None
    ) -> None:
        log.warning("Nothing was compiled at installation: the network runs in torch, slower.")
        if threads:
            torch.set_num_threads(threads)
        self.kind, self.shape = "torch", checkpoint.shape
        self._dtype = dtype or _fastest_type()
        self._checkpoint = checkpoint
        self._embedding = self._wide(checkpoint.embedding())
        tied = checkpoint.head().codes is checkpoint.embedding().codes
        self._head = self._embedding if tied else self._wide(checkpoint.head())
        self._layers = [
            {name: self._wide(matrix) for name, matrix in checkpoint.layer_matrices(index).items()}
            for index in range(checkpoint.shape.layers)
        ]
        self._frequencies = torch.tensor(checkpoint.frequencies)

    def prompt(self) -> TorchPrompt:
        return TorchPrompt(self.shape.layers, self.shape.kv_heads, self.shape.head_dim)

    @torch.inference_mode()
    def run(
        self,
        prompt: Prompt,
        ids: ArrayLike,
        *,
        positions: ArrayLike | None = None,
        seen: Booleans | None = None,
        wanted: ArrayLike | None = None,
    ) -> Floats:
        assert isinstance(prompt, TorchPrompt)
        tokens = torch.tensor(np.asarray(ids, np.int64))
        count = len(tokens)
        at = np.arange(count) + prompt.length if positions is None else np.asarray(positions)
        own = (
            torch.ones(count, count).tril().bool()
            if seen is None
            else torch.tensor(np.asarray(seen, np.bool_))
        )
        mask = torch.cat((torch.ones(count, prompt.length, dtype=torch.bool), own), 1)
        turns = torch.tensor(at, dtype=torch.float32)[:, None] * self._frequencies  # [tokens, head_dim / 2]
        x = self._embedding[tokens].float()
        for index in range(self.shape.layers):
            x = x + self._attention(prompt, index, x, turns, mask)
            x = x + self._mlp(index, x) + self._experts(index, x, tokens)
        rows = np.arange(count) if wanted is None else np.asarray(wanted, np.int64)
        return np.asarray(x[torch.tensor(rows)].numpy(), np.float32)

    @torch.inference_mode()
    def scores(self, states: Floats) -> Floats:
        return np.asarray(self._scored(states).numpy(), np.float32)

    @torch.inference_mode()
    def rank(self, states: Floats, best: int = 1, asked: ArrayLike | None = None) -> Ranking:
        likelihoods = self._scored(states).log_softmax(-1)
        chosen = likelihoods.topk(best)
        wanted = np.empty((len(states), 0), np.int64) if asked is None else np.asarray(asked, np.int64)
        found = likelihoods.gather(1, torch.tensor(wanted))
        return Ranking(chosen.indices.int().numpy(), chosen.values.numpy(), found.numpy())

    def _wide(self, matrix: Matrix) -> Tensor:
        return torch.tensor(matrix.weights()).to(self._dtype)

    def _scored(self, states: Floats) -> Tensor:
        normed = self._norm(torch.tensor(states), "norm")
        return functional.linear(normed.to(self._dtype), self._head).float()

    def _attention(self, prompt: TorchPrompt, index: int, x: Tensor, turns: Tensor, mask: Tensor) -> Tensor:
        normed = self._norm(x, f"layers.{index}.attention_norm")
        query, key, value = (
            self._linear(normed, index, name).unflatten(1, (-1, self.shape.head_dim)).transpose(0, 1)
            for name in ("query", "key", "value")
        )
        keys, values = prompt.append(index, _turned(key, turns), value)
        found = functional.scaled_dot_product_attention(
            _turned(query, turns)[None], keys[None], values[None], mask, enable_gqa=True
        )
        return self._linear(found[0].transpose(0, 1).flatten(1), index, "out")

    def _mlp(self, index: int, x: Tensor) -> Tensor:
        normed = self._norm(x, f"layers.{index}.mlp_norm")
        gate, up = (self._linear(normed, index, name) for name in ("gate", "up"))
        return self._linear(functional.silu(gate) * up, index, "down")

    def _experts(self, index: int, x: Tensor, tokens: Tensor) -> Tensor:
        """What the experts add to the states of masked slots."""
        found, experts = torch.zeros_like(x), self.shape.experts
        if experts is None:
            return found
        masked = tokens == experts.mask
        normed = self._norm(x[masked], f"layers.{index}.experts.norm")
        router = torch.tensor(self._checkpoint.vector(f"layers.{index}.experts.router"))
        shares = (normed @ router.T).softmax(-1)  # [masked, experts]
        best = shares.topk(experts.chosen)
        kept = torch.zeros_like(shares).scatter(1, best.indices, best.values)
        gate, up = (self._linear(normed, index, f"experts.{name}") for name in ("gate", "up"))
        inner = (functional.silu(gate) * up).unflatten(1, (experts.number, -1))  # [masked, experts, width]
        down = self._layers[index]["experts.down"].unflatten(0, (experts.number, -1)).float()
        shared = kept / kept.sum(-1, keepdim=True)
        found[masked] = torch.einsum("ne,new,ehw->nh", shared, inner, down)
        return found

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight = self._checkpoint.vector(name)
        return functional.rms_norm(x, (self.shape.hidden,), torch.tensor(weight), self.shape.epsilon)

    def _linear(self, x: Tensor, index: int, name: str) -> Tensor:
        product = functional.linear(x.to(self._dtype), self._layers[index][name]).float()
        bias = self._checkpoint.vector(f"layers.{index}.{name}.bias")
        return product if bias is None else product + torch.tensor(bias)


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    """Vectors of heads [heads, tokens, head_dim], turned by their positions' angles [tokens, head_dim / 2]."""
    first, second = x.chunk(2, -1)
    cos, sin = turns.cos(), turns.sin()
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def _fastest_type() -> torch.dtype:
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
