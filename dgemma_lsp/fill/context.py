"""What else the model should see: pieces of other open documents that are like the place it fills.

Of all that was tried, only this helps (see bench/results/context.md). Where names are defined, and what was edited
last, tells a model that copies little nothing that pieces with the same names do not tell it. The caller leaves out
excluded documents, and puts those that were edited last first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

BUDGET = 12_000
"""How many characters of other documents go with a request: about 3,000 tokens."""

NEAR = 1_200
"""How many characters before the cursor tell what is being written. Behind it, half as many do."""

_PIECE = 1_200
_LONGEST_DOCUMENT = 200_000
_NAME = re.compile(r"[^\W\d]\w{2,}")
_BLANK_LINES = re.compile(r"\n\s*\n")

Names = frozenset[str]
"""The names in a piece of code: they say best what it is about."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a document, and the names in it."""

    text: str
    names: Names


class Context:
    """Finds pieces of other documents.

    It keeps the pieces of the documents that it was asked about last, because most of them will come again. Documents
    that do not come again, such as closed ones, are forgotten with the next request.
    """

    def __init__(self) -> None:
        self._pieces: dict[str, tuple[Piece, ...]] = {}

    def gather(self, text: str, cursor: int, others: Sequence[str]) -> tuple[str, ...]:
        """Return what may be of use at a cursor: pieces of other documents' texts, the most similar first."""
        known = self._pieces
        self._pieces = {other: known[other] if other in known else cut(other) for other in others}
        pieces = (piece for other in others for piece in self._pieces[other])
        return within(BUDGET, similar(names_around(text, cursor), pieces))


def names_around(text: str, cursor: int) -> Names:
    """Return the names near a cursor."""
    return _names(text[max(0, cursor - NEAR) : cursor + NEAR // 2])


def similar(names: Names, pieces: Iterable[Piece]) -> Iterator[str]:
    """Return the texts of the pieces that share names with a place, the most similar first."""
    rated = [(_similarity(names, piece.names), piece.text) for piece in pieces]
    rated.sort(key=_similarity_of, reverse=True)
    return (text for similarity, text in rated if similarity)


def within(budget: int, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the first texts that fit into a number of characters, each of them once."""
    chosen: dict[str, None] = {}
    for text in texts:
        if len(text) <= budget and text not in chosen:
            chosen[text] = None
            budget -= len(text)
    return tuple(chosen)


def cut(text: str) -> tuple[Piece, ...]:
    """Return a text cut at empty lines into pieces of about the same length."""
    pieces, start, end = [], 0, 0
    for blank in [*_BLANK_LINES.finditer(text[:_LONGEST_DOCUMENT]), None]:
        stop = blank.end() if blank else len(text[:_LONGEST_DOCUMENT])
        if stop - start > _PIECE and end > start:
            pieces.append(text[start:end])
            start = end
        end = stop
    pieces.append(text[start:end])
    return tuple(Piece(piece, _names(piece)) for piece in pieces if piece.strip())


def _similarity(first: Names, second: Names) -> float:
    """Return the share of names that are in both: 0..1."""
    shared = len(first & second)
    return shared / len(first | second) if shared else 0.0


def _similarity_of(rated: tuple[float, str]) -> float:
    return rated[0]


def _names(text: str) -> Names:
    return frozenset(_NAME.findall(text))
