"""A quantised network as a CPU runs it: a pass is one call into our own compiled code (``native/quantized/``).

What makes it fast:

* weights stay as they are mapped, four or eight bits each; activations are rounded to eight bits with a scale for each
  group of 32, so that products are sums of small whole numbers, many in one instruction;
* each weight is read from memory once a pass, whether one token runs or 256;
* keys and values are kept as attention wants them, in float16, and grow and shrink in place;
* threads share out each phase of a layer; nothing is allocated, and there are no operations to be dispatched.

Neither torch nor transformers is imported. Several processes that open the same folder share its pages.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dgemma_model.network.quantized import (
    GROUP,
    Booleans,
    Checkpoint,
    Experts,
    Floats,
    Ints,
    Matrix,
    Prompt,
    QuantizedNetwork,
    Ranking,
    Shape,
)
from dgemma_model.network.quantized_library import (
    MATRICES,
    VECTORS,
    CLayer,
    CMatrix,
    CNetwork,
    CPass,
    CRanking,
    CScores,
    CShape,
    kinds,
    library,
)


class NativePrompt(Prompt):
    """Buffers with room behind the end."""

    def __init__(self, runner: QuantizedRunner) -> None:
        self.length = 0
        self._runner = runner  # whose shape the buffers have: it must outlive them
        self.handle: int = runner.library.quantized_prompt(runner.handle)
        if not self.handle:
            raise MemoryError
        weakref.finalize(self, runner.library.quantized_prompt_free, self.handle)

    def truncate(self, length: int) -> None:
        self.length = min(self.length, length)
        self._runner.library.quantized_truncate(self.handle, self.length)

    def copy(self, other: Prompt, length: int) -> None:
        if other is self:
            return self.truncate(length)
        assert isinstance(other, NativePrompt)
        if not self._runner.library.quantized_copy(self.handle, other.handle, length):
            raise MemoryError
        self.length = length

    def keep(self, tokens: Sequence[int]) -> None:
        places = np.asarray(tokens, np.int32)
        if len(places) and (places[0] < 0 or (np.diff(places) <= 0).any()):
            raise ValueError("tokens that are kept must ascend")
        self._runner.library.quantized_keep(self.handle, _address(places), len(places))
        self.length += len(places)


class QuantizedRunner(QuantizedNetwork):
    """The compiled form."""

    def __init__(self, checkpoint: Checkpoint, kind: str | None = None, threads: int | None = None) -> None:
        found = library()
        assert found is not None, "nothing was compiled"
        self.library, self.shape = found, checkpoint.shape
        self.kind = kind or kinds()[0]
        described = _Described(checkpoint)
        handle = found.quantized_new(ctypes.byref(described.network), self.kind.encode(), threads or _cores())
        if not handle:
            raise MemoryError
        self.handle: int = handle
        weakref.finalize(self, found.quantized_free, handle)
        self._described = described  # which the handle points into

    def prompt(self) -> NativePrompt:
        return NativePrompt(self)

    @staticmethod
    def can_run(checkpoint: Checkpoint) -> bool:
        """Whether something was compiled, and can run a network of this shape: whole groups make a head."""
        return checkpoint.shape.head_dim % GROUP == 0 and bool(kinds())

    def run(
        self,
        prompt: Prompt,
        ids: ArrayLike,
        *,
        positions: ArrayLike | None = None,
        seen: Booleans | None = None,
        wanted: ArrayLike | None = None,
    ) -> Floats:
        assert isinstance(prompt, NativePrompt)
        tokens = np.ascontiguousarray(ids, np.int32)
        places = np.arange(len(tokens), dtype=np.int32)
        at = (
            places + np.int32(prompt.length)
            if positions is None
            else np.ascontiguousarray(positions, np.int32)
        )
        rows = places if wanted is None else np.ascontiguousarray(wanted, np.int32)
        sight = None if seen is None else np.ascontiguousarray(seen, np.uint8)
        _check(tokens, at, rows, sight, self.shape.vocabulary)
        states = np.empty((len(rows), self.shape.hidden), np.float32)
        pointers = (_address(tokens), _address(at), _address(sight), _address(rows))
        task = CPass(self.handle, prompt.handle, *pointers, len(tokens), len(rows), _address(states))
        if len(tokens) and not self.library.quantized_run(ctypes.byref(task)):
            raise MemoryError
        return states

    def scores(self, states: Floats) -> Floats:
        rows = np.ascontiguousarray(states, np.float32)
        made = np.empty((len(rows), self.shape.vocabulary), np.float32)
        task = CScores(self.handle, _address(rows), _address(made), len(rows))
        if not self.library.quantized_scores(ctypes.byref(task)):
            raise MemoryError
        return made

    def rank(self, states: Floats, best: int = 1, asked: ArrayLike | None = None) -> Ranking:
        rows = np.ascontiguousarray(states, np.float32)
        wanted = (
            np.empty((len(rows), 0), np.int32) if asked is None else np.ascontiguousarray(asked, np.int32)
        )
        _check_tokens(wanted, self.shape.vocabulary)
        found = Ranking(
            np.empty((len(rows), best), np.int32),
            np.empty((len(rows), best), np.float32),
            np.empty(wanted.shape, np.float32),
        )
        sizes = (len(rows), best, wanted.shape[1])
        pointers = (found.best, found.best_likelihood, wanted, found.asked_likelihood)
        task = CRanking(self.handle, _address(rows), *sizes, *map(_address, pointers))
        if not self.library.quantized_rank(ctypes.byref(task)):
            raise MemoryError
        return found


class _Described:
    """A network's structures, and whatever they point into."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._kept: list[NDArray[np.generic]] = []
        self._checkpoint = checkpoint
        s = checkpoint.shape
        self._layers = (CLayer * s.layers)(*(self._layer(index) for index in range(s.layers)))
        self.network = CNetwork(
            described_shape(s),
            self._matrix(checkpoint.embedding()),
            self._matrix(checkpoint.head()),
            self._vector("norm"),
            self._pointer(checkpoint.frequencies),
            self._layers,
        )

    def _layer(self, index: int) -> CLayer:
        matrices = self._checkpoint.layer_matrices(index)
        return CLayer(
            *(self._matrix(matrices.get(name)) for name in MATRICES),
            *(self._vector(f"layers.{index}.{name}") for name in VECTORS),
        )

    def _matrix(self, matrix: Matrix | None) -> CMatrix:
        if matrix is None:
            return CMatrix()
        parts = (matrix.codes, matrix.scales, matrix.minima)
        return CMatrix(*map(self._pointer, parts), matrix.rows, matrix.columns)

    def _vector(self, name: str) -> int | None:
        return self._pointer(self._checkpoint.vector(name))

    def _pointer(self, array: NDArray[np.generic] | None) -> int | None:
        if array is not None:
            self._kept.append(array)
        return _address(array)


def described_shape(shape: Shape) -> CShape:
    """Sizes as the compiled code wants them."""
    s, experts = shape, shape.experts or Experts(0, 0, 0, -1)
    sizes = (s.vocabulary, s.hidden, s.layers, s.heads, s.kv_heads, s.head_dim, s.inner)
    return CShape(*sizes, experts.number, experts.chosen, experts.width, experts.mask, s.epsilon)


def _check(tokens: Ints, at: Ints, rows: Ints, sight: NDArray[np.uint8] | None, vocabulary: int) -> None:
    """What compiled code would not survive."""
    count = len(tokens)
    _check_tokens(tokens, vocabulary)
    if at.shape != tokens.shape or (sight is not None and sight.shape != (count, count)):
        raise ValueError("a position, and a row and a column of what is seen, belong to each token")
    if len(rows) and (rows[0] < 0 or rows[-1] >= count or (np.diff(rows) <= 0).any()):
        raise ValueError("wanted tokens must be of this pass, and ascend")


def _check_tokens(tokens: Ints, vocabulary: int) -> None:
    if tokens.size and (tokens.min() < 0 or tokens.max() >= vocabulary):
        raise ValueError(f"tokens are numbers from 0 to {vocabulary - 1}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _address(array: NDArray[np.generic] | None) -> int | None:
    return None if array is None else array.ctypes.data
