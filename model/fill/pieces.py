"""Tokens of long texts, most of which come from memory: from key to key a document changes in one statement."""

from __future__ import annotations

import functools
import re

import numpy

from dgemma_model.guess.token_copies import Packed, packed
from dgemma_model.tokenizer import Tokenizer

_PIECES = 4096
_TEXTS = 16
_TOP_LEVEL = re.compile(r"(?<=\n)(?=\S)")  # where a statement begins that is not indented


class Pieces:
    """Encodes texts, and remembers the pieces that it has encoded."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._piece = functools.lru_cache(_PIECES)(self._encode)
        self._statements = functools.lru_cache(_TEXTS)(self._encode_statements)

    def short(self, text: str) -> tuple[int, ...]:
        """Encode a short text, which is remembered as a whole."""
        return self._piece(text)

    def long(self, text: str) -> Packed:
        """Encode a long text. All but its last statement, where somebody may type, is remembered as a whole."""
        end = text.rfind("\n")
        while end >= 0 and text[end + 1 : end + 2].strip() == "":
            end = text.rfind("\n", 0, end)
        return numpy.concatenate([self._statements(text[: end + 1]), packed(self._piece(text[end + 1 :]))])

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text))

    def _encode_statements(self, text: str) -> Packed:
        return packed([token for piece in _TOP_LEVEL.split(text) for token in self._piece(piece)])
