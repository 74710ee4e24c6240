"""The tensors of ``DiffusionGemmaForBlockDiffusion`` for a plain network, by the names of its ``state_dict``.

`blueprint` says why each number is what it is. Tied tensors come once, under the decoder's names, as transformers
itself saves them; biases and layer scalars come twice, because the classes do not tie those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from dgemma_model.grow.blueprint import Blueprint
from dgemma_model.grow.plain import PlainNetwork
from dgemma_model.grow.tensorfile import Float32

_DECODER = "model.decoder."
_ENCODER = "model.encoder.language_model."


class Precision(Enum):
    """How a tensor is written: matrices are bfloat16, whatever a product is scaled by stays float32."""

    HALF = "bfloat16"
    FULL = "float32"


@dataclass(frozen=True, slots=True)
class StockTensor:
    """A tensor that is computed when it is asked for, so that only one is in memory."""

    name: str
    shape: tuple[int, ...]
    precision: Precision
    compute: Callable[[], Float32]


def stock_tensors(network: PlainNetwork, blueprint: Blueprint) -> Iterator[StockTensor]:
    """All tensors of the text network, in the order of the layers."""
    yield from _Outside(network, blueprint).tensors()
    for index in range(network.config.layers):
        yield from _Layer(network, blueprint, index).tensors()
    yield from _LastLayer(network, blueprint, network.config.layers).tensors()


class _Part:
    """What the parts of the network have in common: making tensors wider, and listing them."""

    def __init__(self, network: PlainNetwork, blueprint: Blueprint) -> None:
        self.network, self.blueprint = network, blueprint
        self.plain, self.hidden = network.config, blueprint.hidden

    def matrix(self, name: str, shape: tuple[int, ...], compute: Callable[[], Float32]) -> StockTensor:
        return StockTensor(name, shape, Precision.HALF, compute)

    def vector(self, name: str, size: int, compute: Callable[[], Float32]) -> StockTensor:
        return StockTensor(name, (size,), Precision.FULL, compute)

    def constant(self, name: str, size: int, value: float) -> StockTensor:
        return self.vector(name, size, lambda: np.full(size, value, np.float32))

    def norm(self, name: str, source: str, factor: float = 1.0) -> StockTensor:
        """A norm in front of a product: zero for the new dimensions, which no product may see."""
        whole = np.float32(factor * self.blueprint.norm_factor)
        return self.vector(name, self.hidden, lambda: self.widen(self.network.tensor(source) * whole, 0))

    def widen(self, array: Float32, axis: int) -> Float32:
        """Zeros for the new dimensions of the residual stream along an axis."""
        margins = [(0, 0)] * array.ndim
        margins[axis] = (0, self.hidden - array.shape[axis])
        return np.pad(array, margins)

    def scaled(self, source: str, axis: int, factor: float = 1.0) -> Callable[[], Float32]:
        return lambda: self.widen(self.network.tensor(source) * np.float32(factor), axis)


class _Outside(_Part):
    """The embedding, the head, the last norm, and self-conditioning, which has nothing to say."""

    def tensors(self) -> Iterator[StockTensor]:
        wide = (self.plain.vocabulary, self.hidden)
        factor = self.blueprint.embedding_factor
        yield self.matrix(_DECODER + "embed_tokens.weight", wide, self._embedding)
        if not self.plain.tied:
            yield self.matrix("lm_head.weight", wide, self.scaled("head", 1, factor))
        yield self.norm(_DECODER + "norm.weight", "norm", 1 / factor)
        prefix, inner = _DECODER + "self_conditioning.", self.plain.intermediate
        yield self.constant(prefix + "pre_norm.weight", self.hidden, 1.0)
        for name, shape in (
            ("gate_proj", (inner, self.hidden)),
            ("up_proj", (inner, self.hidden)),
            ("down_proj", (self.hidden, inner)),
        ):
            yield self.matrix(f"{prefix}{name}.weight", shape, _zeros(*shape))

    def _embedding(self) -> Float32:
        rows = self.scaled("embedding", 1, self.blueprint.embedding_factor)()
        rows[:, self.blueprint.kind] = self.blueprint.stored_kind
        rows[-1, self.blueprint.kind] = -self.blueprint.stored_kind  # <mask> is the last token
        return rows


class _Layer(_Part):
    """One layer of the plain network."""

    def __init__(self, network: PlainNetwork, blueprint: Blueprint, index: int) -> None:
        super().__init__(network, blueprint)
        self.prefix, self.source = f"layers.{index}.", f"layers.{index}."

    def tensors(self) -> Iterator[StockTensor]:
        yield from self._attention()
        yield from self._gated()
        yield from self._idle_norms()
        yield from self._experts()
        for side in (_DECODER, _ENCODER):
            yield self.constant(f"{side}{self.prefix}layer_scalar", 1, 1.0)

    def _name(self, name: str) -> str:
        return f"{_DECODER}{self.prefix}{name}"

    def _attention(self) -> Iterator[StockTensor]:
        blueprint, plain = self.blueprint, self.plain
        rows = {"q": plain.heads, "k": plain.kv_heads, "v": plain.kv_heads}
        yield self.norm(self._name("input_layernorm.weight"), self.source + "attention_norm")
        for letter, source in (("q", "query"), ("k", "key"), ("v", "value")):
            yield from self._product(letter, source, rows[letter] * plain.head_dim, blueprint.shrink)
        shape = (self.hidden, plain.heads * plain.head_dim)
        yield self.matrix(
            self._name("self_attn.o_proj.weight"),
            shape,
            self.scaled(self.source + "out", 0, blueprint.out_factor),
        )
        if plain.bias:
            yield from self._bias("o", self.hidden, self._out_bias)
        restore = blueprint.root / blueprint.shrink
        yield self.constant(
            self._name("self_attn.q_norm.weight"), plain.head_dim, restore / plain.head_dim**0.5
        )
        yield self.constant(self._name("self_attn.k_norm.weight"), plain.head_dim, restore)

    def _product(self, letter: str, source: str, rows: int, factor: float) -> Iterator[StockTensor]:
        name, source = f"self_attn.{letter}_proj.weight", self.source + source
        yield self.matrix(self._name(name), (rows, self.hidden), self.scaled(source, 1, factor))
        if self.plain.bias:
            yield from self._bias(
                letter, rows, lambda: self.network.tensor(source + ".bias") * np.float32(factor)
            )

    def _bias(self, letter: str, rows: int, compute: Callable[[], Float32]) -> Iterator[StockTensor]:
        for side in (_DECODER, _ENCODER):
            yield self.vector(f"{side}{self.prefix}self_attn.{letter}_proj.bias", rows, compute)

    def _out_bias(self) -> Float32:
        if not self.plain.out_bias:
            return np.zeros(self.hidden, np.float32)
        return self.scaled(self.source + "out.bias", 0, self.blueprint.out_shrink)()

    def _gated(self) -> Iterator[StockTensor]:
        inner = self.plain.intermediate
        yield self.norm(self._name("pre_feedforward_layernorm.weight"), self.source + "mlp_norm")
        for name in ("gate", "up"):
            compute = self.scaled(self.source + name, 1)
            yield self.matrix(self._name(f"mlp.{name}_proj.weight"), (inner, self.hidden), compute)
        down = self.scaled(self.source + "down", 0, self.blueprint.shrink)
        yield self.matrix(self._name("mlp.down_proj.weight"), (self.hidden, inner), down)

    def _idle_norms(self) -> Iterator[StockTensor]:
        """Norms that only divide by √ε; the weight takes that back and brings the sum to the stream's scale."""
        blueprint = self.blueprint
        restore = blueprint.gain * blueprint.root
        weights: Mapping[str, float] = {
            "post_attention_layernorm": restore / blueprint.out_shrink,
            "post_feedforward_layernorm_1": blueprint.root,
            "post_feedforward_layernorm_2": blueprint.root,
            "post_feedforward_layernorm": restore / blueprint.shrink,
        }
        for name, value in weights.items():
            yield self.constant(self._name(name + ".weight"), self.hidden, value)

    def _experts(self) -> Iterator[StockTensor]:
        total, width = self.blueprint.experts, self.plain.experts.width
        vectors: Mapping[str, tuple[int, Callable[[], Float32]]] = {
            "pre_feedforward_layernorm_2.weight": (self.hidden, self._expert_norm),
            "router.scale": (self.hidden, self._router_scale),
            "router.per_expert_scale": (total, lambda: np.ones(total, np.float32)),
        }
        for name, (size, compute) in vectors.items():
            yield self.vector(self._name(name), size, compute)
        yield StockTensor(
            self._name("router.proj.weight"), (total, self.hidden), Precision.FULL, self._router
        )
        shape = (total, 2 * width, self.hidden)
        yield self.matrix(self._name("experts.gate_up_proj"), shape, self._gate_up)
        yield self.matrix(self._name("experts.down_proj"), (total, self.hidden, width), self._down)

    @property
    def _trained(self) -> bool:
        return self.network.has(self.source + "experts.router")

    def _expert_norm(self) -> Float32:
        if not self._trained:
            return np.zeros(self.hidden, np.float32)
        weight = self.network.tensor(self.source + "experts.norm")
        return self.widen(weight * np.float32(self.blueprint.norm_factor), 0)

    def _router_scale(self) -> Float32:
        """The router norms its input without a weight and divides by √hidden: with this it sees what experts see."""
        scale = self._expert_norm() * np.float32(self.hidden**0.5)
        scale[self.blueprint.kind] = self.hidden**0.5
        return scale

    def _router(self) -> Float32:
        rows = np.zeros((self.blueprint.experts, self.hidden), np.float32)
        rows[: self.plain.experts.chosen, self.blueprint.kind] = self.blueprint.null_pull
        if self._trained:
            learned = self.network.tensor(self.source + "experts.router")
            rows[self.plain.experts.chosen :, : self.plain.hidden] = learned
        return rows

    def _gate_up(self) -> Float32:
        experts, hidden = self.plain.experts, self.plain.hidden
        rows = np.zeros((self.blueprint.experts, 2, experts.width, self.hidden), np.float32)
        for half, name in enumerate(("gate", "up") if self._trained else ()):
            learned = self.network.tensor(f"{self.source}experts.{name}")
            rows[experts.chosen :, half, :, :hidden] = learned.reshape(experts.number, experts.width, hidden)
        return rows.reshape(self.blueprint.experts, -1, self.hidden)

    def _down(self) -> Float32:
        experts, hidden = self.plain.experts, self.plain.hidden
        rows = np.zeros((self.blueprint.experts, self.hidden, experts.width), np.float32)
        if self._trained:
            learned = self.network.tensor(self.source + "experts.down") * np.float32(self.blueprint.shrink)
            rows[experts.chosen :, :hidden] = learned.reshape(experts.number, hidden, experts.width)
        return rows


class _LastLayer(_Layer):
    """The appended layer that attends fully, as the classes demand, and adds nothing."""

    def tensors(self) -> Iterator[StockTensor]:
        for tensor in super().tensors():
            if ".self_attn.v_proj." in tensor.name:
                continue
            idle = tensor.precision is Precision.HALF or tensor.name.endswith((".bias", "layernorm.weight"))
            yield (
                StockTensor(tensor.name, tensor.shape, tensor.precision, _zeros(*tensor.shape))
                if idle
                else tensor
            )

    @property
    def _trained(self) -> bool:
        return False


def _zeros(*shape: int) -> Callable[[], Float32]:
    return lambda: np.zeros(shape, np.float32)
