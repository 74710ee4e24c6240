"""What a checkpoint's confidence means: the share of fills of a likelihood that were right on held-out packages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy

from dgemma_model import sidecar

FILE = "confidence.json"
"""In a checkpoint's folder; made by ``python -m dgemma_model.train.evaluate.evaluate --calibrate``."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How often answers of a confidence are right: straight between the points, level outside them."""

    confidences: tuple[float, ...] = (0.0, 1.0)
    right: tuple[float, ...] = (0.0, 1.0)

    def __call__(self, confidence: float) -> float:
        """The calibrated confidence."""
        return float(numpy.interp(confidence, self.confidences, self.right))

    def to_json(self) -> str:
        """Two lists."""
        return json.dumps({"confidences": self.confidences, "right": self.right})

    @classmethod
    def from_json(cls, text: str) -> Curve:
        """What `to_json` wrote."""
        lists = json.loads(text)
        return cls(tuple(lists["confidences"]), tuple(lists["right"]))

    @classmethod
    def of_checkpoint(cls, folder: Path) -> Curve:
        """The one in a checkpoint's folder; one that changes nothing where there is none.

        Raises:
            ModelError: there is one that cannot be read.
        """
        return sidecar.read(folder / FILE, cls.from_json) or cls()
