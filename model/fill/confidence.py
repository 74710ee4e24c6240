"""What a checkpoint's likelihoods are worth: how often fills of a likelihood were right on held-out packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy


@dataclass(frozen=True, slots=True)
class Curve:
    """Turns a likelihood into a confidence: straight between the points, level outside them.

    Attributes:
        confidences: of the points, before calibration; ascending.
        right: the share of fills at each point that were right.
    """

    confidences: tuple[float, ...] = (0.0, 1.0)
    right: tuple[float, ...] = (0.0, 1.0)

    def __call__(self, confidence: float) -> float:
        """Calibrate a confidence."""
        return float(numpy.interp(confidence, self.confidences, self.right))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Curve:
        """Read the fields of a JSON object; raises ValueError, KeyError or TypeError if they are no curve."""
        confidences, right = (tuple(map(float, fields[name])) for name in ("confidences", "right"))
        if not confidences or len(confidences) != len(right):
            raise ValueError("a curve has as many confidences as shares that were right")
        if any(a > b for a, b in pairwise(confidences)):
            raise ValueError("a curve's confidences rise")
        return cls(confidences, right)
