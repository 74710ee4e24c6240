"""What of other documents is of use at a place."""

from __future__ import annotations

import pytest

from dgemma_lsp.fill.context import BUDGET, Place, chunks, gathered, similar, within

pytestmark = pytest.mark.timeout(20)

HERE = "def total(basket):\n    price = basket.price_of(item)\n"
LIKE = "def price_of(basket, item):\n    return basket.prices[item]\n"
OTHER = "class Window:\n    canvas = None\n"


def place() -> Place:
    return Place.at(HERE, len(HERE))


def test_pieces_that_share_names_come_first_and_others_not_at_all() -> None:
    assert list(similar(place(), [OTHER, LIKE])) == [LIKE]
    half = "basket = load()\n"
    assert next(similar(place(), [half, LIKE])) == LIKE


def test_a_budget_is_kept_and_nothing_comes_twice() -> None:
    assert within(5, ["abc", "abc", "defg", "hi"]) == ("abc", "hi")
    many = [f"{LIKE}\n\n" * 400 + f"x = {number}\n" for number in range(5)]
    found = gathered(HERE, len(HERE), many)
    assert 0 < sum(map(len, found)) <= BUDGET


def test_pieces_put_together_are_the_text() -> None:
    text = f"{LIKE}\n\n{OTHER}\n\n" * 30
    assert "".join(piece for piece, _ in chunks(text)) == text
    assert max(len(piece) for piece, _ in chunks(text)) < 3000
    assert list(chunks("")) == []
