"""Copies, near copies, and copies of held-out code: files that would teach the same thing twice, or the answers."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable

import numpy
from numpy.typing import NDArray

from dgemma_model.train.data.filters import Drop
from dgemma_model.train.data.sources import Source

DUPLICATE_WINDOW, MAX_DUPLICATE_SHARE = 5, 0.70  # lines; share of a file's windows already seen
LEAK_WINDOW = (
    10  # lines of code in a row, comments left out, that a train file must not share with held-out code
)
SHINGLE, MAX_SIMILARITY = (
    5,
    0.7,
)  # words; share of the shingles of two files together that both have, estimated
BANDS, ROWS = (
    16,
    4,
)  # of a MinHash signature; files of that similarity meet in a band with a probability of 0.99

_FACTOR = numpy.uint64(0x9E3779B97F4A7C15)


def code_lines(text: str) -> list[str]:
    """Return the lines that can tell two files apart: stripped, and with at least one letter."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if any(map(str.isalpha, line))]


def line_windows(text: str, length: int, comments: bool = True) -> set[int]:
    """Hash each run of ``length`` code lines; a shorter file is a single run.

    The hashes are the interpreter's own, so they are valid in this process only.

    Args:
        text: the file.
        length: the lines of a run.
        comments: whether comments count as code; those of licences are the same everywhere.
    """
    lines = [line for line in code_lines(text) if comments or not line.startswith("#")]
    return {hash(tuple(lines[i : i + length])) for i in range(max(1, len(lines) - length + 1))}


def share_in(windows: set[int], seen: set[int]) -> float:
    """Return the share of the windows that are in ``seen``, from 0.0 to 1.0."""
    return len(windows & seen) / len(windows)


Signature = NDArray[numpy.uint64]
"""A file's numbers [BANDS × ROWS]; the share of equal numbers in two signatures estimates how similar the files are."""


def sign(text: str) -> Signature:
    """Compute the MinHash signature (Broder, 1997) of a text's shingles, which are made of words and signs."""
    words = [zlib.crc32(word.encode("utf-8", "replace")) for word in re.findall(r"\w+|[^\w\s]", text)]
    padded = numpy.array(words + [0] * max(0, SHINGLE - len(words)), dtype=numpy.uint64)
    shingles = numpy.zeros(len(padded) - SHINGLE + 1, dtype=numpy.uint64)
    for offset in range(SHINGLE):
        shingles = shingles * _FACTOR + padded[offset : offset + len(shingles)]
    factors = numpy.random.default_rng(0).integers(1, 2**63, BANDS * ROWS, dtype=numpy.uint64) | 1
    # Odd factors permute the numbers below 2 ** 64; only the upper half of a product depends on all of them.
    different = numpy.unique(shingles)
    signature: Signature = numpy.array(
        [((different ^ factor >> 7) * factor >> 32).min() for factor in factors], dtype=numpy.uint64
    )
    return signature


class SimilarFiles:
    """Finds files nearly the same as one seen before; only files that agree in a band are compared."""

    def __init__(self) -> None:
        self._bands: dict[tuple[int, bytes], list[Signature]] = {}

    def add(self, signature: Signature) -> None:
        """Remember a file."""
        for band in self._of(signature):
            self._bands.setdefault(band, []).append(signature)

    def has(self, signature: Signature) -> bool:
        """Tell whether a file like this one was added."""
        seen = (other for band in self._of(signature) for other in self._bands.get(band, ()))
        return any(numpy.mean(other == signature) > MAX_SIMILARITY for other in seen)

    def _of(self, signature: Signature) -> list[tuple[int, bytes]]:
        return [(band, row.tobytes()) for band, row in enumerate(signature.reshape(BANDS, ROWS))]


class Deduplicator:
    """Remembers the files that it let pass, and says of each new one whether it repeats them.

    Exact duplicates are equal apart from whitespace. Near duplicates are found in two ways. MinHash finds files that
    are similar as a whole. Windows of five lines are compared exactly: when most of a file's windows have been seen, in
    whatever files, it was stitched together from several others, or is part of a longer one.
    """

    def __init__(self, held_out: Iterable[Source] = (), minhash: bool = True) -> None:
        """Start with the held-out files only; without ``minhash`` nothing but the windows is compared."""
        self._texts: set[bytes] = set()
        self._windows: set[int] = set()
        self._similar = SimilarFiles() if minhash else None
        self._held_out_files = SimilarFiles()
        self._held_out: set[int] = set()
        for source in held_out:
            self._held_out |= line_windows(source.text, LEAK_WINDOW, comments=False)
            self._held_out_files.add(sign(source.text))

    def check(self, text: str) -> Drop | None:
        """Return the reason to drop a text; None when there is none, and then the text is remembered."""
        digest = hashlib.sha256(" ".join(text.split()).encode()).digest()
        if digest in self._texts:
            return Drop.DUPLICATE
        signature = sign(text)
        if self._held_out and self._leaks(text, signature):
            return Drop.LEAK
        windows = line_windows(text, DUPLICATE_WINDOW)
        similar = self._similar is not None and self._similar.has(signature)
        if similar or share_in(windows, self._windows) > MAX_DUPLICATE_SHARE:
            return Drop.NEAR_DUPLICATE
        self._texts.add(digest)
        self._windows |= windows
        if self._similar is not None:
            self._similar.add(signature)
        return None

    def _leaks(self, text: str, signature: Signature) -> bool:
        shared = not self._held_out.isdisjoint(line_windows(text, LEAK_WINDOW, comments=False))
        return shared or self._held_out_files.has(signature)
