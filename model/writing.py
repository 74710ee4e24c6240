"""Guesses at a region that the encoder writes and judges, before and after something is denoised.

The encoder reads the text behind a region first and the text before it last; a mark then tells it that the region
begins, and it was trained to go on up to the region's end. So it can write the region token by token, and it can say
of any text how likely it is there. What it says is mixed with what the document suggests (`copying`), and kept to what
is known: the first characters of the region, and whether it ends with the line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgemma_model.copying import LONGEST, Copier
from dgemma_model.errors import Cancelled
from dgemma_model.runner import Prompt, Runner
from dgemma_model.tokenizer import Tokenizer

Probabilities = NDArray[numpy.float32]
"""Of every token of the vocabulary."""

Shares = tuple[float, ...]
"""What share the copying model has in the mixture, for a longest match of 0, 1, … `LONGEST` tokens."""

# Fitted by `train.shares` to the bundled checkpoint.
SHARES: Shares = (
    0.0,
    0.15,
    0.28,
    0.38,
    0.42,
    0.53,
    0.56,
    0.64,
    0.67,
    0.7,
    0.7,
    0.71,
    0.74,
    0.74,
    0.74,
    0.85,
    0.9,
)

_IMPOSSIBLE = 1e-30


@dataclass(frozen=True, slots=True)
class Opening:
    """A region's beginning.

    Attributes:
        at: position of the mark, see `Layout.writing_position`.
        copier: behind the text before the region.
        begun: the first bytes of the region, which are known.
        single_line: whether the region ends where its first line ends.
    """

    at: int
    copier: Copier
    begun: bytes
    single_line: bool

    def then(self, token: int, text: bytes) -> Opening:
        """What is known once the next token, which stands for ``text``, has been written."""
        return replace(self, copier=self.copier.then(token), begun=self.begun[len(text) :])


class Comparison(NamedTuple):
    """A token's probabilities by the encoder and by copying, and the length of the longest match behind the latter."""

    length: int
    encoder: float
    copying: float


class Tree:
    """Texts that begin alike, each token once.

    Attributes:
        tokens: of the nodes; the root is the first.
        parents: of the nodes, which stand before them; -1 for the root.
        depths: of the nodes.
    """

    def __init__(self, root: int) -> None:
        self.tokens, self.parents, self.depths = [root], [-1], [0]
        self._children: dict[tuple[int, int], int] = {}

    @property
    def edges(self) -> Iterator[tuple[int, int]]:
        """Token and parent of each node but the root."""
        return zip(self.tokens[1:], self.parents[1:], strict=True)

    def add(self, text: Sequence[int]) -> list[int]:
        """The nodes of a text, the root first."""
        path = [0]
        for token in text:
            if (path[-1], token) not in self._children:
                self._children[path[-1], token] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(path[-1])
                self.depths.append(len(path))
            path.append(self._children[path[-1], token])
        return path


class Writer:
    """The encoder as an author and as a judge."""

    def __init__(self, runner: Runner, tokenizer: Tokenizer, shares: Shares = SHARES) -> None:
        assert len(shares) == LONGEST + 1
        self._runner, self._tokenizer, self._shares = runner, tokenizer, shares
        self._newlines = [i for i in range(tokenizer.vocab_size) if b"\n" in tokenizer.token_bytes(i)]
        self._newline = frozenset(self._newlines)
        self._never = sorted(tokenizer.special_ids - {tokenizer.end_id})

    def write(self, prompt: Prompt, opening: Opening, limit: int, cancelled: Callable[[], bool]) -> list[int]:
        """The likeliest token after the other, until the end (which is left out) or ``limit`` tokens.

        Raises:
            Cancelled: ``cancelled``, asked before every token, answered True.
        """
        length = prompt.length
        try:
            return self._written(prompt, opening, limit, cancelled)
        finally:
            prompt.truncate(length)

    def _written(
        self, prompt: Prompt, known: Opening, limit: int, cancelled: Callable[[], bool]
    ) -> list[int]:
        written, last = list[int](), self._tokenizer.write_id
        while True:
            if cancelled():
                raise Cancelled
            at = torch.tensor([known.at + len(written)])
            (table,) = self._tables(self._runner.extend(prompt, torch.tensor([last]), at)[0])
            last = int(self._mixed(table, known).argmax())
            if last == self._tokenizer.end_id or len(written) == limit:
                return written
            written.append(last)
            known = known.then(last, self._tokenizer.token_bytes(last))

    def _tables(self, states: Tensor) -> NDArray[numpy.float32]:
        """Probabilities [tokens, vocabulary] of what follows states [tokens, hidden]."""
        tables: NDArray[numpy.float32] = self._runner.soften(self._runner.logits(states))[0].numpy()
        return tables

    def judge(self, prompt: Prompt, opening: Opening, guesses: Sequence[Sequence[int]]) -> list[float]:
        """How likely each guess is as the whole of the region: the logarithms of their probabilities."""
        tree = Tree(self._tokenizer.write_id)
        paths = [tree.add(guess) for guess in guesses]
        tables = self._read(prompt, opening.at, tree)
        known = [opening]
        for token, parent in tree.edges:
            known.append(known[parent].then(token, self._tokenizer.token_bytes(token)))
        likely = []
        for guess, path in zip(guesses, paths, strict=True):
            steps = zip(path, (*guess, self._tokenizer.end_id), strict=True)
            chances = (self._chance(tables[node], known[node], token) for node, token in steps)
            likely.append(sum(math.log(max(chance, _IMPOSSIBLE)) for chance in chances))
        return likely

    def expect(
        self, prompt: Prompt, opening: Opening, text: Sequence[int]
    ) -> list[tuple[Probabilities, Opening]]:
        """For each token of a text: what is likely in its place, and what is known there."""
        tree, known = Tree(self._tokenizer.write_id), opening
        tree.add(text[:-1])
        expected = []
        for token, table in zip(text, self._read(prompt, opening.at, tree), strict=True):
            expected.append((self._mixed(table, known), known))
            known = known.then(token, self._tokenizer.token_bytes(token))
        return expected

    def compare(self, prompt: Prompt, opening: Opening, text: Sequence[int]) -> list[Comparison]:
        """How likely the encoder and the document find each token of a text, by themselves."""
        tree = Tree(self._tokenizer.write_id)
        tree.add(text[:-1])
        found: list[Comparison] = []
        copier = opening.copier
        for token, table in zip(text, self._read(prompt, opening.at, tree), strict=True):
            copy = copier.next()
            found.append(Comparison(copy.length, float(table[token]), copy.weight(token)))
            copier = copier.then(token)
        return found

    def _read(self, prompt: Prompt, at: int, tree: Tree) -> NDArray[numpy.float32]:
        """Probabilities [nodes, vocabulary] of what follows each node of a tree whose root stands ``at`` a position."""
        positions = torch.tensor(tree.depths) + at
        return self._tables(self._runner.peek(prompt, torch.tensor(tree.tokens), positions, tree.parents))

    def _chance(self, network: Probabilities, known: Opening, token: int) -> float:
        """What `_mixed` says of one token, without all the others where that is possible."""
        if known.begun:
            return float(self._mixed(network, known)[token])
        if token in self._never or (known.single_line and token in self._newline):
            return 0.0
        copy = known.copier.next()
        share = self._shares[copy.length]
        chance = (1 - share) * float(network[token]) + share * copy.weight(token)
        if known.single_line and token == self._tokenizer.end_id:
            chance += (1 - share) * float(network[self._newlines].sum())
            chance += share * sum(
                copy.weight(other) for other in self._newline.intersection(copy.tokens.tolist())
            )
        return chance

    def _mixed(self, network: Probabilities, known: Opening) -> Probabilities:
        copy = known.copier.next()
        share = self._shares[copy.length]
        mixed = network * (1 - share)
        mixed[copy.tokens] += share * copy.weights
        mixed[self._never] = 0
        if known.single_line:
            mixed[self._tokenizer.end_id] += mixed[self._newlines].sum()
            mixed[self._newlines] = 0
        if known.begun:
            allowed = self._tokenizer.covering(known.begun)
            kept, mixed = mixed[allowed], numpy.zeros_like(mixed)
            mixed[allowed] = kept / max(float(kept.sum()), _IMPOSSIBLE)
        return mixed
