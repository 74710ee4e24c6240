"""Text to token ids and back, for the bundled checkpoint.

A thin wrapper around the ``tokenizers`` package that adds three promises: text never turns into special
tokens, whatever it contains; nothing is lost, so ``decode(encode(text)) == text``; and a sequence of tokens
that is no text is an error, not a replacement character.

This module knows nothing of prompts, canvases or files other than ``tokenizer.json``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers

from dgemma_model.errors import ModelError
from dgemma_model.spelling import BYTE_OF_CHAR, Spelling

PAD, END, BOS, DRAFT, WRITE = (
    "<pad>",
    "<end>",
    "<bos>",
    "<unused0>",
    "<unused1>",
)  # the names; the ids come from the file

_LINES = re.compile(r"(?<![\r\n])(?=\r?\n)")
"""Where no token reaches across: the pre-tokenizer keeps line ends and the indentation behind them together."""
_REMEMBERED = 1 << 14
"""Lines whose tokens are remembered: from keystroke to keystroke a text changes in one line."""


class TokenizerFileError(ModelError):
    """The file cannot be read, or is no tokenizer of ours."""


class UndecodableTokens(ValueError):
    """The tokens stand for no text: broken UTF-8, a special token, or an id outside the vocabulary."""


class Tokenizer:
    """Byte-level BPE. Immutable; may be shared by threads."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        """Take over the tokenizer; raises TokenizerFileError when it lacks the special tokens."""
        tokenizer.encode_special_tokens = True  # "<end>" in a document is five characters, not the end
        self._tokenizer = tokenizer
        self._line = functools.lru_cache(_REMEMBERED)(self._encode_line)
        added = tokenizer.get_added_tokens_decoder()
        self.special_ids: frozenset[int] = frozenset(i for i, token in added.items() if token.special)
        self.vocab_size: int = tokenizer.get_vocab_size(with_added_tokens=True)
        self.pad_id: int = self._special_id(PAD)
        self.end_id: int = self._special_id(END)
        self.bos_id: int = self._special_id(BOS)
        self.draft_id: int = self._special_id(DRAFT)  # fills a canvas behind a draft, and so marks it as one
        self.write_id: int = self._special_id(WRITE)  # tells the encoder that the region begins
        self._bytes = [self._bytes_of(i) for i in range(self.vocab_size)]
        self._spelling = Spelling(self._bytes)

    @classmethod
    def from_file(cls, path: str | Path) -> Tokenizer:
        """Load a tokenizer.json; raises TokenizerFileError."""
        try:
            text = Path(path).read_text(encoding="utf-8")
            return cls(tokenizers.Tokenizer.from_str(text))
        except TokenizerFileError as error:
            raise TokenizerFileError(f"{path}: {error}") from None
        except Exception as error:  # the library raises plain Exception for a bad file
            raise TokenizerFileError(f"cannot load the tokenizer {path}: {error}") from error

    def encode(self, text: str) -> list[int]:
        """The ids of the text, none of them special; raises UnicodeEncodeError for a lone surrogate."""
        return [token for line in _LINES.split(text) for token in self._line(line)]

    def _encode_line(self, text: str) -> tuple[int, ...]:
        text.encode()  # the library would raise an unspecific TypeError
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, on all cores; raises UnicodeEncodeError for a lone surrogate."""
        for text in texts:
            text.encode()
        return [each.ids for each in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, exactly; raises UndecodableTokens."""
        ids = list(ids)
        bad = [i for i in ids if i in self.special_ids or not 0 <= i < self.vocab_size]
        if bad:
            raise UndecodableTokens(f"no text for token {bad[0]}")
        try:
            return b"".join(self._bytes[i] for i in ids).decode("utf-8")
        except UnicodeDecodeError as error:
            raise UndecodableTokens(f"not UTF-8: {error.reason} at byte {error.start}") from error

    def decode_lossy(self, ids: Iterable[int]) -> str:
        """The text of the ids for display: U+FFFD for broken UTF-8, nothing for special tokens."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token, none for a special token; raises UndecodableTokens for an unknown id."""
        if not 0 <= token_id < self.vocab_size:
            raise UndecodableTokens(f"no token {token_id} in a vocabulary of {self.vocab_size}")
        return self._bytes[token_id]

    def covering(self, data: bytes) -> list[int]:
        """The tokens with which a text may begin that begins with ``data``: they go on behind it, or end inside."""
        return self._spelling.covering(data)

    def _special_id(self, name: str) -> int:
        token_id: int | None = self._tokenizer.token_to_id(name)
        if token_id is None or token_id not in self.special_ids:
            raise TokenizerFileError(f"the vocabulary has no special token {name}")
        return token_id

    def _bytes_of(self, token_id: int) -> bytes:
        if token_id in self.special_ids:
            return b""
        token = self._tokenizer.id_to_token(token_id)
        try:
            return bytes(BYTE_OF_CHAR[char] for char in token or " ")  # a gap in the ids is no byte either
        except KeyError:
            raise TokenizerFileError(f"token {token_id} ({token!r}) is not byte-level") from None
