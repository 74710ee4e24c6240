"""Four and eight bits a weight: what comes back, and where the bits lie."""

from __future__ import annotations

import numpy as np
import pytest

from dgemma_model.errors import ModelError
from dgemma_model.grow.pack import GROUP, Bits, pack, unpack
from dgemma_model.grow.tensorfile import Float32


def normal(out: int = 64, inputs: int = 256) -> Float32:
    return np.random.default_rng(1).normal(0, 0.05, (out, inputs)).astype(np.float32)


def relative_error(matrix: Float32, bits: Bits) -> float:
    difference = unpack(pack(matrix, bits)) - matrix
    return float(np.sqrt(np.square(difference).sum() / np.square(matrix).sum()))


def test_the_parts_have_the_shapes_that_the_runner_expects() -> None:
    four, eight = pack(normal(8, 96), Bits.FOUR), pack(normal(8, 96), Bits.EIGHT)
    assert {name: (part.dtype.name, part.shape) for name, part in four.items()} == {
        "q": ("uint8", (8, 48)),
        "scale": ("float16", (8, 3)),
        "min": ("float16", (8, 3)),
    }
    assert {name: (part.dtype.name, part.shape) for name, part in eight.items()} == {
        "q": ("int8", (8, 96)),
        "scale": ("float16", (8, 3)),
    }


def test_a_byte_holds_elements_j_and_j_plus_16_of_its_group() -> None:
    levels = np.concatenate([np.arange(16), np.arange(16)[::-1]]).astype(np.float32)
    parts = pack((levels * 0.5 - 1)[None], Bits.FOUR)
    assert (parts["scale"].item(), parts["min"].item()) == (0.5, -1)
    assert parts["q"].tolist() == [[j | (15 - j) << 4 for j in range(16)]]


def test_weights_on_sixteen_levels_come_back_exactly_though_not_all_are_used() -> None:
    random = np.random.default_rng(2)
    levels = random.integers(1, 15, (50, GROUP))
    levels[:, :2] = [1, 14]
    matrix = (levels * 0.25 - 2).astype(np.float32)
    assert np.array_equal(unpack(pack(matrix, Bits.FOUR)), matrix)


def test_weights_of_eight_bits_come_back_exactly() -> None:
    levels = np.random.default_rng(3).integers(-127, 128, (9, 2 * GROUP))
    levels[:, ::GROUP] = 127
    matrix = (levels * 0.125).astype(np.float32)
    assert np.array_equal(unpack(pack(matrix, Bits.EIGHT)), matrix)


def test_four_bits_lose_less_than_the_nearest_of_evenly_spread_levels() -> None:
    matrix = normal()
    groups = matrix.reshape(-1, GROUP)
    low, high = groups.min(1, keepdims=True), groups.max(1, keepdims=True)
    step = (high - low) / 15
    plain = np.rint((groups - low) / step) * step + low
    plain_error = float(np.sqrt(np.square(plain - groups).sum() / np.square(groups).sum()))
    assert relative_error(matrix, Bits.FOUR) < 0.93 * plain_error


def test_eight_bits_lose_half_a_percent() -> None:
    assert relative_error(normal(), Bits.EIGHT) < 0.006


@pytest.mark.parametrize("bits", [Bits.FOUR, Bits.EIGHT])
@pytest.mark.parametrize("value", [0.0, 0.75, -3.0])
def test_a_group_of_one_value_keeps_it(bits: Bits, value: float) -> None:
    matrix = np.full((2, GROUP), value, np.float32)
    assert unpack(pack(matrix, bits)) == pytest.approx(matrix, abs=2e-3)


def test_many_groups_are_packed_like_few() -> None:
    matrix = normal(600, 256)
    whole, rows = pack(matrix, Bits.FOUR), pack(matrix[590:], Bits.FOUR)
    assert all(np.array_equal(whole[name][590:], rows[name]) for name in rows)


def test_rows_that_do_not_fall_into_groups_are_refused() -> None:
    with pytest.raises(ModelError, match=r"48 inputs .* groups of 32; use --bits 16"):
        pack(normal(2, 48), Bits.FOUR)


def test_weights_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ModelError, match="not finite"):
        pack(np.full((1, GROUP), np.nan, np.float32), Bits.EIGHT)
