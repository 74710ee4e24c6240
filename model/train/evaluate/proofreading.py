"""Counts the hints that correct code gets, and the mistakes that are found. Pure functions on numbers and text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dgemma_model.fill.facts import Kind, Weights, log_odds
from dgemma_model.fill.proofread import Doubt
from dgemma_model.train.fit.mistakes import WINDOW, Mistake, Window

LINES_PER_HINT = 200
"""The lines of correct code that may get one hint; the threshold is chosen for it."""

ALL = "all"
_NAMES: Mapping[Kind, str] = {Kind.KEYWORD: "keyword", Kind.WORD: "name", Kind.SIGN: "operator"}
_NO_HINT = -30.0  # log odds


class Verdict(NamedTuple):
    """What became of one mistake.

    Attributes:
        first: no other hint in the window is as sure.
        among_three: at most two others are.
        shown: its hint is above the threshold.
        mended: its hint is above the threshold, and its quick fix restores what was right.
    """

    first: bool
    among_three: bool
    shown: bool
    mended: bool


class Row(NamedTuple):
    """The number of mistakes of one kind, and the shares of them for which each part of the verdict holds."""

    mistakes: int
    first: float
    among_three: float
    shown: float
    mended: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured on held-out packages.

    Attributes:
        lines: the lines of correct code.
        threshold: the least confidence, in hundredths, with which they get at most one hint in `LINES_PER_HINT`.
        rows: the numbers of each kind of mistake.
    """

    lines: int
    threshold: float
    rows: Mapping[str, Row]


def measure(windows: Sequence[Window], weights: Weights) -> Result:
    """Choose the threshold by the hints in correct windows, and count the mistakes that are found with it."""
    lines = sum(window.lines for window in windows)
    threshold = _threshold([_hints(window.doubts, weights) for window in windows], lines // LINES_PER_HINT)
    limit = math.log(threshold / (1 - threshold))
    verdicts: dict[str, list[Verdict]] = {}
    for window in windows:
        hints = _hints(window.doubts, weights)
        for mistake in window.mistakes:
            verdict = _judged(mistake, hints, weights, limit)
            verdicts.setdefault(_NAMES[mistake.kind], []).append(verdict)
            verdicts.setdefault(ALL, []).append(verdict)
    return Result(lines, threshold, {kind: _row(seen) for kind, seen in sorted(verdicts.items())})


def _threshold(hints: Sequence[Mapping[int, float]], allowed: int) -> float:
    """Find the least confidence, in hundredths, that at most so many hints have."""
    values = sorted((value for window in hints for value in window.values()), reverse=True)
    exact = 1 / (1 + math.exp(-values[allowed])) if len(values) > allowed else 0.0
    return min(0.99, math.floor(100 * exact + 1) / 100)


def _judged(mistake: Mistake, correct: Mapping[int, float], weights: Weights, limit: float) -> Verdict:
    """Compare a mistake's hint with the others of its line and with those of the other lines, which are correct."""
    hints = _hints(mistake.doubts, weights)
    value = hints.pop(mistake.at, _NO_HINT)
    start, end = mistake.line
    others = [*hints.values(), *(other for at, other in correct.items() if not start <= at < end)]
    better = sum(other >= value for other in others) if value > _NO_HINT else len(others) + 3
    fixes = [(log_odds(d.facts, weights), d.other) for d in mistake.doubts if d.start == mistake.at]
    shown = value >= limit
    return Verdict(better == 0, better < 3, shown, shown and max(fixes)[1] == mistake.right)


def _hints(doubts: Sequence[Doubt], weights: Weights) -> dict[int, float]:
    """Return the log odds of the surest doubt at each place."""
    best: dict[int, float] = {}
    for doubt in doubts:
        best[doubt.start] = max(best.get(doubt.start, _NO_HINT), log_odds(doubt.facts, weights))
    return best


def _row(verdicts: Sequence[Verdict]) -> Row:
    return Row(len(verdicts), *(sum(flags) / len(flags) for flags in zip(*verdicts, strict=True)))


def report(result: Result) -> str:
    """Write a page of Markdown about the result."""
    head = (
        f"On {result.lines:,} unharmed lines of held-out packages, in windows of {WINDOW}, there is at most one hint\n"
        f"in {LINES_PER_HINT} lines from a confidence of {result.threshold:.2f} on, which is the default. With one\n"
        "mistake in a window:"
    )
    rows = [
        "| mistakes | number | the first hint | among the first three | above the default | and mended |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {kind} | {row.mistakes} | {' | '.join(f'{share:.0%}' for share in row[1:])} |"
            for kind, row in result.rows.items()
        ),
    ]
    return "\n".join(["# Proofreading", "", head, "", *rows, ""])
