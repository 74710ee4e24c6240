"""Guesses at a region that the encoder writes and judges, before and after something is denoised.

The encoder reads the text behind a region first and the text before it last; a mark then tells it that the region
begins, and it was trained to go on up to the region's end. So it can write the region token by token, and it can say
of any text how likely it is there. What it says is mixed with what the document suggests (`copying`), and kept to what
is known: the first characters of the region, and whether it ends with the line.
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
_AHEAD = 7  # tokens that are read along; with the one before them as many as the runner runs at once


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


class Writer:
    """The encoder as an author and as a judge."""

    def __init__(self, runner: Runner, tokenizer: Tokenizer, shares: Shares = SHARES) -> None:
        assert len(shares) == LONGEST + 1
        self._runner, self._tokenizer, self._shares = runner, tokenizer, shares
        self._newlines = [i for i in range(tokenizer.vocab_size) if b"\n" in tokenizer.token_bytes(i)]
        self._never = sorted(tokenizer.special_ids - {tokenizer.end_id})

    @torch.inference_mode()
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
        # What would be copied next is read along in the same pass; as far as it turns out right, it was for nothing
        # ("prompt lookup decoding", after Leviathan et al., "Fast inference by speculative decoding", 2023).
        begin, at, written = prompt.length, known.at, list[int]()
        while True:
            if cancelled():
                raise Cancelled
            ahead = known.copier.follow(_AHEAD)
            read = torch.tensor([written[-1] if written else self._tokenizer.write_id, *ahead])
            states = self._runner.extend(prompt, read, torch.arange(at, at + len(read)) + len(written))
            for table, expected in zip(self._tables(states)[0], [*ahead, None], strict=True):
                token = int(self._mixed(table, known).argmax())
                if token == self._tokenizer.end_id or len(written) == limit:
                    return written
                written.append(token)
                known = known.then(token, self._tokenizer.token_bytes(token))
                if token != expected:
                    break
            prompt.truncate(begin + len(written))

    def _tables(self, states: Tensor) -> NDArray[numpy.float32]:
        """Probabilities [batch, tokens, vocabulary] of what follows states [batch, tokens, hidden]."""
        tables: NDArray[numpy.float32] = self._runner.logits(states).softmax(-1).numpy()
        return tables

    @torch.inference_mode()
    def judge(self, prompt: Prompt, opening: Opening, guesses: Sequence[Sequence[int]]) -> list[float]:
        """How likely each guess is as the whole of the region: the logarithms of their probabilities."""
        end = self._tokenizer.end_id
        rows = [[*guess, end] for guess in guesses]
        width = max(map(len, rows))
        read = torch.tensor([[self._tokenizer.write_id, *row, *[end] * (width - len(row))] for row in rows])
        positions = torch.arange(opening.at, opening.at + width).expand(len(rows), -1)
        states = self._runner.peek(prompt, read[:, :-1], positions)
        tables = self._tables(states)
        return [self._likelihood(row, table, opening) for row, table in zip(rows, tables, strict=True)]

    @torch.inference_mode()
    def compare(self, prompt: Prompt, opening: Opening, text: Sequence[int]) -> list[Comparison]:
        """How likely the encoder and the document find each token of a text, by themselves."""
        read = torch.tensor([[self._tokenizer.write_id, *text[:-1]]])
        states = self._runner.peek(
            prompt, read, torch.arange(opening.at, opening.at + len(text)).unsqueeze(0)
        )
        own = self._runner.logits(states)[0].softmax(-1).gather(1, torch.tensor(text).unsqueeze(1))
        found: list[Comparison] = []
        copier = opening.copier
        for token, probability in zip(text, own.squeeze(1).tolist(), strict=True):
            copy = copier.next()
            found.append(
                Comparison(copy.length, probability, float(copy.weights[copy.tokens == token].sum()))
            )
            copier = copier.then(token)
        return found

    def _likelihood(self, row: Sequence[int], table: Sequence[Probabilities], known: Opening) -> float:
        total = 0.0
        for token, probabilities in zip(row, table, strict=False):
            total += math.log(max(float(self._mixed(probabilities, known)[token]), _IMPOSSIBLE))
            if token != self._tokenizer.end_id:
                known = known.then(token, self._tokenizer.token_bytes(token))
        return total

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
