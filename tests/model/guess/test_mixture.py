"""Shares of network, document and corpus in what comes next."""

from __future__ import annotations

import pytest

from dgemma_model.guess.mixture import Evidence, Mixture

MIXTURE = Mixture((-2.0, 0.0, 1.4, 0.0, -1.0, 1.0), (-1.0, 0.0, -1.5, 3.0, -2.0, 1.0))


def test_the_shares_sum_up_to_one_and_follow_the_evidence() -> None:
    weak, strong = MIXTURE(Evidence(1, 1, 0.5, 0.5)), MIXTURE(Evidence(16, 1, 0.5, 1.0))
    assert sum(weak) == pytest.approx(1)
    assert strong.copying > weak.copying
    assert MIXTURE(Evidence(0, 5, 0.1, 0.0)).counting > MIXTURE(Evidence(0, 1, 0.9, 0.0)).counting


def test_nothing_is_copied_where_nothing_matches_and_nothing_counted_without_counts() -> None:
    assert MIXTURE(Evidence(0, 3, 0.5, 0.0)).copying == 0
    assert Mixture()(Evidence(4, 0, 0.5, 1.0)).counting == 0
