"""Guesses at a region that the encoder writes and judges, before and after something is denoised.

The encoder reads the text behind a region first and the text before it last; a mark then tells it that the region
begins, and it was trained to go on up to the region's end. So it can write the region token by token, and it can say
of any text how likely it is there. What it says is mixed with what the document suggests (`copying`) and with what
the training corpus has counted (`ngrams`), and kept to what is known: the first characters of the region, and whether
it ends with the line.
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

from dgemma_model.errors import Cancelled
from dgemma_model.guess.mixture import Evidence, Mixture
from dgemma_model.guess.ngrams import CONTEXT, Expected, NGrams
from dgemma_model.guess.token_copies import Copier, Copy
from dgemma_model.network.runner import Prompt, Runner
from dgemma_model.tokenizer import Tokenizer

Probabilities = NDArray[numpy.float32]
"""Of every token of the vocabulary."""

_IMPOSSIBLE = 1e-30


@dataclass(frozen=True, slots=True)
class Opening:
    """A region's beginning.

    Attributes:
        at: position of the mark, see `Layout.writing_position`.
        copier: behind the text before the region.
        begun: the first bytes of the region, which are known.
        single_line: whether the region ends where its first line ends.
        context: the last tokens before the region.
    """

    at: int
    copier: Copier
    begun: bytes
    single_line: bool
    context: tuple[int, ...] = ()

    def then(self, token: int, text: bytes) -> Opening:
        """What is known once the next token, which stands for ``text``, has been written."""
        context = (*self.context, token)[-CONTEXT:]
        return replace(self, copier=self.copier.then(token), begun=self.begun[len(text) :], context=context)


class Chances(NamedTuple):
    """A token's probabilities by the network, by copying and by counting."""

    network: float
    copying: float
    counting: float


class Comparison(NamedTuple):
    """What was known before a token, and how likely each of the three found it."""

    evidence: Evidence
    chances: Chances


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is known behind some tokens, and what the document and the corpus make of it.

    Attributes:
        known: of the region.
        network: probabilities of the next token.
        ending: the network's probability of the region's end.
        expected: by the counts, where there are any.
    """

    known: Opening
    network: Probabilities
    ending: float
    copy: Copy
    expected: Expected | None
    evidence: Evidence


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

    def __init__(
        self,
        runner: Runner,
        tokenizer: Tokenizer,
        mixture: Mixture | None = None,
        ngrams: NGrams | None = None,
    ) -> None:
        self._runner, self._tokenizer = runner, tokenizer
        self._mixture, self._ngrams = mixture or Mixture(), ngrams
        if ngrams is None:  # a share for nobody would make every likelihood too small
            self._mixture = replace(self._mixture, counting=None)
        self._newline = numpy.array([b"\n" in tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)])
        self._newlines = numpy.flatnonzero(self._newline)
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
            last = int(self._mixed(self._moment(table, known)).argmax())
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
        moments = [self._moment(table, here) for table, here in zip(tables, known, strict=True)]
        likely = []
        for guess, path in zip(guesses, paths, strict=True):
            steps = zip(path, (*guess, self._tokenizer.end_id), strict=True)
            chances = (self._chance(moments[node], token) for node, token in steps)
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
            expected.append((self._mixed(self._moment(table, known)), known))
            known = known.then(token, self._tokenizer.token_bytes(token))
        return expected

    def compare(self, prompt: Prompt, opening: Opening, text: Sequence[int]) -> list[Comparison]:
        """How likely network, document and corpus find each token of a text and its end, by themselves."""
        tree = Tree(self._tokenizer.write_id)
        tree.add(text)
        tables = self._read(prompt, opening.at, tree)
        found: list[Comparison] = []
        for token, table in zip([*text, self._tokenizer.end_id], tables, strict=True):
            moment = self._moment(table, opening)
            found.append(Comparison(moment.evidence, self._chances(moment, token)))
            opening = opening.then(token, self._tokenizer.token_bytes(token))
        return found

    def _read(self, prompt: Prompt, at: int, tree: Tree) -> NDArray[numpy.float32]:
        """Probabilities [nodes, vocabulary] of what follows each node of a tree whose root stands ``at`` a position."""
        positions = torch.tensor(tree.depths) + at
        return self._tables(self._runner.peek(prompt, torch.tensor(tree.tokens), positions, tree.parents))

    def _moment(self, network: Probabilities, known: Opening) -> _Moment:
        copy = known.copier.next()
        expected = self._ngrams.next(known.context) if self._ngrams else None
        order = expected.order if expected else 0
        evidence = Evidence(copy.length, order, float(network.max()), float(copy.weights.max(initial=0)))
        ending = float(network[self._tokenizer.end_id])
        return _Moment(known, network, ending, copy, expected, evidence)

    def _chance(self, moment: _Moment, token: int) -> float:
        """One token's part of `_mixed`, without all the others where they do not matter."""
        if moment.known.begun:
            return float(self._mixed(moment)[token])
        shares = self._mixture(moment.evidence)
        return sum(share * chance for share, chance in zip(shares, self._chances(moment, token), strict=True))

    def _chances(self, moment: _Moment, token: int) -> Chances:
        end, copy = self._tokenizer.end_id, moment.copy
        copying = copy.weight(token)
        counting = moment.expected.of(token) if moment.expected else 0.0
        if not moment.known.single_line:
            counting = (1 - moment.ending) * counting + (moment.ending if token == end else 0.0)
            return Chances(float(moment.network[token]), copying, counting)
        if token != end:
            possible = not self._newline[token]
            return Chances(float(moment.network[token]) * possible, copying * possible, counting * possible)
        return Chances(
            moment.ending + float(moment.network[self._newlines].sum()),
            float(copy.weights[self._newline[copy.tokens]].sum()),
            moment.expected.among(self._newline) if moment.expected else 0.0,
        )

    def _mixed(self, moment: _Moment) -> Probabilities:
        """Probabilities of all tokens, as far as they agree with what is known."""
        known, copy, end = moment.known, moment.copy, self._tokenizer.end_id
        shares = self._mixture(moment.evidence)
        mixed = moment.network * shares.network
        mixed[copy.tokens] += shares.copying * copy.weights
        if moment.expected:
            # Counts know lines, but not where a region of several ends: that is left to the network.
            ending = 0.0 if known.single_line else moment.ending
            mixed += shares.counting * (1 - ending) * moment.expected.table()
            mixed[end] += shares.counting * ending
        mixed[self._never] = 0
        if known.single_line:
            mixed[end] += mixed[self._newlines].sum()
            mixed[self._newlines] = 0
        if known.begun:
            allowed = self._tokenizer.covering(known.begun)
            kept, mixed = mixed[allowed], numpy.zeros_like(mixed)
            mixed[allowed] = kept / max(float(kept.sum()), _IMPOSSIBLE)
        return mixed
