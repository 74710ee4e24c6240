"""How far the document is trusted, on tokens whose origin is known."""

from __future__ import annotations

import random

import pytest

from dgemma_model.copying import LONGEST
from dgemma_model.train.shares import fit
from dgemma_model.writing import Comparison


def test_the_shares_from_which_tokens_were_drawn_are_found() -> None:
    rng = random.Random(0)
    true = {2: 0.3, 8: 0.9}
    # Three tokens may come: (encoder, copying) have these probabilities for each.
    table = [(0.05, 0.8), (0.4, 0.0), (0.55, 0.2)]
    drawn = []
    for length, share in true.items():
        mixed = [(1 - share) * encoder + share * copying for encoder, copying in table]
        drawn += [Comparison(length, *pair) for pair in rng.choices(table, mixed, k=8000)]
    shares = fit(drawn)
    assert len(shares) == LONGEST + 1
    assert shares[0] == 0
    for length, share in true.items():
        assert shares[length] == pytest.approx(share, abs=0.05)


def test_a_length_that_never_occurs_has_the_share_of_the_next_shorter_one() -> None:
    shares = fit([Comparison(3, 0.01, 0.9)] * 5000)
    assert shares[4:] == (shares[3],) * (LONGEST - 3)
    assert shares[3] > 0.9
