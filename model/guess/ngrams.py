"""How likely each token is next, by what was counted in the corpus that the checkpoint was trained on.

A small network remembers little of what it has read once. Counts remember all of it: which tokens followed the last
few, in how many packages. They are kept in a file next to the weights, as a table of contexts of one to five tokens,
and looked up by hash. This module knows tokens and counts, but no network and no text; `train.fit.ngrams` makes the
file.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

from dgemma_model.errors import ModelError

FILE = "ngrams.safetensors"
"""In a checkpoint's folder; made by ``python -m dgemma_model.train.fit.ngrams``."""

CONTEXT = 5
"""Tokens of the longest context."""

LEVELS: NDArray[numpy.float32] = numpy.exp(-numpy.arange(256, dtype=numpy.float32) / 20)
"""What the numbers 0 to 255 in the file stand for."""

_REMEMBERED = 4096  # contexts
_LONGEST_HEADER = 100_000  # bytes
FACTOR, MASK = 0x9E3779B1, 0xFFFFFFFF
_DTYPES: Mapping[str, type[numpy.generic]] = {
    "U8": numpy.uint8,
    "U16": numpy.uint16,
    "U32": numpy.uint32,
    "F32": numpy.float32,
}

Table = NDArray[numpy.float32]
"""Probabilities of every token of the vocabulary."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The contents of a file.

    Attributes:
        unigrams: probability of each token behind an unknown context.
        contexts: hashes of the known contexts, ascending.
        begins: where each context's followers begin; one more than there are contexts.
        lefts: the weight that a context leaves to its shorter context, see `LEVELS`.
        followers: tokens; those of a context ascend.
        weights: of each follower, see `LEVELS`.
    """

    unigrams: NDArray[numpy.float32]
    contexts: NDArray[numpy.uint32]
    begins: NDArray[numpy.uint32]
    lefts: NDArray[numpy.uint8]
    followers: NDArray[numpy.uint16]
    weights: NDArray[numpy.uint8]


class KnownContext(NamedTuple):
    """What follows a known context.

    Attributes:
        followers: tokens, ascending.
        weights: of each follower.
        left: weight of what the shorter context says.
    """

    followers: NDArray[numpy.uint16]
    weights: Table
    left: float


class Continuation:
    """What may come next, interpolated between all known contexts.

    Attributes:
        order: tokens of the longest known context.
    """

    def __init__(self, unigrams: Table, contexts: Sequence[KnownContext], order: int) -> None:
        """Take over the known contexts, the shortest first."""
        self._unigrams, self._contexts, self.order = unigrams, contexts, order

    def table(self) -> Table:
        """Compute the probabilities of all tokens."""
        table = self._unigrams.copy()
        for followers, weights, left in self._contexts:
            table *= left
            table[followers] += weights
        return table

    def of(self, token: int) -> float:
        """Compute the probability of one token."""
        probability = float(self._unigrams[token])
        for followers, weights, left in self._contexts:
            probability *= left
            at = int(followers.searchsorted(token))
            if at < len(followers) and followers[at] == token:
                probability += float(weights[at])
        return probability

    def among(self, wanted: NDArray[numpy.bool_]) -> float:
        """Compute the probability that the next token is one of ``wanted`` [vocabulary]."""
        probability = float(self._unigrams[wanted].sum())
        for followers, weights, left in self._contexts:
            probability = probability * left + float(weights[wanted[followers]].sum())
        return probability


class NGrams:
    """The table of a file, of which only what is asked for is read."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._remembered = functools.lru_cache(_REMEMBERED)(self._look_up)

    @classmethod
    def of_checkpoint(cls, folder: Path, vocabulary: int) -> NGrams | None:
        """Open the file in a checkpoint's folder; None if there is none.

        Raises:
            ModelError: the file cannot be read, or belongs to another vocabulary.
        """
        return cls.from_file(folder / FILE, vocabulary) if (folder / FILE).exists() else None

    @classmethod
    def from_file(cls, path: Path, vocabulary: int) -> NGrams:
        """Open a file; raises what `of_checkpoint` raises."""
        try:
            counts = Counts(**_map(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"The file {path} cannot be used: {error}.") from error
        if len(counts.unigrams) != vocabulary:
            raise ModelError(f"The file {path} belongs to another model: the vocabularies differ in size.")
        return cls(counts)

    def next(self, context: Sequence[int]) -> Continuation:
        """Look up what may follow ``context``, of which only the last tokens count."""
        return self._remembered(tuple(context[-CONTEXT:]))

    def _look_up(self, context: tuple[int, ...]) -> Continuation:
        counts = self._counts
        wanted = numpy.array(hashes(context), dtype=numpy.uint32)
        at = counts.contexts.searchsorted(wanted)
        known = [
            (i, n)
            for n, i in enumerate(at.tolist())
            if i < len(counts.contexts) and counts.contexts[i] == wanted[n]
        ]
        contexts = [self._context(place) for place, _ in known]
        return Continuation(counts.unigrams, contexts, known[-1][1] + 1 if known else 0)

    def _context(self, place: int) -> KnownContext:
        counts = self._counts
        begin, end = counts.begins[place : place + 2].tolist()
        left = float(LEVELS[counts.lefts[place]])
        return KnownContext(counts.followers[begin:end], LEVELS[counts.weights[begin:end]], left)


def hashes(context: Sequence[int]) -> list[int]:
    """Hash the last token, the last two, … up to all of them."""
    value, hashed = 0, list[int]()
    for token in reversed(context):
        value = (value + token + 1) * FACTOR & MASK
        value ^= value >> 15
        hashed.append(value)
    return hashed


def _map(path: Path) -> dict[str, Any]:
    """Map the arrays of a safetensors file without reading them (the library of that name reads all)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError("it is not in the format safetensors")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    data = numpy.asarray(numpy.memmap(path, mode="r", offset=8 + length))
    return {
        name: data[slice(*entry["data_offsets"])].view(_DTYPES[entry["dtype"]])
        for name, entry in header.items()
    }
