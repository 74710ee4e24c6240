"""The encoder as an author and as a judge: it writes guesses at a region, and says how likely texts are there.

The encoder reads the text behind a region first and the text before it last. A mark then tells it that the region
begins, and it was trained to go on up to the region's end. So it can write the region token by token, and it can say of
any text how likely it is there. Its probabilities are mixed with what the document suggests (`token_copies`) and with
what was counted in the corpus (`ngrams`), and kept to what is known: the first characters of the region, and whether it
ends with its line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgemma_model.errors import Cancelled
from dgemma_model.guess.mixture import Evidence, Mixture, Sources
from dgemma_model.guess.ngrams import CONTEXT, Continuation, NGrams
from dgemma_model.guess.token_copies import Copier, Copy
from dgemma_model.guess.tree import Tree
from dgemma_model.network.runner import Prompt, Runner
from dgemma_model.tokenizer import Tokenizer

Probabilities = NDArray[numpy.float32]
"""Of every token of the vocabulary."""

_IMPOSSIBLE = 1e-30


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known where a region goes on.

    Attributes:
        position: of the mark that opens the region; see `Layout.opening_position`.
        copier: stands behind the text before the region.
        stem: the first bytes of the region, which are known.
        single_line: whether the region ends with its first line.
        context: the last tokens before the region.
    """

    position: int
    copier: Copier
    stem: bytes
    single_line: bool
    context: tuple[int, ...] = ()

    def then(self, token: int, text: bytes) -> Opening:
        """Go on behind the next token, which stands for ``text``."""
        context = (*self.context, token)[-CONTEXT:]
        return replace(self, copier=self.copier.then(token), stem=self.stem[len(text) :], context=context)


class Comparison(NamedTuple):
    """What was known before a token, and how likely each source found it."""

    evidence: Evidence
    probabilities: Sources


@dataclass(frozen=True, slots=True)
class _Prediction:
    """What the three sources expect next.

    Attributes:
        opening: what is known there.
        network: the network's probabilities.
        ending: the network's probability of the region's end.
        copy: what may be copied.
        counted: what the corpus suggests, if it was counted.
        evidence: how far the sources can be believed.
    """

    opening: Opening
    network: Probabilities
    ending: float
    copy: Copy
    counted: Continuation | None
    evidence: Evidence


class Encoder:
    """Writes and rates texts by a mixture of network, document and corpus."""

    def __init__(
        self,
        runner: Runner,
        tokenizer: Tokenizer,
        mixture: Mixture | None = None,
        ngrams: NGrams | None = None,
    ) -> None:
        self._runner, self._tokenizer = runner, tokenizer
        self._mixture, self._ngrams = mixture or Mixture(), ngrams
        if ngrams is None:  # a weight for a source that says nothing would make every likelihood too small
            self._mixture = replace(self._mixture, counting=None)
        self._newline = numpy.array([b"\n" in tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)])
        self._newlines = numpy.flatnonzero(self._newline)
        self._never = sorted(tokenizer.special_ids - {tokenizer.end_id})

    def write(self, prompt: Prompt, opening: Opening, limit: int, cancelled: Callable[[], bool]) -> list[int]:
        """Write the likeliest token each time, until the end (which is left out) or ``limit`` tokens.

        Raises:
            Cancelled: ``cancelled``, asked before every token, answered True.
        """
        length = prompt.length
        try:
            return self._write(prompt, opening, limit, cancelled)
        finally:
            prompt.truncate(length)

    def _write(
        self, prompt: Prompt, opening: Opening, limit: int, cancelled: Callable[[], bool]
    ) -> list[int]:
        written, last = list[int](), self._tokenizer.write_id
        while True:
            if cancelled():
                raise Cancelled
            position = torch.tensor([opening.position + len(written)])
            states = self._runner.extend(prompt, torch.tensor([last]), position)[0]
            (network,) = self._probabilities(states)
            last = int(self._mix(self._predict(network, opening)).argmax())
            if last == self._tokenizer.end_id or len(written) == limit:
                return written
            written.append(last)
            opening = self._behind(opening, last)

    def log_likelihoods(
        self, prompt: Prompt, opening: Opening, texts: Sequence[Sequence[int]]
    ) -> list[float]:
        """Rate each text as the whole of the region, by the logarithm of its probability."""
        tree = Tree(self._tokenizer.write_id)
        paths = [tree.add(text) for text in texts]
        tables = self._read(prompt, opening.position, tree)
        openings = [opening]
        for token, parent in tree.edges:
            openings.append(self._behind(openings[parent], token))
        predictions = [self._predict(network, here) for network, here in zip(tables, openings, strict=True)]
        likelihoods = []
        for text, path in zip(texts, paths, strict=True):
            steps = zip(path, (*text, self._tokenizer.end_id), strict=True)
            probabilities = (self._probability(predictions[node], token) for node, token in steps)
            likelihoods.append(sum(math.log(max(value, _IMPOSSIBLE)) for value in probabilities))
        return likelihoods

    def expect(
        self, prompt: Prompt, opening: Opening, text: Sequence[int]
    ) -> list[tuple[Probabilities, Opening]]:
        """Say for each token of a text what is likely in its place, and what is known there."""
        tree = Tree(self._tokenizer.write_id)
        tree.add(text[:-1])
        expected = []
        for token, network in zip(text, self._read(prompt, opening.position, tree), strict=True):
            expected.append((self._mix(self._predict(network, opening)), opening))
            opening = self._behind(opening, token)
        return expected

    def compare(self, prompt: Prompt, opening: Opening, text: Sequence[int]) -> list[Comparison]:
        """Say how likely each source by itself finds each token of a text, and its end."""
        tree = Tree(self._tokenizer.write_id)
        tree.add(text)
        tables = self._read(prompt, opening.position, tree)
        compared: list[Comparison] = []
        for token, network in zip([*text, self._tokenizer.end_id], tables, strict=True):
            prediction = self._predict(network, opening)
            compared.append(Comparison(prediction.evidence, self._by_source(prediction, token)))
            opening = self._behind(opening, token)
        return compared

    def _read(self, prompt: Prompt, position: int, tree: Tree) -> NDArray[numpy.float32]:
        """Compute the network's probabilities [nodes, vocabulary] of what follows each node of a tree.

        Args:
            prompt: the tokens before the tree.
            position: document position of the root.
            tree: the texts to read.
        """
        positions = torch.tensor(tree.depths) + position
        states = self._runner.peek(prompt, torch.tensor(tree.tokens), positions, tree.parents)
        return self._probabilities(states)

    def _probabilities(self, states: Tensor) -> NDArray[numpy.float32]:
        """Turn states [tokens, hidden] into probabilities [tokens, vocabulary] of what follows them."""
        tables: NDArray[numpy.float32] = self._runner.soften(self._runner.logits(states))[0].numpy()
        return tables

    def _behind(self, opening: Opening, token: int) -> Opening:
        return opening.then(token, self._tokenizer.token_bytes(token))

    def _predict(self, network: Probabilities, opening: Opening) -> _Prediction:
        copy = opening.copier.next()
        counted = self._ngrams.next(opening.context) if self._ngrams else None
        order = counted.order if counted else 0
        evidence = Evidence(copy.length, order, float(network.max()), float(copy.weights.max(initial=0)))
        ending = float(network[self._tokenizer.end_id])
        return _Prediction(opening, network, ending, copy, counted, evidence)

    def _probability(self, prediction: _Prediction, token: int) -> float:
        """Compute what `_mix` would say of one token, without all the others if they do not matter."""
        if prediction.opening.stem:
            return float(self._mix(prediction)[token])
        return self._mixture(prediction.evidence).dot(self._by_source(prediction, token))

    def _by_source(self, prediction: _Prediction, token: int) -> Sources:
        """Say how likely each source finds a token."""
        end, copy = self._tokenizer.end_id, prediction.copy
        copying = copy.weight(token)
        counting = prediction.counted.of(token) if prediction.counted else 0.0
        if not prediction.opening.single_line:
            ending = prediction.ending
            counting = (1 - ending) * counting + (ending if token == end else 0.0)
            return Sources(float(prediction.network[token]), copying, counting)
        if token != end:
            possible = not self._newline[token]
            return Sources(
                float(prediction.network[token]) * possible, copying * possible, counting * possible
            )
        return Sources(
            prediction.ending + float(prediction.network[self._newlines].sum()),
            float(copy.weights[self._newline[copy.tokens]].sum()),
            prediction.counted.among(self._newline) if prediction.counted else 0.0,
        )

    def _mix(self, prediction: _Prediction) -> Probabilities:
        """Mix the probabilities of all tokens, and keep them to what is known."""
        opening, copy, end = prediction.opening, prediction.copy, self._tokenizer.end_id
        weights = self._mixture(prediction.evidence)
        mixed = prediction.network * weights.network
        mixed[copy.tokens] += weights.copying * copy.weights
        if prediction.counted:
            # Counts know lines, but not where a region of several lines ends: only the network knows that.
            ending = 0.0 if opening.single_line else prediction.ending
            mixed += weights.counting * (1 - ending) * prediction.counted.table()
            mixed[end] += weights.counting * ending
        mixed[self._never] = 0
        if opening.single_line:
            mixed[end] += mixed[self._newlines].sum()
            mixed[self._newlines] = 0
        if opening.stem:
            allowed = self._tokenizer.covering(opening.stem)
            kept, mixed = mixed[allowed], numpy.zeros_like(mixed)
            mixed[allowed] = kept / max(float(kept.sum()), _IMPOSSIBLE)
        return mixed
