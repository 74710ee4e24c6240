"""The file of the constants that were fitted to a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.fill.confidence import Curve
from dgemma_model.fill.facts import Fact
from dgemma_model.fill.fitted import FILE, Fitted
from dgemma_model.guess.mixture import Mixture
from tests.model.tiny import CHECKPOINT

MIXTURE = Mixture((-2.0, 0.0, 1.4, 0.0, -1.0, 1.0), (-1.0, 0.0, -1.5, 3.0, -2.0, 1.0))
ALL = Fitted(2.5, MIXTURE, Curve((0.0, 0.5), (0.1, 0.7)), {Fact.FROM_BEHIND: 0.5, Fact.CASE: -1.0})


@pytest.mark.parametrize("fitted", [ALL, Fitted(), Fitted(mixture=Mixture(MIXTURE.copying))])
def test_what_was_written_is_read(fitted: Fitted, tmp_path: Path) -> None:
    fitted.write(tmp_path)
    assert Fitted.of_checkpoint(tmp_path) == fitted


def test_a_checkpoint_without_the_file_has_the_defaults(tmp_path: Path) -> None:
    fitted = Fitted.of_checkpoint(tmp_path)
    assert fitted.mixture == Mixture()
    assert [fitted.confidence(x) for x in (0.0, 0.25, 1.0)] == [0.0, 0.25, 1.0]
    assert fitted.proofreading is None


def test_a_curve_is_found_in_a_checkpoints_folder(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"confidence": {"confidences": [0.0, 0.5], "right": [0.1, 0.7]}}')
    assert Fitted.of_checkpoint(tmp_path).confidence(0.25) == pytest.approx(0.4)


def test_the_bundled_checkpoint_has_everything() -> None:
    fitted = Fitted.of_checkpoint(CHECKPOINT)
    assert fitted.mixture.counting is not None
    assert fitted.confidence != Curve()
    assert fitted.proofreading is not None
    assert set(fitted.proofreading) == set(Fact)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "3",
        '{"temperature": 1.0}',
        '{"trust": "much"}',
        '{"trust": -1}',
        '{"trust": NaN}',
        '{"mixture": {}}',
        '{"mixture": {"copying": 1, "counting": null}}',
        '{"mixture": {"copying": [1, 2], "counting": null}}',
        '{"confidence": []}',
        '{"confidence": {"confidences": 1, "right": [2]}}',
        '{"confidence": {"confidences": [], "right": []}}',
        '{"confidence": {"confidences": [0.5, 0.1], "right": [0.1, 0.2]}}',
        '{"proofreading": {"magic": 1.0}}',
        '{"proofreading": {"new": "yes"}}',
    ],
)
def test_a_damaged_file_is_told_in_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"fitted\.json cannot be used: .+\.$"):
        Fitted.of_checkpoint(tmp_path)


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    Fitted.of_checkpoint(CHECKPOINT).write(tmp_path)
    assert json.loads((tmp_path / FILE).read_text()) == json.loads((CHECKPOINT / FILE).read_text())
