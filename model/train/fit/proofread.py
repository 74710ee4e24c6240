"""Fit and measure proofreading: ``python -m dgemma_model.train.fit.proofread --model FOLDER``.

``--fit`` fits the weights of the facts (`fill.facts`) by logistic regression to mistakes made on purpose (`mistakes`).
They are made in training files from the end of the order in which training reads them, which training has not seen.
Hints and found mistakes are then counted on held-out packages; ``--report`` writes the result down.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy
from numpy.typing import NDArray

from dgemma_model.fill.facts import Fact, Facts, Weights
from dgemma_model.fill.fitted import Fitted
from dgemma_model.fill.infiller import Infiller
from dgemma_model.fill.proofread import Doubt
from dgemma_model.network.folder import BUNDLED
from dgemma_model.train.data.sources import read_sources
from dgemma_model.train.evaluate.proofreading import measure, report
from dgemma_model.train.fit.mistakes import Window, window
from dgemma_model.train.progress import say
from dgemma_model.train.recipe import Recipe
from dgemma_model.train.stream import read_last

PENALTY = 1.0
_ROUNDS = 30

Array = NDArray[numpy.float64]


def fit(windows: Sequence[Window]) -> Weights:
    """Find the weights that tell mistakes best from correct code.

    This is a logistic regression with a quadratic penalty, solved by Newton's method. A fact that never changes gets no
    weight.
    """
    right = [doubt.facts for window in windows for doubt in _strongest(window.doubts)]
    wrong = [facts for window in windows for facts in _mended(window)]
    names = list(right[0])
    table = numpy.array([[row[name] for name in names] for row in [*right, *wrong]])
    scale = numpy.maximum(table.std(0), 1e-6)
    scale[names.index(Fact.ALWAYS)] = 1.0
    solved = _newton(table / scale, numpy.array([0.0] * len(right) + [1.0] * len(wrong)))
    return {name: round(float(value), 3) for name, value in zip(names, solved / scale, strict=True)}


def _mended(window: Window) -> list[Facts]:
    """Return the facts of the doubts that would mend a mistake of a window."""
    return [
        doubt.facts
        for mistake in window.mistakes
        for doubt in mistake.doubts
        if (doubt.start, doubt.other) == (mistake.at, mistake.right)
    ]


def _strongest(doubts: Sequence[Doubt]) -> list[Doubt]:
    """Choose one doubt for each place: the one whose line gains most."""
    best: dict[int, Doubt] = {}
    for doubt in doubts:
        if doubt.start not in best or _gain(doubt) > _gain(best[doubt.start]):
            best[doubt.start] = doubt
    return list(best.values())


def _gain(doubt: Doubt) -> float:
    return doubt.facts[Fact.SURPRISE] + doubt.facts[Fact.FROM_BEHIND]


def _newton(table: Array, truths: Array) -> Array:
    """Solve the regression; table: [doubts, facts], truths: [doubts]."""
    solved = numpy.zeros(table.shape[1])
    for _ in range(_ROUNDS):
        guessed = 1 / (1 + numpy.exp(-(table @ solved).clip(-30, 30)))
        slope = table.T @ (guessed - truths) + PENALTY * solved
        curve = (table * (guessed * (1 - guessed))[:, None]).T @ table + PENALTY * numpy.eye(len(solved))
        solved = solved - numpy.linalg.solve(curve, slope)
    return solved


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.fit.proofread", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus"))
    parser.add_argument(
        "--fit", type=int, default=0, metavar="WINDOWS", help="fit new weights; otherwise only measure"
    )
    parser.add_argument("--measure", type=int, default=150, metavar="WINDOWS")
    parser.add_argument("--report", type=Path, help="file to write the measurement to")
    arguments = parser.parse_args(argv)
    infiller = Infiller.load(arguments.model)
    weights = Fitted.of_checkpoint(arguments.model).proofreading
    if arguments.fit:
        unread = read_last(arguments.corpus / "train.jsonl", Recipe().seed, 4 * arguments.fit)
        weights = fit(_windows(infiller, [text for _, text in unread], arguments.fit))
        replace(Fitted.of_checkpoint(arguments.model), proofreading=weights).write(arguments.model)
        print(json.dumps(weights, indent=4))
    if weights is None:
        parser.error(f"{arguments.model} was never fitted for proofreading; use --fit.")
    held_out = [source.text for source in read_sources(arguments.corpus / "held_out.jsonl")]
    page = report(measure(_windows(infiller, held_out, arguments.measure), weights))
    print(page)
    if arguments.report:
        arguments.report.write_text(page, "utf-8")


def _windows(infiller: Infiller, texts: Sequence[str], count: int) -> list[Window]:
    rng = random.Random(0)
    found: list[Window] = []
    for text in rng.sample(list(texts), len(texts)):
        if len(found) < count and (chosen := window(infiller, text, rng)) is not None:
            found.append(chosen)
            say(f"{len(found)} windows")
    return found


if __name__ == "__main__":
    main()
