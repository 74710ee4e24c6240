"""Calibration: a curve makes confidences mean what they say, and changes their order nowhere."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.fill.confidence import Curve
from dgemma_model.fill.fitted import Fitted
from dgemma_model.train.evaluate.calibration import (
    Point,
    bins,
    calibration_error,
    coverage,
    fit,
    precision_and_coverage,
)

CLAIMS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=400)


def miscalibrated(count: int, power: float, seed: int) -> tuple[list[float], list[bool]]:
    """Answers that are right with a probability of their confidence to some power."""
    rng = random.Random(seed)
    confidences = [rng.random() ** 2 for _ in range(count)]
    return confidences, [rng.random() < confidence**power for confidence in confidences]


@pytest.mark.parametrize("power", [0.3, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_curve_mends_the_error_on_answers_it_never_saw(power: float, seed: int) -> None:
    curve = fit(*miscalibrated(1500, power, seed))
    confidences, right = miscalibrated(3000, power, seed + 100)
    assert calibration_error(confidences, right) > 0.1
    assert calibration_error([curve(c) for c in confidences], right) < 0.05


@given(CLAIMS)
def test_a_curve_rises_within_the_unit_interval(claims: list[tuple[float, bool]]) -> None:
    curve = fit([c for c, _ in claims], [right for _, right in claims])
    assert all(a < b for a, b in itertools.pairwise(curve.confidences))
    assert all(a < b for a, b in itertools.pairwise(curve.right))
    assert all(0 <= curve(x / 50) <= 1 for x in range(51))


def test_few_answers_say_little_more_than_their_average() -> None:
    assert fit([0.1, 0.9], [False, True]).right == pytest.approx((0.5,))


def test_it_is_straight_between_the_points_and_level_outside() -> None:
    curve = Curve((0.2, 0.6), (0.1, 0.5))
    assert [curve(x) for x in (0.0, 0.2, 0.4, 0.6, 1.0)] == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.5])


def test_a_file_keeps_a_curve(tmp_path: Path) -> None:
    curve = fit(*miscalibrated(500, 2.0, 0))
    Fitted(confidence=curve).write(tmp_path)
    assert Fitted.of_checkpoint(tmp_path).confidence == curve


def test_bins_are_equal_but_for_equal_confidences() -> None:
    found = list(bins([0.1, 0.2, 0.2, 0.2, 0.3, 0.4], [False, True, True, False, True, True], 3))
    assert [bin_.answers for bin_ in found] == [4, 2]
    assert [bin_.confidence for bin_ in found] == pytest.approx([0.175, 0.35])
    assert [bin_.right for bin_ in found] == pytest.approx([0.5, 1.0])


@given(CLAIMS)
def test_every_answer_is_in_one_bin(claims: list[tuple[float, bool]]) -> None:
    found = list(bins([c for c, _ in claims], [right for _, right in claims]))
    assert sum(bin_.answers for bin_ in found) == len(claims)
    assert sum(bin_.answers * bin_.right for bin_ in found) == pytest.approx(sum(r for _, r in claims))


def test_the_error_is_the_distance_of_claim_and_truth() -> None:
    assert calibration_error([0.9] * 10, [True] * 9 + [False]) == pytest.approx(0.0)
    assert calibration_error([0.9] * 10, [False] * 10) == pytest.approx(0.9)


def test_precision_falls_as_coverage_grows() -> None:
    confidences = [index / 24 for index in range(24)]
    points = precision_and_coverage(confidences, [confidence >= 0.5 for confidence in confidences])
    assert [point.coverage for point in points] == pytest.approx([(i + 1) / 12 for i in range(12)])
    assert points[5] == Point(12 / 24, 0.5, 1.0)
    assert points[-1] == Point(0.0, 1.0, 0.5)


def test_a_threshold_does_not_part_equals() -> None:
    assert precision_and_coverage([0.5] * 4, [True, True, False, False]) == [Point(0.5, 1.0, 0.5)]
    assert coverage([0.5] * 10, [True] * 5 + [False] * 5, 0.6) == Point(1.0, 0.0, 0.0)


def test_coverage_is_the_most_that_is_precise_enough() -> None:
    confidences = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    right = [False, True, True, True, True, False, False, False]
    assert coverage(confidences, right, 0.6) == pytest.approx(Point(0.4, 0.75, 4 / 6), abs=1e-9)


def test_precision_is_not_believed_of_four_answers() -> None:
    assert coverage([0.9, 0.8, 0.7, 0.6], [True] * 4, 0.6).coverage == 0.0
