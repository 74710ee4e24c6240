"""What packing costs: the next-token loss of a network before and after, on the same tokens of held-out files.

``python -m bench.growth SOURCE PACKED FILE…`` prints both losses and their perplexities. The vocabulary is the packed
one in both cases, so that only the weights' rounding differs; what a smaller vocabulary costs is counted in tokens by
``python -m dgemma_model.grow.texts``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from dgemma_model.grow.checkpoint import Packed
from dgemma_model.grow.opening import open_source
from dgemma_model.grow.plain import PlainNetwork
from dgemma_model.grow.trimmed import Trimmed

LENGTH = 512


class Forward:
    """The plain network in the obvious torch form, float32, a layer at a time for all texts."""

    def __init__(self, network: PlainNetwork) -> None:
        self.network, self.config = network, network.config
        angles = np.outer(np.arange(LENGTH), self.config.rope.frequencies(self.config.head_dim))
        self.cos = torch.from_numpy(np.cos(np.concatenate([angles, angles], 1))).float()
        self.sin = torch.from_numpy(np.sin(np.concatenate([angles, angles], 1))).float()

    @torch.no_grad()
    def loss(self, ids: Tensor) -> float:
        """Mean loss of each token after the first. ids: [texts, LENGTH]"""
        embedding = self._get("embedding")
        states = embedding[ids]  # [texts, LENGTH, hidden], changed in place
        for index in range(self.config.layers):
            self._layer(f"layers.{index}.", states)
        head = embedding if self.config.tied else self._get("head")
        losses = [self._losses(head, text, wanted) for text, wanted in zip(states, ids, strict=True)]
        return torch.cat(losses).mean().item()

    def _losses(self, head: Tensor, states: Tensor, wanted: Tensor) -> Tensor:
        logits = F.linear(self._norm(states[:-1], "norm"), head)
        return F.cross_entropy(logits, wanted[1:], reduction="none")

    def _layer(self, prefix: str, states: Tensor) -> None:
        weights = {
            name: self._get(prefix + name) for name in ("query", "key", "value", "out", "gate", "up", "down")
        }
        for text in range(len(states)):
            states[text] += self._attention(
                prefix, weights, self._norm(states[text], prefix + "attention_norm")
            )
            inner = self._norm(states[text], prefix + "mlp_norm")
            inner = F.silu(F.linear(inner, weights["gate"])) * F.linear(inner, weights["up"])
            states[text] += F.linear(inner, weights["down"])

    def _attention(self, prefix: str, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        query, key, value = (
            F.linear(x, weights[name], self._bias(f"{prefix}{name}.bias"))
            .view(len(x), -1, self.config.head_dim)
            .transpose(0, 1)
            for name in ("query", "key", "value")
        )
        group = self.config.heads // self.config.kv_heads
        key, value = self._turn(key).repeat_interleave(group, 0), value.repeat_interleave(group, 0)
        mixed = F.scaled_dot_product_attention(self._turn(query), key, value, is_causal=True)
        return F.linear(
            mixed.transpose(0, 1).reshape(len(x), -1), weights["out"], self._bias(prefix + "out.bias")
        )

    def _turn(self, heads: Tensor) -> Tensor:
        first, second = heads.chunk(2, -1)
        return heads * self.cos + torch.cat([-second, first], -1) * self.sin

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.rms_norm(x, (self.config.hidden,), self._get(name), self.config.epsilon)

    def _bias(self, name: str) -> Tensor | None:
        return self._get(name) if self.network.has(name) else None

    def _get(self, name: str) -> Tensor:
        return torch.from_numpy(np.array(self.network.tensor(name)))


def pieces(tokenizer: Tokenizer, files: list[Path], most: int) -> Tensor:
    """The beginnings of files that are long enough. [texts, LENGTH]"""
    encoded = (tokenizer.encode(path.read_text("utf-8")).ids for path in files)
    return torch.tensor([ids[:LENGTH] for ids in encoded if len(ids) >= LENGTH][:most])


def trimmed(source: PlainNetwork, old: Tokenizer, packed: Packed) -> Trimmed:
    """The source with the packed model's vocabulary."""
    new = Tokenizer.from_file(str(packed.folder / "tokenizer.json"))
    tokens = map(new.id_to_token, range(packed.config.vocabulary - 1))
    kept = np.array([old.token_to_id(token) for token in tokens if token is not None])
    return Trimmed(source, kept, packed.blueprint.mask_size)


def main() -> Iterator[str]:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("source", help="what the packed model was grown from")
    parser.add_argument(
        "packed", type=Path, nargs="+", help="packed models of one vocabulary, then files of text"
    )
    parser.add_argument("--texts", type=int, default=48, help="how many files are read at most")
    options = parser.parse_args()
    models = [Packed(path) for path in options.packed if path.is_dir()]
    tokenizer = Tokenizer.from_file(str(models[0].folder / "tokenizer.json"))
    ids = pieces(tokenizer, [path for path in options.packed if path.is_file()], options.texts)
    source = open_source(options.source)
    old = Tokenizer.from_str(json.dumps(source.tokenizer))
    networks: dict[str, PlainNetwork] = {options.source: trimmed(source.network, old, models[0])}
    networks |= {str(model.folder): model for model in models}
    yield f"{ids.numel()} tokens of {len(ids)} files"
    for name, network in networks.items():
        loss = Forward(network).loss(ids)
        yield f"{name}: loss {loss:.5f}, perplexity {math.exp(loss):.4f}"


if __name__ == "__main__":
    for line in main():
        print(line, flush=True)
