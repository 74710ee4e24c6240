"""How far to believe each of three sources about the next token: the network, the document and the corpus.

Each source says how likely every token is, and something tells when it can be believed. For copying from the document
it is the length of the longest match and how far the matches agree; for the counts of the corpus it is the length of
the known context; for the network its own certainty. The weights of the three sources are a softmax over weighted sums
of these numbers (a gate, after Jacobs et al., "Adaptive mixtures of local experts", 1991). Pure functions on numbers;
`train.fit.mixture` fits the coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dgemma_model.guess.ngrams import CONTEXT

Coefficients = tuple[float, ...]
"""One for each of `features`."""

# Without counts: what copying alone was worth with the first bundled checkpoint.
_COPYING: Coefficients = (-1.85, 0.0, 0.94, 0.0, 0.0, 0.0)


class Sources(NamedTuple):
    """One number for each source: its weight, or how likely it finds a token."""

    network: float
    copying: float
    counting: float

    def dot(self, values: Sources) -> float:
        """Sum the products with other numbers of the three sources."""
        return sum(weight * value for weight, value in zip(self, values, strict=True))


class Evidence(NamedTuple):
    """What is known before a token is.

    Attributes:
        match: tokens of the longest match in the document.
        order: tokens of the longest context that was counted.
        sure: the network's highest probability.
        agreed: the highest weight of a token that may be copied.
    """

    match: int
    order: int
    sure: float
    agreed: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """Weighs the three sources by the evidence; the network's coefficients are 0.

    Attributes:
        copying: coefficients of copying.
        counting: coefficients of counting; without them the counts have no weight.
    """

    copying: Coefficients = _COPYING
    counting: Coefficients | None = None

    def __call__(self, evidence: Evidence) -> Sources:
        """Compute the weights, which sum up to 1; copying has none if nothing matches."""
        values = features(evidence)
        copying = math.exp(_dot(self.copying, values)) if evidence.match else 0.0
        counting = math.exp(_dot(self.counting, values)) if self.counting else 0.0
        total = 1 + copying + counting
        return Sources(1 / total, copying / total, counting / total)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Mixture:
        """Read the fields of a JSON object; raises ValueError, KeyError or TypeError if they are no mixture."""
        counting = fields["counting"]
        return cls(_coefficients(fields["copying"]), None if counting is None else _coefficients(counting))


def features(evidence: Evidence) -> Coefficients:
    """Compute the numbers that the weights depend on: 1, and five numbers between 0 and about 3."""
    match, order, sure, agreed = evidence
    return 1.0, float(match == 0), math.log1p(match), order / CONTEXT, sure, agreed


def _coefficients(numbers: list[float]) -> Coefficients:
    if len(numbers) != len(_COPYING):
        raise ValueError(f"a source of a mixture has {len(_COPYING)} coefficients, not {len(numbers)}")
    return tuple(map(float, numbers))


def _dot(coefficients: Coefficients, values: Coefficients) -> float:
    return sum(weight * value for weight, value in zip(coefficients, values, strict=True))
