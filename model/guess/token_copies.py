"""How likely each token is next, by what followed at other places of the document that read the same.

A small network learns slowly to copy, and most of what a programmer writes stands elsewhere in the file. So the
encoder's probabilities are mixed with those of a copying model: wherever the last tokens occurred before, their
successor may follow again, and the longer the match, the likelier it is (a cache model with unbounded context: Kuhn and
De Mori, 1990; for code Hellendoorn and Devanbu, 2017). This module knows tokens and counts, but no network and no text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

Integers = NDArray[numpy.int64]

Packed = NDArray[numpy.integer[Any]]
"""Tokens in few bytes: numpy compares and sorts 16 bits many times as fast as 64."""

LONGEST = 16
"""Tokens of a match; a longer match counts as this long."""

_BREAK = -1  # between the parts of a document: matches nothing and is never copied
_SHARPNESS = 1.0  # nats that one more matching token adds to the weight of a place


@dataclass(frozen=True, slots=True)
class Copy:
    """What may be copied next.

    Attributes:
        tokens: different ones, ascending; none if nothing matches.
        weights: of each token; they sum up to 1.
        length: tokens of the longest match.
    """

    tokens: Packed
    weights: NDArray[numpy.float64]
    length: int

    def weight(self, token: int) -> float:
        """Look up the weight of a token; 0 if it is not among them."""
        at = int(numpy.searchsorted(self.tokens, token))
        return float(self.weights[at]) if at < len(self.tokens) and self.tokens[at] == token else 0.0


def packed(tokens: Sequence[int]) -> Packed:
    """Pack tokens into 16 bits each if they fit, as those of our vocabularies do."""
    fit = max(tokens, default=0) <= numpy.iinfo(numpy.int16).max
    return numpy.array(tokens, dtype=numpy.int16 if fit else numpy.int64)


class Document:
    """The tokens of a document, with an index of their places."""

    def __init__(self, parts: Iterable[Packed]) -> None:
        """Join `packed` parts; no match reaches from one part into the next."""
        end = packed([_BREAK])
        self.tokens: Packed = numpy.concatenate([end, *(piece for part in parts for piece in (part, end))])
        self._places = dict[int, Integers]()

    def places(self, token: int) -> Integers:
        """List the places of a token, ascending."""
        # Few different tokens are asked for: finding each takes less time than sorting all of them.
        if token not in self._places:
            self._places[token] = numpy.flatnonzero(self.tokens == token)
        return self._places[token]


@dataclass(frozen=True, slots=True)
class Copier:
    """The places of a document that read like the end of a text.

    Attributes:
        document: is searched.
        ends: the places of the text's last token, ascending.
        lengths: how many tokens up to each place are those of the text's end.
    """

    document: Document
    ends: Integers
    lengths: Integers

    @classmethod
    def behind(cls, document: Document, context: Sequence[int]) -> Copier:
        """Find the places for a text that ends with ``context``."""
        nothing = numpy.empty(0, dtype=numpy.int64)
        copier = cls(document, nothing, nothing)
        for token in context[-LONGEST:]:
            copier = copier.then(token)
        return copier

    def then(self, token: int) -> Copier:
        """Find the places for the text with one more token at its end."""
        ends = self.document.places(token)
        lengths = numpy.ones(len(ends), dtype=numpy.int64)
        if len(self.ends):
            at = numpy.minimum(numpy.searchsorted(self.ends, ends - 1), len(self.ends) - 1)
            lengths += numpy.where(self.ends[at] == ends - 1, self.lengths[at], 0)
        return Copier(self.document, ends, numpy.minimum(lengths, LONGEST))

    def next(self) -> Copy:
        """Say what may follow the text."""
        followers = self.document.tokens[self.ends + 1]
        there = followers != _BREAK
        followers, lengths = followers[there], self.lengths[there]
        longest = int(lengths.max(initial=0))
        tokens, which = numpy.unique(followers, return_inverse=True)
        sums = numpy.bincount(which, numpy.exp(_SHARPNESS * (lengths - longest)), len(tokens))
        return Copy(tokens, sums / max(sums.sum(), 1e-9), longest)
