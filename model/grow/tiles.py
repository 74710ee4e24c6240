"""How packed matrices lie in a file: sixteen rows side by side, as the compiled runner multiplies them.

A register of the runner holds four neighbouring weights of each of some rows, so that is the order of the bytes; the
file is mapped and multiplied as it is. With ``tiles = ⌈out / 16⌉``, filled up with zeros, and ``groups = in / 32``:

* four bits: ``q`` uint8 ``[tiles, groups, 256]``, a tile's bytes being ``[4 quads, 16 rows, 4 bytes]``;
* eight bits: ``q`` int8 ``[tiles, groups, 512]``, being ``[8 quads, 16 rows, 4 bytes]``;
* ``scale`` and ``min`` float16 ``[tiles, groups, 16]``.

What the bytes mean is said in `pack`, and `dgemma_model.network.quantized.Matrix` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dgemma_model.grow.tensorfile import Array

ROWS = 16
"""Rows of a tile."""
_QUAD = 4
"""Bytes of a row that lie side by side."""


def into_tiles(parts: Mapping[str, Array]) -> Mapping[str, Array]:
    """A packed matrix by its parts' suffixes, in the order of a file."""
    groups = parts["scale"].shape[1]
    return {suffix: _into_tiles(part, groups) for suffix, part in parts.items()}


def from_tiles(parts: Mapping[str, Array], rows: int) -> Mapping[str, Array]:
    """The parts as `pack` makes them; of the last tile only the matrix' own rows."""
    return {suffix: _from_tiles(part)[:rows] for suffix, part in parts.items()}


def _into_tiles(part: Array, groups: int) -> Array:
    filled = np.pad(part, ((0, -len(part) % ROWS), (0, 0)))
    tiles = len(filled) // ROWS
    if part.shape[1] == groups:
        return np.ascontiguousarray(filled.reshape(tiles, ROWS, groups).transpose(0, 2, 1))
    quads = filled.reshape(tiles, ROWS, groups, -1, _QUAD).transpose(0, 2, 3, 1, 4)
    return np.ascontiguousarray(quads.reshape(tiles, groups, -1))


def _from_tiles(part: Array) -> Array:
    tiles, groups, size = part.shape
    if size == ROWS:
        return part.transpose(0, 2, 1).reshape(tiles * ROWS, groups)
    quads = part.reshape(tiles, groups, -1, ROWS, _QUAD).transpose(0, 3, 1, 2, 4)
    return quads.reshape(tiles * ROWS, -1)
