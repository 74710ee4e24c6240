"""How far each of three is believed about the next token: the network, the document (copying), the corpus (counting).

Each says how likely every token is, and knows when it knows something: copying by the length of the longest match and
by how much of it agrees, counting by the length of the context it has seen, the network by its own certainty. The
shares of the three are a softmax over sums of these (a gate, after Jacobs et al., "Adaptive mixtures of local
experts", 1991). Pure functions on numbers; `train.shares` fits the weights.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from dgemma_model import sidecar
from dgemma_model.guess.ngrams import CONTEXT

FILE = "mixture.json"
"""In a checkpoint's folder; made by ``python -m dgemma_model.train.fit.mixture``."""

Weights = tuple[float, ...]
"""Of each of `features`."""

# Without counts: what copying alone is worth beside the first bundled checkpoint.
_COPYING: Weights = (-1.85, 0.0, 0.94, 0.0, 0.0, 0.0)


class Shares(NamedTuple):
    """They sum up to 1."""

    network: float
    copying: float
    counting: float


class Evidence(NamedTuple):
    """What is known before a token is.

    Attributes:
        match: tokens of the document's longest match.
        order: tokens of the longest context that was counted.
        sure: the network's highest probability.
        agreed: the highest weight of what may be copied.
    """

    match: int
    order: int
    sure: float
    agreed: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """The weights of copying and counting beside the network, whose weights are 0; no counting without weights."""

    copying: Weights = _COPYING
    counting: Weights | None = None

    def __call__(self, evidence: Evidence) -> Shares:
        """The shares; nothing is copied where nothing matches."""
        known = features(evidence)
        copying = math.exp(_dot(self.copying, known)) if evidence.match else 0.0
        counting = math.exp(_dot(self.counting, known)) if self.counting else 0.0
        total = 1 + copying + counting
        return Shares(1 / total, copying / total, counting / total)

    def to_json(self) -> str:
        """The weights."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Mixture:
        """What `to_json` wrote; raises ValueError, KeyError or TypeError for anything else."""
        lists = json.loads(text)
        copying, counting = tuple(lists["copying"]), lists["counting"]
        return cls(copying, None if counting is None else tuple(counting))

    @classmethod
    def of_checkpoint(cls, folder: Path) -> Mixture:
        """The one in a checkpoint's folder; the default where there is none.

        Raises:
            ModelError: there is one that cannot be read.
        """
        return sidecar.read(folder / FILE, cls.from_json) or cls()


def features(evidence: Evidence) -> Weights:
    """What the shares depend on: 1, and five numbers between 0 and about 3."""
    match, order, sure, agreed = evidence
    return 1.0, float(match == 0), math.log1p(match), order / CONTEXT, sure, agreed


def _dot(weights: Weights, values: Weights) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))
