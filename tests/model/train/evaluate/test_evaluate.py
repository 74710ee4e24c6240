"""The evaluation: what its numbers mean, and that it runs from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.fill.confidence import Curve
from dgemma_model.fill.fitted import FILE, Fitted
from dgemma_model.fill.infiller import Infiller
from dgemma_model.protocol import Draft, Fill, FillOptions, FillRequest
from dgemma_model.train.evaluate import evaluate, plots
from dgemma_model.train.evaluate.cases import Case, Kind, draw
from dgemma_model.train.evaluate.evaluate import main, of_cases, of_fills, summarize_calibration
from dgemma_model.train.evaluate.scores import Judged, Measured, measure
from tests.model.tiny import infiller
from tests.model.train.evaluate.held_out import PACKAGES, write


class Parrot(Infiller):
    """Gives the answers it was told, 60 % sure of each."""

    def __init__(self, answers: dict[tuple[str, ...], tuple[str, ...]]) -> None:
        self._answers = answers

    def drafts(self, request: FillRequest, cancelled: Callable[[], bool]) -> Iterator[Draft]:
        fills = tuple(Fill(text, 0.6, True, ()) for text in self._answers[request.segments])
        yield Draft(1, False, (), 0, 0, 0.0)
        yield Draft(3, True, (fills,), 0, 0, 0.0)


def answering(cases: list[Case], answer: Callable[[str], str]) -> Parrot:
    return Parrot({case.masked.segments: tuple(map(answer, case.truths)) for case in cases})


def measured(answer: Callable[[str], str], kind: Kind = Kind.REST_OF_LINE) -> Measured:
    cases = list(draw(PACKAGES, kind, 6))
    return measure(answering(cases, answer), FillOptions(), {"truth": lambda c: c.truths}, kind, cases)


def test_the_truth_scores_everything_whatever_blanks_follow_it() -> None:
    score = measured(lambda truth: truth + "  ").scores["model"]
    assert (score.regions, score.exact, score.similarity, score.parses) == (6, 1.0, 1.0, 1.0)
    assert (score.length_error, score.steps) == (0.0, 3.0)


def test_longer_answers_that_break_the_file_score_less() -> None:
    result = measured(lambda truth: truth + ")" * 4)
    score = result.scores["model"]
    assert (score.exact, score.length_error) == (0.0, 4.0)
    assert score.parses < 0.5  # in a comment or a docstring they break nothing
    assert 0 < score.similarity < 1
    assert result.scores["truth"].exact == 1.0


def test_every_region_counts_and_a_case_is_right_where_all_are() -> None:
    result = measured(lambda truth: truth, Kind.FOUR_REGIONS)
    assert result.scores["model"].regions == 24
    assert [case.right for case in result.cases] == [(True,) * 4] * 6


def test_a_fill_claims_its_confidence_and_a_case_the_product() -> None:
    cases = [Judged("p", (0.5, 0.8), (True, False)), Judged("q", (0.9,), (True,))]
    assert of_fills(cases) == ([0.5, 0.8, 0.9], [True, False, True])
    assert of_cases(cases) == (pytest.approx([0.4, 0.9]), [False, True])
    assert of_cases(cases, lambda confidence: confidence / 2)[0] == pytest.approx([0.1, 0.45])


def test_packages_that_the_curve_was_not_fitted_on_are_measured_by_themselves() -> None:
    cases = [Judged("seen", (0.9,), (True,))] * 10 + [Judged("new", (0.9,), (False,))] * 10
    report = summarize_calibration(cases, Curve((0.9,), (0.5,)), {"seen": []})
    assert report == {
        "fitted on": ["seen"],
        "all packages": {"fills": 20, "error": 0.4, "calibrated error": 0.0},
        "packages not fitted on": {"fills": 10, "error": 0.9, "calibrated error": 0.5},
    }


def test_the_command_measures_calibrates_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Infiller, "load", lambda *_, **__: infiller())
    monkeypatch.setattr(evaluate, "keep_freed_memory", lambda: None)
    corpus, out = write(tmp_path), tmp_path / "metrics.json"
    kinds = ["block", "four-regions"]
    main(
        [*f"--corpus {corpus} --count 2 --out {out} --calibrate {tmp_path} --steps 1 --kinds".split(), *kinds]
    )
    report = json.loads(out.read_text("utf-8"))
    assert list(report) == [Kind.BLOCK, Kind.FOUR_REGIONS, "calibration"]
    assert set(report[Kind.BLOCK]["model"]) == set(report[Kind.BLOCK]["empty"])
    assert report[Kind.FOUR_REGIONS]["model"]["regions"] == 8
    assert report[Kind.BLOCK]["precision and coverage"][-1]["coverage"] == 1.0
    assert set(report[Kind.BLOCK]["at 60 % precision"]) == {"threshold", "coverage", "precision"}
    assert report["calibration"]["fitted on"] == ["a"]
    assert Fitted.of_checkpoint(tmp_path).confidence != Curve()


def test_plots_are_refused_before_the_long_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise ModelError("Plots need something.")

    monkeypatch.setattr(plots, "require_matplotlib", refuse)
    with pytest.raises(SystemExit, match="Plots need something"):
        main(["--plots", "folder"])
    assert capsys.readouterr().out == ""


def test_one_case_cannot_be_both_fitted_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Infiller, "load", lambda *_, **__: infiller())
    monkeypatch.setattr(evaluate, "keep_freed_memory", lambda: None)
    with pytest.raises(SystemExit, match="needs two packages and two cases"):
        main(f"--corpus {write(tmp_path)} --count 1 --calibrate {tmp_path}".split())
    assert not (tmp_path / FILE).exists()


def test_an_unknown_kind_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--kinds", "poem"])
    assert "There is no kind poem; use rest-of-line, whole-line" in capsys.readouterr().err
