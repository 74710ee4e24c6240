"""Text to token ids and back, for a grown checkpoint: the tokenizer of the network that it was grown from.

Text never turns into special tokens, whatever it contains. Unlike `tokenizer`, this module expects no special tokens of
its own: a layout asks for those that it needs by their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import tokenizers

from dgemma_model.errors import ModelError
from dgemma_model.spelling import BYTE_OF_CHAR, Spelling


class BaseTokenizer:
    """Byte-level BPE. Immutable.

    Attributes:
        spelling: of its tokens; special ones, and ids that nothing was assigned to, stand for no text.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, size: int) -> None:
        """Take over a tokenizer.

        Args:
            tokenizer: it is changed so that it reads the names of special tokens as text.
            size: how many tokens the network has.

        Raises:
            ModelError: it has tokens that are not spelled in bytes, or more than the network.
        """
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self.spelling = Spelling(_tokens(tokenizer, size))

    @classmethod
    def from_file(cls, path: Path, size: int) -> BaseTokenizer:
        """Load a tokenizer.json; see the constructor.

        Raises:
            ModelError: it cannot be read, or does not fit the network.
        """
        try:
            loaded = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        except Exception as error:  # the library raises plain Exception for a bad file
            raise ModelError(f"The tokenizer {path} cannot be loaded ({error}).") from error
        return cls(loaded, size)

    def encode(self, text: str) -> list[int]:
        """The ids of the text; raises UnicodeEncodeError for a lone surrogate."""
        text.encode()  # the library would raise an unspecific TypeError
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, with U+FFFD where they break off inside a character."""
        return self.spelling.spell(ids).decode("utf-8", errors="replace")

    def special(self, name: str) -> int | None:
        """The id of a special token; None if there is none of that name."""
        token: int | None = self._tokenizer.token_to_id(name)
        return token


def _tokens(tokenizer: tokenizers.Tokenizer, size: int) -> list[bytes]:
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    found = [b""] * size
    for token, number in tokenizer.get_vocab(with_added_tokens=True).items():
        if number >= size:
            raise ModelError(f"The tokenizer has a token {number}, and the network only {size} tokens.")
        if number not in special:
            found[number] = _bytes(token)
    return found


def _bytes(token: str) -> bytes:
    try:
        return bytes(BYTE_OF_CHAR[char] for char in token)
    except KeyError:
        raise ModelError(f"The tokenizer's token {token!r} is not byte-level.") from None
