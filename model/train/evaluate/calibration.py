"""Measures whether a confidence means what it says, and fits the curve that makes it so. Pure functions on numbers.

Answers with a confidence of 70 % should be right in 7 of 10 cases. `fit` finds by isotonic regression how often answers
of a confidence were right; the resulting `Curve` is applied to the confidence of one fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from dgemma_model.fill.confidence import Curve

_BINS = 10
_PRIOR = 2.0  # answers of average quality that are added to each point of a curve
_POINT = 40  # answers behind each point, at least, before neighbours are pooled
_POINTS = 30
_FEWEST = 5  # answers from which a precision is estimated
_CURVE_POINTS = 12
_TINY = 1e-9

Confidences = Sequence[float]
Right = Sequence[bool]
Array = NDArray[numpy.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same confidence: their number, their mean confidence, and the share that is right."""

    answers: float
    confidence: float
    right: float

    def pooled(self, other: Bin) -> Bin:
        """Merge two bins."""
        both = self.answers + other.answers
        confidence = (self.answers * self.confidence + other.answers * other.confidence) / both
        return Bin(both, confidence, (self.answers * self.right + other.answers * other.right) / both)


@dataclass(frozen=True, slots=True)
class Point:
    """The effect of holding back answers below a threshold: the share that is left, and how much of it is right."""

    threshold: float
    coverage: float
    precision: float


def fit(confidences: Confidences, right: Right) -> Curve:
    """Fit a curve by isotonic regression (pool adjacent violators) over bins that a small prior pulls to the average.

    Neighbours that would not rise are merged, so the curve rises strictly and keeps the order of the answers.
    """
    average = float(numpy.mean(right))
    pooled: list[Bin] = []
    for bin_ in bins(confidences, right, max(1, min(_POINTS, len(right) // _POINT))):
        share = (bin_.answers * bin_.right + _PRIOR * average) / (bin_.answers + _PRIOR)
        newest = Bin(bin_.answers, bin_.confidence, share)
        while pooled and pooled[-1].right >= newest.right:
            newest = pooled.pop().pooled(newest)
        pooled.append(newest)
    return Curve(tuple(bin_.confidence for bin_ in pooled), tuple(bin_.right for bin_ in pooled))


def bins(confidences: Confidences, right: Right, count: int = _BINS) -> Iterator[Bin]:
    """Yield ``count`` bins of equal size, from unsure to sure; answers of equal confidence stay together."""
    sure, hits = _sorted(confidences, right)
    ends = {_after_equals(sure, round(len(sure) * (i + 1) / count)) for i in range(count)} - {0}
    start = 0
    for end in sorted(ends):
        yield Bin(end - start, float(sure[start:end].mean()), float(hits[start:end].mean()))
        start = end


def calibration_error(confidences: Confidences, right: Right) -> float:
    """Compute the expected calibration error: how far confidences are from the share that is right, over ten bins."""
    return sum(b.answers * abs(b.confidence - b.right) for b in bins(confidences, right)) / len(right)


def precision_and_coverage(confidences: Confidences, right: Right, count: int = _CURVE_POINTS) -> list[Point]:
    """Return ``count`` points of the trade of fewer answers for better ones, from the surest answers to all."""
    points = _points(confidences, right)
    shares = [(index + 1) / count for index in range(count)]
    chosen = [next(point for point in points if point.coverage >= share - _TINY) for share in shares]
    return list(dict.fromkeys(chosen))


def coverage(confidences: Confidences, right: Right, precision: float) -> Point:
    """Find the lowest threshold above which ``precision`` of the answers are right; coverage is 0 if there is none."""
    fewest = _FEWEST / len(right) - _TINY
    points = _points(confidences, right)
    good = [point for point in points if point.coverage >= fewest and point.precision >= precision]
    return good[-1] if good else Point(1.0, 0.0, 0.0)


def _points(confidences: Confidences, right: Right) -> list[Point]:
    """Return a point for the surest answer, the surest two, and so on, but none that would part equal confidences."""
    sure, hits = (values[::-1] for values in _sorted(confidences, right))
    shares = hits.cumsum() / numpy.arange(1, len(sure) + 1)
    ends = numpy.flatnonzero(numpy.append(sure[1:] < sure[:-1], True))
    return [Point(float(sure[end]), (int(end) + 1) / len(sure), float(shares[end])) for end in ends]


def _sorted(confidences: Confidences, right: Right) -> tuple[Array, Array]:
    sure, hits = numpy.array(confidences, numpy.float64), numpy.array(right, numpy.float64)
    order = sure.argsort(kind="stable")
    return sure[order], hits[order]


def _after_equals(ordered: Array, end: int) -> int:
    return int(ordered.searchsorted(ordered[end - 1], side="right")) if end else 0
