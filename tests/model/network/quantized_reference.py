"""A quantised network in numpy, slow and obvious: what the fast forms are held to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgemma_model.network.quantized import GROUP, TILE, Checkpoint, Experts, Matrix, Shape

Floats = NDArray[np.float32]


def tiled(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers for each group [rows, groups] as they are stored: [tiles, groups, 16]."""
    return np.ascontiguousarray(_filled(values).reshape(-1, TILE, values.shape[1]).transpose(0, 2, 1))


def tiled_nibbles(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Four-bit codes [rows, columns] as they are stored."""
    grouped = _filled(codes).reshape(len(_filled(codes)), -1, 2, GROUP // 2)
    packed = grouped[:, :, 0] | grouped[:, :, 1] << 4  # [rows, groups, 16]
    quads = packed.reshape(-1, TILE, packed.shape[1], 4, 4).transpose(0, 2, 3, 1, 4)
    return np.ascontiguousarray(quads.reshape(len(quads), packed.shape[1], -1))


def tiled_bytes(codes: NDArray[np.int8]) -> NDArray[np.int8]:
    """Eight-bit codes [rows, columns] as they are stored."""
    groups = codes.shape[1] // GROUP
    quads = _filled(codes).reshape(-1, TILE, groups, GROUP // 4, 4).transpose(0, 2, 3, 1, 4)
    return np.ascontiguousarray(quads.reshape(len(quads), groups, -1))


def _filled(values: NDArray[Any]) -> NDArray[Any]:
    return np.pad(values, ((0, -len(values) % TILE), (0, 0)))


class Maker:
    """Random tensors of a checkpoint, which behave about as those of a trained network."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        self.shape = shape
        self.tensors: dict[str, NDArray[Any]] = {}
        self._random = np.random.default_rng(seed)

    def matrix(self, name: str, rows: int, columns: int, bits: int = 4) -> None:
        size = columns**-0.5
        scales = self._random.uniform(0.5, 1.5, (rows, columns // GROUP)) * size
        if bits == 8:
            codes = self._random.integers(-127, 128, (rows, columns), np.int8)
            self.tensors |= {f"{name}.q": tiled_bytes(codes), f"{name}.scale": _half(scales / 64)}
            return
        nibbles = self._random.integers(0, 16, (rows, columns), np.uint8)
        minima = scales * self._random.uniform(-1.2, -0.8, scales.shape)
        parts = {"q": tiled_nibbles(nibbles), "scale": _half(scales / 8), "min": _half(minima)}
        self.tensors |= {f"{name}.{part}": values for part, values in parts.items()}

    def vector(self, name: str, size: int, around: float) -> None:
        self.tensors[name] = (around + 0.3 * self._random.standard_normal(size)).astype(np.float32)


def _half(values: NDArray[Any]) -> NDArray[np.float16]:
    return np.asarray(tiled(values), np.float16)


def random_tensors(
    shape: Shape, *, biases: tuple[str, ...] = ("query", "key", "value"), tied: bool = True, bits: int = 4
) -> dict[str, NDArray[Any]]:
    """All tensors of a checkpoint by name."""
    maker, s = Maker(shape), shape
    queries, keys = s.heads * s.head_dim, s.kv_heads * s.head_dim
    maker.matrix("embedding", s.vocabulary, s.hidden, 8)
    if not tied:
        maker.matrix("head", s.vocabulary, s.hidden, 8)
    maker.vector("norm", s.hidden, 1)
    half = np.arange(s.head_dim // 2, dtype=np.float32) / (s.head_dim // 2)
    maker.tensors["rotary.frequencies"] = np.float32(10000) ** -half
    sizes = {"query": queries, "key": keys, "value": keys, "out": s.hidden, "gate": s.inner, "up": s.inner}
    for index in range(s.layers):
        for name, rows in sizes.items():
            maker.matrix(f"layers.{index}.{name}", rows, queries if name == "out" else s.hidden, bits)
            if name in biases:
                maker.vector(f"layers.{index}.{name}.bias", rows, 0)
        maker.matrix(f"layers.{index}.down", s.hidden, s.inner, bits)
        if s.experts:
            _add_experts(maker, f"layers.{index}.experts", s.experts)
        maker.vector(f"layers.{index}.attention_norm", s.hidden, 1)
        maker.vector(f"layers.{index}.mlp_norm", s.hidden, 1)
    return maker.tensors


def _add_experts(maker: Maker, name: str, experts: Experts) -> None:
    hidden, inner = maker.shape.hidden, experts.number * experts.width
    maker.matrix(f"{name}.gate", inner, hidden)
    maker.matrix(f"{name}.up", inner, hidden)
    maker.matrix(f"{name}.down", experts.number * hidden, experts.width)
    maker.vector(f"{name}.norm", hidden, 1)
    maker.vector(f"{name}.router", experts.number * hidden, 0)
    maker.tensors[f"{name}.router"].shape = (experts.number, hidden)


class Reference:
    """The whole network in float32, every token anew.

    Args:
        checkpoint: its weights.
        rounded: whether activations are rounded to eight bits before a product, keys and values to sixteen, as the
            fast forms do.
    """

    def __init__(self, checkpoint: Checkpoint, rounded: bool) -> None:
        self._checkpoint, self._rounded = checkpoint, rounded
        self._weights: dict[int, Floats] = {}

    def states(self, ids: NDArray[np.int32], positions: NDArray[np.int32], seen: NDArray[np.bool_]) -> Floats:
        """Last states [tokens, hidden], before the last norm, where ``seen`` [tokens, tokens] says who sees whom."""
        checkpoint = self._checkpoint
        x = checkpoint.embedding().weights()[ids]
        for index in range(checkpoint.shape.layers):
            matrices = checkpoint.layer_matrices(index)
            x = x + self._attention(index, matrices, x, positions, seen)
            x = x + self._mlp(index, matrices, x) + self._experts(index, matrices, x, ids)
        return np.asarray(x, np.float32)

    def scores(self, states: Floats) -> Floats:
        return self._times(self._norm(states, "norm"), self._checkpoint.head())

    def _attention(
        self,
        index: int,
        matrices: Mapping[str, Matrix],
        x: Floats,
        positions: NDArray[np.int32],
        seen: NDArray[np.bool_],
    ) -> Floats:
        s = self._checkpoint.shape
        normed = self._norm(x, f"layers.{index}.attention_norm")
        query, key, value = (
            self._linear(normed, matrices[name], f"layers.{index}.{name}").reshape(len(x), -1, s.head_dim)
            for name in ("query", "key", "value")
        )
        query, key = self._turned(query, positions), self._half(self._turned(key, positions))
        repeats = s.heads // s.kv_heads
        key, value = key.repeat(repeats, 1), self._half(value).repeat(repeats, 1)
        scores = np.einsum("qhd,khd->hqk", query, key) * s.head_dim**-0.5
        shares = np.exp(scores - scores.max(-1, keepdims=True, where=seen, initial=-1e30)) * seen
        found = np.einsum("hqk,khd->qhd", shares / shares.sum(-1, keepdims=True), value)
        return self._linear(found.reshape(len(x), -1), matrices["out"], f"layers.{index}.out")

    def _mlp(self, index: int, matrices: Mapping[str, Matrix], x: Floats) -> Floats:
        normed = self._norm(x, f"layers.{index}.mlp_norm")
        gate, up = (self._times(normed, matrices[name]) for name in ("gate", "up"))
        return self._times(gate / (1 + np.exp(-gate)) * up, matrices["down"])

    def _experts(
        self, index: int, matrices: Mapping[str, Matrix], x: Floats, ids: NDArray[np.int32]
    ) -> Floats:
        found, experts = np.zeros_like(x), self._checkpoint.shape.experts
        for row in np.flatnonzero(ids == experts.mask) if experts else ():
            assert experts is not None
            name = f"layers.{index}.experts"
            normed = self._norm(x[row : row + 1], f"{name}.norm")
            router = self._checkpoint.vector(f"{name}.router")
            assert router is not None
            shares = np.exp(normed @ router.T)[0]
            best = np.argsort(-shares)[: experts.chosen]
            gate, up = (self._times(normed, matrices[f"experts.{part}"]) for part in ("gate", "up"))
            inner = gate / (1 + np.exp(-gate)) * up
            down = matrices["experts.down"].weights()
            for expert in best:
                part = inner[:, expert * experts.width : (expert + 1) * experts.width]
                own = down[expert * x.shape[1] : (expert + 1) * x.shape[1]]
                found[row] += shares[expert] / shares[best].sum() * (self._maybe(part) @ own.T)[0]
        return found

    def _norm(self, x: Floats, name: str) -> Floats:
        weight = self._checkpoint.vector(name)
        assert weight is not None
        squares = (x * x).mean(-1, keepdims=True)
        return np.asarray(x / np.sqrt(squares + self._checkpoint.shape.epsilon) * weight, np.float32)

    def _turned(self, x: Floats, positions: NDArray[np.int32]) -> Floats:
        angles = positions[:, None, None].astype(np.float32) * self._checkpoint.frequencies
        first, second = np.split(x, 2, -1)
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate((first * cos - second * sin, second * cos + first * sin), -1)

    def _linear(self, x: Floats, matrix: Matrix, name: str) -> Floats:
        bias = self._checkpoint.vector(f"{name}.bias")
        product = self._times(x, matrix)
        return product if bias is None else product + bias

    def _times(self, x: Floats, matrix: Matrix) -> Floats:
        key = matrix.codes.ctypes.data
        if key not in self._weights:
            self._weights[key] = matrix.weights()
        return np.asarray(self._maybe(x) @ self._weights[key].T, np.float32)

    def _maybe(self, x: Floats) -> Floats:
        return rounded(x) if self._rounded else x

    def _half(self, x: Floats) -> Floats:
        return x.astype(np.float16).astype(np.float32) if self._rounded else x


def rounded(x: Floats) -> Floats:
    """Each group of 32 as multiples of a 127th of its largest number."""
    groups = x.reshape(-1, GROUP)
    unit = np.maximum(np.abs(groups).max(1, keepdims=True), np.float32(1e-30)) / np.float32(127)
    return np.asarray((np.rint(groups / unit) * unit).reshape(x.shape), np.float32)
