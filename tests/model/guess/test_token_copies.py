"""What a document suggests next, against looking at every place of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.guess.token_copies import LONGEST, Copier, Document, packed

TOKENS = st.lists(st.integers(0, 4), max_size=40)


def slowly(parts: list[list[int]], text: list[int]) -> tuple[dict[int, float], int]:
    """Weights of what follows wherever an end of ``text`` stands, and the longest such end."""
    found: list[tuple[int, int]] = []
    for part in parts:
        for index in range(1, len(part)):
            length = 0
            while length < min(index, len(text), LONGEST) and part[index - 1 - length] == text[-1 - length]:
                length += 1
            if length:
                found.append((part[index], length))
    longest = max((length for _, length in found), default=0)
    weights: dict[int, float] = {}
    for token, length in found:
        weights[token] = weights.get(token, 0.0) + math.exp(length - longest)
    total = sum(weights.values())
    return {token: weight / total for token, weight in weights.items()}, longest


@given(st.lists(TOKENS, max_size=3), TOKENS, TOKENS)
def test_what_may_follow_is_what_followed_before(
    parts: list[list[int]], context: list[int], typed: list[int]
) -> None:
    copier = Copier.behind(Document(map(packed, parts)), context)
    for token in typed:
        copier = copier.then(token)
    text = [*context[-LONGEST:], *typed]
    copy, (weights, longest) = copier.next(), slowly(parts, text)
    assert copy.length == longest
    assert dict(zip(copy.tokens.tolist(), copy.weights.tolist(), strict=True)) == pytest.approx(weights)


def test_nothing_is_copied_across_the_break_between_two_parts() -> None:
    copy = Copier.behind(Document([packed([1, 2]), packed([3, 4])]), [2]).next()
    assert copy.length == 0
    assert not len(copy.tokens)


def test_the_longer_match_counts_more() -> None:
    copy = Copier.behind(Document([packed([1, 2, 3, 9, 5, 6, 3, 8])]), [1, 2, 3]).next()
    assert copy.tokens[copy.weights.argmax()] == 9


def test_the_weight_of_one_token_is_found_among_the_others() -> None:
    copy = Copier.behind(Document([packed([1, 7, 1, 3, 1, 7])]), [1]).next()
    assert [copy.weight(token) for token in (3, 7)] == pytest.approx(copy.weights.tolist())
    assert copy.weight(5) == copy.weight(99) == 0
