"""Plots: what is drawn, and that small files come out where matplotlib is installed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.train.evaluate import plots
from dgemma_model.train.evaluate.cases import Kind

VALUES = {
    "rest of line": {"empty": 0.0, "draft alone": 0.17, "model": 0.2},
    "whole line": {"empty": 0.0, "draft alone": 0.0, "model": 0.1},
}


def test_the_model_comes_first_and_a_baseline_that_is_never_right_has_no_bars() -> None:
    bars = plots.grouped_bars(VALUES)
    assert [(each.name, each.lengths) for each in bars] == [
        ("model", (0.2, 0.1)),
        ("draft alone", (0.17, 0.0)),
    ]


def test_a_model_that_is_never_right_is_shown() -> None:
    assert plots.grouped_bars({"block": {"empty": 0.0, "model": 0.0}}) == [
        plots.Bars("model", (0.0,), (0.0,))
    ]


def test_bars_lie_beside_each_other_around_their_kind() -> None:
    model, draft = plots.grouped_bars(VALUES)
    assert model.places == pytest.approx((-0.2, 0.8))
    assert draft.places == pytest.approx((0.2, 1.2))


def test_reliability_has_ten_points_on_the_diagonal_for_honest_answers() -> None:
    (points,) = plots.reliability({"honest": honest()}).values()
    assert len(points) == 10
    assert all(abs(point.confidence - point.right) < 0.1 for point in points)


def test_missing_matplotlib_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"Plots need matplotlib; install it with .*train"):
        plots.draw_exact(VALUES, tmp_path / "exact.png")


def test_the_files_are_small_pngs_800_pixels_wide(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots.draw_exact({kind: dict.fromkeys("abcd", 0.3) for kind in Kind}, tmp_path / "exact.png")
    plots.draw_reliability({"raw": honest(), "calibrated": honest()}, tmp_path / "reliability.png")
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG")
        assert int.from_bytes(data[16:20], "big") == 800
        assert len(data) < 60_000


def honest() -> tuple[list[float], list[bool]]:
    rng = random.Random(0)
    confidences = [rng.random() for _ in range(2000)]
    return confidences, [rng.random() < confidence for confidence in confidences]
