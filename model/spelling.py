"""How the tokens of a byte-level vocabulary are spelled, in bytes."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence


class Spelling:
    """The bytes of each token. Immutable.

    Args:
        tokens: the bytes by id; none for a token that stands for no text.
    """

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self.tokens = tuple(tokens)
        self._whole = {data: i for i, data in enumerate(tokens) if data}
        self._ordered = sorted(self._whole.values(), key=self.tokens.__getitem__)

    def covering(self, data: bytes) -> list[int]:
        """The tokens with which a text may begin that begins with ``data``: they go on behind it, or end inside."""
        begin = bisect_left(self._ordered, data, key=self.tokens.__getitem__)
        longer = itertools.takewhile(lambda i: self.tokens[i].startswith(data), self._ordered[begin:])
        shorter = (self._whole.get(data[:length]) for length in range(1, len(data)))
        return [*longer, *(i for i in shorter if i is not None)]

    def spell(self, ids: Iterable[int]) -> bytes:
        """The bytes of some tokens."""
        return b"".join(self.tokens[i] for i in ids)


def byte_alphabet() -> list[str]:
    """The character that stands for each byte 0..255 in a byte-level vocabulary (GPT-2's mapping)."""
    printable = {byte for first, last in ("!~", "¡¬", "®ÿ") for byte in range(ord(first), ord(last) + 1)}
    substitutes = iter(range(256, 512))
    return [chr(byte if byte in printable else next(substitutes)) for byte in range(256)]


BYTE_OF_CHAR: Mapping[str, int] = {char: byte for byte, char in enumerate(byte_alphabet())}
