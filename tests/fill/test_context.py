"""What of other documents is of use at a place."""

from __future__ import annotations

import pytest

from dgemma_lsp.fill.context import BUDGET, Context, Piece, cut, names_around, similar, within

pytestmark = pytest.mark.timeout(20)

HERE = "def total(basket):\n    price = basket.price_of(item)\n"
LIKE = "def price_of(basket, item):\n    return basket.prices[item]\n"
OTHER = "class Window:\n    canvas = None\n"


NAMES = names_around(HERE, len(HERE))


def pieces(*texts: str) -> list[Piece]:
    return [piece for text in texts for piece in cut(text)]


def test_pieces_that_share_names_come_first_and_others_not_at_all() -> None:
    assert list(similar(NAMES, pieces(OTHER, LIKE))) == [LIKE]
    half = "basket = load()\n"
    assert next(similar(NAMES, pieces(half, LIKE))) == LIKE


def test_a_budget_is_kept_and_nothing_comes_twice() -> None:
    assert within(5, ["abc", "abc", "defg", "hi"]) == ("abc", "hi")
    many = [f"{LIKE}\n\n" * 400 + f"x = {number}\n" for number in range(5)]
    found = Context().gather(HERE, len(HERE), many)
    assert 0 < sum(map(len, found)) <= BUDGET


def test_pieces_put_together_are_the_text() -> None:
    text = f"{LIKE}\n\n{OTHER}\n\n" * 30
    assert "".join(piece.text for piece in cut(text)) == text
    assert max(len(piece.text) for piece in cut(text)) < 3000
    assert list(cut("")) == []


def test_a_document_that_does_not_come_again_is_forgotten() -> None:
    context, secret = Context(), "basket = load('secret')\n"
    assert context.gather(HERE, len(HERE), [secret, LIKE]) == (LIKE, secret)
    assert "secret" in repr(vars(context))
    assert context.gather(HERE, len(HERE), [LIKE]) == (LIKE,)
    assert "secret" not in repr(vars(context))
