"""Count what follows what in a corpus: ``python -m dgemma_model.train.fit.ngrams --out FOLDER/ngrams.safetensors``.

An n-gram counts once a file, and only where at least two packages have it: what one package says over and over tells
nothing of the next one. Discounted counts of contexts of one to `CONTEXT` tokens are interpolated (Ney, Essen and
Kneser, 1994, with one discount); then those n-grams go that change the likelihood of the corpus least (the weighted
difference of Seymore and Rosenfeld, 1996), until the file is as small as it is to be. Minutes, and some GB of memory.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray
from safetensors.numpy import save_file

from dgemma_model.guess.ngrams import CONTEXT, FACTOR, FILE, LEVELS, MASK, Counts
from dgemma_model.network.folder import BUNDLED, TOKENIZER
from dgemma_model.tokenizer import Tokenizer

MEGABYTES = 24.0

_PACKAGES = 2  # that an n-gram must occur in
_DISCOUNT = 0.7  # files
_UNSEEN = 0.1  # files that a token counts as at least
_BATCH = 256  # files that are tokenised at once
_BYTES_A_CONTEXT, _BYTES_A_FOLLOWER = 9, 3

Integers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A corpus as one row of tokens.

    Attributes:
        tokens: of all files, one after the other.
        files: number of each token's file, ascending.
        packages: number of each file's package.
    """

    tokens: Integers
    files: Integers
    packages: Integers


@dataclass(frozen=True, slots=True)
class Level:
    """The n-grams of one length that are kept.

    Attributes:
        contexts: tokens [n-grams, length - 1] before each one's last, the nearest first.
        followers: the last token of each.
        weights: discounted share of its context's files.
        probabilities: interpolated with all shorter contexts.
        gains: nats that the corpus would lose without it, shorter contexts still there.
    """

    contexts: Integers
    followers: Integers
    weights: Integers
    probabilities: Integers
    gains: Integers


def read(corpus: Path, tokenizer: Tokenizer, without: Container[str] = ()) -> Text:
    """The tokens of a corpus file, some packages left out."""
    numbers: dict[str, int] = {}
    packages, parts = list[int](), list[Integers]()
    for package, tokens in _tokenised(corpus, tokenizer, without):
        packages.append(numbers.setdefault(package, len(numbers)))
        parts.append(tokens)
        if len(parts) % 4096 == 0:
            print(f"{len(parts)} files read", file=sys.stderr, flush=True)
    files = numpy.repeat(numpy.arange(len(parts), dtype=numpy.int32), [len(part) for part in parts])
    return Text(numpy.concatenate(parts), files, numpy.array(packages, dtype=numpy.int32))


def _tokenised(corpus: Path, tokenizer: Tokenizer, without: Container[str]) -> Iterator[tuple[str, Integers]]:
    waiting: list[tuple[str, str]] = []
    with corpus.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["package"] not in without:
                waiting.append((entry["package"], entry["text"]))
            if len(waiting) == _BATCH:
                yield from _tokenise(waiting, tokenizer)
                waiting.clear()
    yield from _tokenise(waiting, tokenizer)


def _tokenise(entries: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> Iterator[tuple[str, Integers]]:
    encoded = tokenizer.encode_all([text for _, text in entries])
    for (package, _), tokens in zip(entries, encoded, strict=True):
        yield package, numpy.array(tokens, dtype=numpy.uint16)


def count(text: Text, vocabulary: int, megabytes: float, longest: int = CONTEXT) -> Counts:
    """The table of a corpus, in at most about ``megabytes``."""
    unigrams = _unigrams(text, vocabulary)
    levels = list(_levels(text, unigrams, vocabulary, longest))
    least = _least_gain(levels, megabytes)
    return pack(unigrams, [_keep(level, level.gains > least) for level in levels])


def _unigrams(text: Text, vocabulary: int) -> Integers:
    files = numpy.maximum(_distinct(text.tokens.astype(numpy.int64), text.files, vocabulary), _UNSEEN)
    shares: Integers = (files / files.sum()).astype(numpy.float32)
    return shares


def _levels(text: Text, unigrams: Integers, vocabulary: int, longest: int) -> Iterator[Level]:
    """N-grams of two tokens, of three, …; one is counted only if it is kept without its first and its last token."""
    tokens, files, total = text.tokens, text.files, len(text.tokens)
    known = tokens.astype(numpy.int32)  # which n-gram, one shorter, ends at a token
    likely = unigrams.astype(numpy.float64)
    ends = _extensible(files, numpy.ones(total, dtype=bool))
    for length in range(2, longest + 2):
        keys = known[ends - 1].astype(numpy.int64) * vocabulary + tokens[ends]
        grams, which = _rank(keys)
        of_files = _distinct(which, files[ends], len(grams))
        of_packages = _distinct(which, text.packages[files[ends]], len(grams))
        kept = numpy.flatnonzero(of_packages >= _PACKAGES)
        places = numpy.empty(len(grams), dtype=numpy.int64)
        places[which] = ends  # any place where it stands will do
        places = places[kept]
        contexts = grams // vocabulary
        weights = ((of_files - _DISCOUNT) / numpy.bincount(contexts, of_files)[contexts])[kept]
        left = 1 - numpy.bincount(contexts[kept], weights, contexts[-1] + 1)[contexts[kept]]
        shorter = left * likely[known[places]]
        gains = of_files[kept] * (numpy.log(weights + shorter) - numpy.log(shorter))
        likely = weights + shorter
        rows = numpy.stack([tokens[places - back] for back in range(1, length)], 1)
        print(f"{len(kept)} of {len(grams)} n-grams of {length} tokens", file=sys.stderr, flush=True)
        yield Level(rows, tokens[places], weights, likely, gains)
        numbers = numpy.full(len(grams), -1, dtype=numpy.int32)
        numbers[kept] = numpy.arange(len(kept))
        known = numpy.full(total, -1, dtype=numpy.int32)
        known[ends] = numbers[which]
        ends = _extensible(files, known >= 0)


def _extensible(files: Integers, known: Integers) -> Integers:
    """The places where a known n-gram ends and one has ended a token before, in the same file."""
    ends: Integers = numpy.flatnonzero(known[1:] & known[:-1] & (files[1:] == files[:-1])) + 1
    return ends


def _rank(keys: Integers) -> tuple[Integers, Integers]:
    """The different keys, ascending, and which of them each one is."""
    order = keys.argsort()
    ordered = keys[order]
    new = numpy.append(True, ordered[1:] != ordered[:-1])
    which = numpy.empty(len(keys), dtype=numpy.int64)
    which[order] = new.cumsum() - 1
    return ordered[new], which


def _distinct(which: Integers, groups: Integers, count: int) -> Integers:
    """In how many different groups each of ``count`` things is."""
    many = int(groups.max(initial=0)) + 1
    keys = which * many + groups
    keys.sort()
    new = numpy.append(True, keys[1:] != keys[:-1])[: len(keys)]
    return numpy.bincount(keys[new] // many, minlength=count)


def _least_gain(levels: Sequence[Level], megabytes: float) -> float:
    """What an n-gram must gain so that those which do fit into ``megabytes``."""
    gains = numpy.sort(numpy.concatenate([level.gains for level in levels]))
    low, high = 0, len(gains) - 1
    if _megabytes(levels, -numpy.inf) <= megabytes:
        return -numpy.inf
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _megabytes(levels, gains[middle]) <= megabytes else (middle + 1, high)
    return float(gains[low])


def _megabytes(levels: Sequence[Level], least: float) -> float:
    size = 0
    for level in levels:
        kept = level.gains > least
        contexts = numpy.unique(_hash(level.contexts[kept]))
        size += len(contexts) * _BYTES_A_CONTEXT + int(kept.sum()) * _BYTES_A_FOLLOWER
    return size / 1e6


def _keep(level: Level, kept: Integers) -> Level:
    return Level(*(getattr(level, field.name)[kept] for field in fields(level)))


def pack(unigrams: Integers, levels: Iterable[Level]) -> Counts:
    """The table of n-grams; contexts of equal hashes, hardly any, become one."""
    rows = [(_hash(level.contexts), level.followers, level.weights) for level in levels]
    contexts, followers, weights = (numpy.concatenate(parts) for parts in zip(*rows, strict=True))
    order = contexts.argsort(kind="stable")
    contexts, levels_ = contexts[order], _levels_of(weights[order])
    begins = numpy.flatnonzero(numpy.append(True, contexts[1:] != contexts[:-1]))
    return Counts(
        unigrams.astype(numpy.float32),
        contexts[begins],
        numpy.append(begins, len(contexts)).astype(numpy.uint32),
        _levels_of(1 - numpy.add.reduceat(LEVELS[levels_], begins)),
        followers[order].astype(numpy.uint16),
        levels_,
    )


def _levels_of(values: Integers) -> NDArray[numpy.uint8]:
    """The nearest of `LEVELS` to each value; the last one for nothing or less."""
    logarithms = numpy.log(numpy.maximum(values, LEVELS[-1]))
    levels: NDArray[numpy.uint8] = (
        numpy.round(logarithms / numpy.log(LEVELS[1])).clip(0, 255).astype(numpy.uint8)
    )
    return levels


def _hash(contexts: Integers) -> Integers:
    """See `ngrams.hashes`; of contexts [n-grams, tokens], the nearest token first."""
    values = numpy.zeros(len(contexts), dtype=numpy.uint64)
    for column in contexts.T:
        values = (values + column.astype(numpy.uint64) + 1) * numpy.uint64(FACTOR) & numpy.uint64(MASK)
        values ^= values >> numpy.uint64(15)
    return values.astype(numpy.uint32)


def store(counts: Counts, path: Path) -> None:
    """Write the file."""
    arrays = {field.name: numpy.ascontiguousarray(getattr(counts, field.name)) for field in fields(counts)}
    save_file(arrays, path)


def make(
    corpus: Path,
    tokenizer: Path,
    out: Path,
    megabytes: float = MEGABYTES,
    without: Container[str] = (),
) -> None:
    """Count a corpus, some packages left out, and write the file."""
    words = Tokenizer.from_file(tokenizer)
    text = read(corpus, words, without)
    print(f"{len(text.tokens)} tokens of {len(text.packages)} files", file=sys.stderr, flush=True)
    store(count(text, words.vocab_size, megabytes), out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.fit.ngrams", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus/train.jsonl"))
    parser.add_argument("--tokenizer", type=Path, default=BUNDLED / TOKENIZER)
    parser.add_argument("--megabytes", type=float, default=MEGABYTES)
    parser.add_argument("--out", type=Path, default=BUNDLED / FILE)
    arguments = parser.parse_args(argv)
    make(arguments.corpus, arguments.tokenizer, arguments.out, arguments.megabytes)


if __name__ == "__main__":
    main()
