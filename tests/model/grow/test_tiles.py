"""Packed matrices in the order of a file, and back."""

from __future__ import annotations

import numpy as np
import pytest

from dgemma_model.grow.pack import Bits, pack, unpack
from dgemma_model.grow.tiles import from_tiles, into_tiles
from dgemma_model.network.quantized import Matrix


@pytest.mark.parametrize("bits", [Bits.FOUR, Bits.EIGHT])
@pytest.mark.parametrize("shape", [(16, 32), (48, 96), (19, 64), (1, 32)])
def test_tiles_come_back_as_they_were_and_mean_the_same_to_the_runner(
    bits: Bits, shape: tuple[int, int]
) -> None:
    packed = pack(np.random.default_rng(0).standard_normal(shape, np.float32), bits)
    stored = into_tiles(packed)
    back = from_tiles(stored, shape[0])
    assert packed.keys() == back.keys()
    assert all(np.array_equal(packed[suffix], back[suffix]) for suffix in packed)
    matrix = Matrix(*shape, stored["q"], stored["scale"], stored.get("min"))
    assert np.array_equal(matrix.weights(), unpack(packed))


def test_rows_that_fill_up_a_tile_are_zero() -> None:
    stored = into_tiles(pack(np.ones((19, 32), np.float32), Bits.EIGHT))
    assert [part.shape for part in stored.values()] == [(2, 1, 512), (2, 1, 16)]
    assert not stored["scale"][1, :, 3:].any()
    assert not stored["q"].reshape(2, 1, 8, 16, 4)[1, :, :, 3:].any()
