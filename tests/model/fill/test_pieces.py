"""Tokens of long texts from memory."""

from __future__ import annotations

import pytest

from dgemma_model.fill.pieces import Pieces
from tests.model.tiny import tokenizer

LINES = "".join(f"value_{n} = compute({n}, other)\n" for n in range(120))


@pytest.mark.parametrize("cut", [0, 1, 40, 1001, 2003, 2999])
def test_the_tokens_of_a_long_text_are_those_of_its_statements(cut: int) -> None:
    own, text = tokenizer(), (LINES + "def f():\n    pass\n\n\n")[: cut or None]
    pieces, statements = Pieces(own), text.splitlines(keepends=True)
    for _ in range(2):  # the second time from memory
        assert own.decode(pieces.long(text).tolist()) == text
        if text.startswith("value") and "def" not in text:
            assert pieces.long(text).tolist() == [token for line in statements for token in own.encode(line)]
