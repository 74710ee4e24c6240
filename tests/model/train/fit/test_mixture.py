"""How far document and corpus are trusted, on tokens whose origin is known."""

from __future__ import annotations

import random

import pytest

from dgemma_model.guess.encoder import Comparison
from dgemma_model.guess.mixture import Evidence, Sources
from dgemma_model.train.fit.mixture import bits, fit

# Three tokens may come; the three sources have these probabilities for each.
TABLE = [Sources(0.05, 0.8, 0.1), Sources(0.4, 0.0, 0.85), Sources(0.55, 0.2, 0.05)]


def drawn(evidence: Evidence, shares: tuple[float, float, float], count: int) -> list[Comparison]:
    rng = random.Random(0)
    mixed = [sum(s * c for s, c in zip(shares, chances, strict=True)) for chances in TABLE]
    return [Comparison(evidence, chances) for chances in rng.choices(TABLE, mixed, k=count)]


def test_the_shares_from_which_tokens_were_drawn_are_found() -> None:
    truth = {
        Evidence(0, 1, 0.5, 0.0): (0.8, 0.0, 0.2),
        Evidence(2, 1, 0.5, 0.5): (0.6, 0.3, 0.1),
        Evidence(16, 5, 0.5, 1.0): (0.1, 0.7, 0.2),
    }
    tokens = [token for evidence, shares in truth.items() for token in drawn(evidence, shares, 6000)]
    mixture = fit(tokens)
    for evidence, shares in truth.items():
        assert mixture(evidence) == pytest.approx(shares, abs=0.07)


def test_counts_that_help_lower_the_bits() -> None:
    tokens = drawn(Evidence(0, 4, 0.5, 0.0), (0.2, 0.0, 0.8), 2000)
    without = fit(tokens, counted=False)
    assert without.counting is None
    assert bits(fit(tokens), tokens) < bits(without, tokens)
