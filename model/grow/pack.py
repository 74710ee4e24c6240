"""Four and eight bits a weight: groups of 32 neighbours in a row share a scale, and in four bits a minimum as well.

For a matrix ``[out, in]``:

* four bits: ``q`` uint8 ``[out, in / 2]``, where byte *j* of a group's sixteen holds element *j* in its low and element
  *j* + 16 in its high half; ``scale`` and ``min`` float16 ``[out, in / 32]``; a weight is ``q · scale + min``;
* eight bits: ``q`` int8 ``[out, in]``, ``scale`` float16 ``[out, in / 32]``; a weight is ``q · scale``.

Groups lie along the last axis but one here while they are worked on, so that every step is elementwise over many
groups: that is fast, and sums have one order on every machine, which makes the bytes reproducible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from dgemma_model.errors import ModelError
from dgemma_model.grow.tensorfile import Array, Float32

GROUP = 32
_HALF = GROUP // 2
_LEVELS = 15
_AT_ONCE = 4096
"""Groups that are worked on together; their numbers fit in a core's cache."""

_SPANS = (
    (0.0, 15.0), (-0.4, 15.4), (-0.8, 15.8), (-1.2, 16.2),
    (-1.0, 15.0), (0.0, 16.0), (-1.0, 16.0), (0.0, 14.0), (1.0, 15.0), (1.0, 14.0),
)  # fmt: skip
"""The levels on which a group's smallest and largest weight are put in turn. Beyond 0 and 15 they are cut off, which
makes the steps between the others smaller; whole numbers find levels again that the source was rounded to."""

_REFINEMENTS = 2


class Bits(IntEnum):
    """How many bits a weight of a matrix takes; 16 is bfloat16 in transformers' own layout."""

    FOUR = 4
    EIGHT = 8
    SIXTEEN = 16


def pack(matrix: Float32, bits: Bits) -> Mapping[str, Array]:
    """The parts of a packed matrix by their suffixes (``q``, ``scale`` and, in four bits, ``min``).

    Raises:
        ModelError: rows cannot be cut into groups of 32, or a weight is not finite.
    """
    _, inputs = matrix.shape
    if inputs % GROUP:
        raise ModelError(f"A matrix of {inputs} inputs does not fall into groups of {GROUP}; use --bits 16.")
    if not np.isfinite(matrix).all():
        raise ModelError("The weights hold numbers that are not finite; the source is damaged.")
    return _pack_four(matrix) if bits is Bits.FOUR else _pack_eight(matrix)


def unpack(parts: Mapping[str, Array]) -> Float32:
    """The matrix again, ``[out, in]``."""
    scale = parts["scale"].astype(np.float32)[..., None]  # [out, groups, 1]
    if "min" not in parts:
        out, inputs = parts["q"].shape
        groups = parts["q"].reshape(out, inputs // GROUP, GROUP)
        return (groups * scale).astype(np.float32).reshape(out, inputs)
    packed = parts["q"].reshape(*parts["scale"].shape, _HALF)  # [out, groups, 16]
    levels = np.concatenate([packed & 15, packed >> 4], axis=-1)
    values = levels * scale + parts["min"].astype(np.float32)[..., None]
    return values.astype(np.float32).reshape(packed.shape[0], -1)


def _pack_eight(matrix: Float32) -> dict[str, Array]:
    out, inputs = matrix.shape
    q, scale = np.empty((out * inputs // GROUP, GROUP), np.int8), np.empty(out * inputs // GROUP, np.float16)
    for where, groups in _chunks(matrix):
        scale[where] = np.abs(groups).max(axis=0) / np.float32(127)
        q[where] = np.clip(np.rint(groups * _inverse(scale[where].astype(np.float32))), -127, 127).T
    return {"q": q.reshape(out, inputs), "scale": scale.reshape(out, -1)}


def _pack_four(matrix: Float32) -> dict[str, Array]:
    out, inputs = matrix.shape
    count = out * inputs // GROUP
    q = np.empty((count, _HALF), np.uint8)
    scale, low = np.empty(count, np.float16), np.empty(count, np.float16)
    for where, groups in _chunks(matrix):
        scale[where], low[where] = _fit(groups)
        nearest = _levels(groups, scale[where].astype(np.float32), low[where].astype(np.float32))
        levels = nearest.astype(np.uint8)
        q[where] = (levels[:_HALF] | levels[_HALF:] << 4).T
    return {"q": q.reshape(out, -1), "scale": scale.reshape(out, -1), "min": low.reshape(out, -1)}


def _chunks(matrix: Float32) -> Iterator[tuple[slice, Float32]]:
    """Some groups at a time, each a column: ``[GROUP, groups]``."""
    groups = matrix.reshape(-1, GROUP)
    for start in range(0, len(groups), _AT_ONCE):
        where = slice(start, start + _AT_ONCE)
        yield where, np.ascontiguousarray(groups[where].T)


@dataclass(slots=True)
class _Best:
    """The best scale and minimum of each group so far, and their squared error."""

    scale: NDArray[np.float16]
    low: NDArray[np.float16]
    error: Float32

    def consider(self, groups: Float32, levels: Float32) -> None:
        """Fit a line to these levels and keep it for the groups where it is better."""
        scale, low = _regress(groups, levels)
        error = _error(groups, scale.astype(np.float32), low.astype(np.float32))
        better = error < self.error
        self.scale, self.low = np.where(better, scale, self.scale), np.where(better, low, self.low)
        self.error = np.where(better, error, self.error)


def _fit(groups: Float32) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Scale and minimum of each group with the least squared error, among several spans."""
    smallest, largest = groups.min(axis=0), groups.max(axis=0)
    span = largest - smallest
    best = _Best(
        np.zeros(span.shape, np.float16), smallest.astype(np.float16), np.full(span.shape, np.inf, np.float32)
    )
    for first, last in _SPANS:
        scale = span / np.float32(last - first)
        best.consider(groups, _levels(groups, scale, smallest - np.float32(first) * scale))
    for _ in range(_REFINEMENTS):
        best.consider(groups, _levels(groups, best.scale.astype(np.float32), best.low.astype(np.float32)))
    return best.scale, best.low


def _levels(groups: Float32, scale: Float32, low: Float32) -> Float32:
    """The nearest of the sixteen levels for each weight, as whole numbers."""
    levels: Float32 = np.clip(np.rint((groups - low) * _inverse(scale)), np.float32(0), np.float32(_LEVELS))
    return levels


def _regress(groups: Float32, levels: Float32) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """The line through (level, weight) with the least squared error, for each group."""
    number = np.float32(GROUP)
    mean_level, mean = levels.sum(axis=0) / number, groups.sum(axis=0) / number
    spread = (levels * levels).sum(axis=0) / number - mean_level * mean_level
    together = (levels * groups).sum(axis=0) / number - mean_level * mean
    scale = np.where(spread > 0, together / np.where(spread > 0, spread, 1), 0).astype(np.float16)
    return scale, (mean - scale.astype(np.float32) * mean_level).astype(np.float16)


def _error(groups: Float32, scale: Float32, low: Float32) -> Float32:
    difference = _levels(groups, scale, low) * scale + low - groups
    total: Float32 = (difference * difference).sum(axis=0)
    return total


def _inverse(scale: Float32) -> Float32:
    """1 / scale, and 0 where a group has only one value."""
    return np.where(scale != 0, 1 / np.where(scale != 0, scale, 1), 0).astype(np.float32)
