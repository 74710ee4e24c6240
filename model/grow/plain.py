"""The plain network: what a Llama or Qwen2 checkpoint is when its file format is taken away.

Pre-norm transformer layers: RMS norms, rotary grouped-query attention, a gated SiLU layer. Its tensors have canonical
names here, all matrices are ``[out, in]``, and rows of queries and keys are in the order of Hugging Face's checkpoints
(the first half of a head turns against the second half). The experts that only masked slots reach are part of it too;
a network that has none yet has no such tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dgemma_model.grow.tensorfile import Float32


class Family(Enum):
    """The families that can be grown; the value is the name in configurations of either file format."""

    LLAMA = "llama"
    QWEN2 = "qwen2"


class Kind(Enum):
    """What a tensor is, which decides how it is stored."""

    EMBEDDING = "embedding"
    MATRIX = "matrix"
    VECTOR = "vector"


class RopeScaling(Enum):
    """How rotary frequencies are stretched for longer texts, as `rope_type` in configurations says it."""

    NONE = "default"
    LINEAR = "linear"
    LLAMA3 = "llama3"


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary embeddings of a head; the fields besides theta are those of the scaling that is named."""

    theta: float
    scaling: RopeScaling = RopeScaling.NONE
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192

    def frequencies(self, head_dim: int) -> Float32:
        """Angle per position, in radians. [head_dim / 2]"""
        plain = self.theta ** -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
        match self.scaling:
            case RopeScaling.NONE:
                stretched = plain
            case RopeScaling.LINEAR:
                stretched = plain / self.factor
            case RopeScaling.LLAMA3:
                stretched = plain * self._llama3(plain)
        return stretched.astype(np.float32)

    def parameters(self) -> dict[str, float | int]:
        """What the scaling is told besides theta, by the names of configurations."""
        match self.scaling:
            case RopeScaling.NONE:
                return {}
            case RopeScaling.LINEAR:
                return {"factor": self.factor}
            case RopeScaling.LLAMA3:
                return {
                    "factor": self.factor,
                    "low_freq_factor": self.low_freq_factor,
                    "high_freq_factor": self.high_freq_factor,
                    "original_max_position_embeddings": self.original_context,
                }

    def _llama3(self, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slow frequencies are divided by the factor, fast ones stay, those between are blended (Llama 3.1)."""
        turns = self.original_context * frequencies / (2 * math.pi)
        fast = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        share = np.clip(fast, 0.0, 1.0)
        return share + (1 - share) / self.factor


@dataclass(frozen=True, slots=True)
class Experts:
    """The experts of each layer that masked slots choose from."""

    number: int = 8
    chosen: int = 2
    width: int = 64


@dataclass(frozen=True, slots=True)
class PlainConfig:
    """Shape of a plain network.

    Attributes:
        vocabulary: rows of the embedding.
        hidden: width of the residual stream.
        intermediate: width of the gated layer.
        epsilon: of the RMS norms.
        context: positions that the network was trained for.
        bias: whether queries, keys and values have biases.
        out_bias: whether the attention's output has one as well; never without those.
        tied: whether the embedding also gives the logits; otherwise there is a `head`.
    """

    family: Family
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    epsilon: float
    rope: Rope
    context: int
    bias: bool
    out_bias: bool
    tied: bool
    experts: Experts = Experts()


class PlainNetwork(Protocol):
    """A plain network whose tensors are read one by one."""

    @property
    def config(self) -> PlainConfig: ...

    def tensor(self, name: str) -> Float32:
        """The tensor of a canonical name (see `tensors`)."""

    def has(self, name: str) -> bool:
        """Whether an optional tensor (see `expert_tensors`) is there."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor that a network has: canonical name, shape, kind."""

    name: str
    shape: tuple[int, ...]
    kind: Kind


def tensors(config: PlainConfig) -> Iterator[Slot]:
    """What every network of this shape has, from the embedding up; experts are optional and not among them."""
    wide = (config.vocabulary, config.hidden)
    yield Slot("embedding", wide, Kind.EMBEDDING)
    if not config.tied:
        yield Slot("head", wide, Kind.EMBEDDING)
    yield Slot("norm", (config.hidden,), Kind.VECTOR)
    for index in range(config.layers):
        yield from _layer(config, f"layers.{index}.")


def _layer(config: PlainConfig, prefix: str) -> Iterator[Slot]:
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    hidden, inner = config.hidden, config.intermediate
    yield Slot(prefix + "attention_norm", (hidden,), Kind.VECTOR)
    for name, rows in (("query", queries), ("key", keys), ("value", keys)):
        yield Slot(prefix + name, (rows, hidden), Kind.MATRIX)
        if config.bias:
            yield Slot(f"{prefix}{name}.bias", (rows,), Kind.VECTOR)
    yield Slot(prefix + "out", (hidden, queries), Kind.MATRIX)
    if config.out_bias:
        yield Slot(prefix + "out.bias", (hidden,), Kind.VECTOR)
    yield Slot(prefix + "mlp_norm", (hidden,), Kind.VECTOR)
    yield Slot(prefix + "gate", (inner, hidden), Kind.MATRIX)
    yield Slot(prefix + "up", (inner, hidden), Kind.MATRIX)
    yield Slot(prefix + "down", (hidden, inner), Kind.MATRIX)


def expert_tensors(config: PlainConfig) -> Iterator[Slot]:
    """The experts, a few tensors a layer; those of a layer are all there or all missing, and missing ones add nothing.

    A masked slot's state ``x`` grows by the sum, over the chosen experts, of ``p · down(silu(gate(h)) · up(h))`` with
    ``h = rms_norm(x) · norm``, where ``x`` is the state that the gated layer gets (before its norm) and ``p`` the
    softmax of ``router · h`` over all experts, scaled so that those of the chosen sum to 1.
    """
    experts, hidden = config.experts, config.hidden
    inner = experts.number * experts.width
    for index in range(config.layers):
        prefix = f"layers.{index}.experts."
        yield Slot(prefix + "norm", (hidden,), Kind.VECTOR)
        yield Slot(prefix + "router", (experts.number, hidden), Kind.VECTOR)
        yield Slot(prefix + "gate", (inner, hidden), Kind.MATRIX)
        yield Slot(prefix + "up", (inner, hidden), Kind.MATRIX)
        yield Slot(prefix + "down", (experts.number * hidden, experts.width), Kind.MATRIX)
