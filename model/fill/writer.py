"""Write text token by token, the likeliest each time, in far fewer passes than tokens.

Guesses at what follows (`line_copies`) are run in one pass behind the next token, and kept as far as the network would
have written them itself: so what is written does not depend on the guesses, only the time does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dgemma_model.base_tokenizer import BaseTokenizer
from dgemma_model.fill.kept_prompts import Kept
from dgemma_model.network.quantized import Floats, QuantizedNetwork

BLOCK = 16
"""Tokens that are run in one pass."""

Guess = Callable[[str], Sequence[str]]
"""What may follow a text that was written so far, the likeliest first."""
Stop = Callable[[str], int | None]
"""The length of a text that is complete; None while it goes on."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where writing begins.

    Attributes:
        state: of the last token before [1, hidden].
        stem: what the text must begin with.
        rank: which of the likeliest first tokens to take, counted from 0.
        blank: whether the text may begin with a line end, or be empty.
    """

    state: Floats
    stem: str = ""
    rank: int = 0
    blank: bool = True


@dataclass(slots=True)
class Written:
    """A text on its way.

    Attributes:
        ids: its tokens, the one with which it ended included.
        likelihoods: the log-likelihood of each, in nats; where not every token fitted, among those that did.
        text: what they spell, its stem included.
        end: length of ``text`` up to where it is complete; None while it goes on.
    """

    ids: list[int] = field(default_factory=list)
    likelihoods: list[float] = field(default_factory=list)
    text: str = ""
    end: int | None = None

    @property
    def done(self) -> bool:
        """Whether the text is complete."""
        return self.end is not None

    @property
    def complete(self) -> str:
        """The text up to its end."""
        return self.text[: self.end]


class Writer:
    """Writes with one network."""

    def __init__(self, network: QuantizedNetwork, tokenizer: BaseTokenizer) -> None:
        self._network, self._tokenizer = network, tokenizer
        tokens = tokenizer.spelling.tokens
        self._silent = np.array([not data for data in tokens])
        self._blank = self._silent | np.array([b"\n" in data and not data.strip() for data in tokens])

    def write(self, kept: Kept, start: Start, guess: Guess, stop: Stop, most: int) -> Iterator[Written]:
        """Write behind a prompt, which grows by what is written; yields the same object for every pass.

        Args:
            kept: the prompt.
            start: where writing begins.
            guess: asked before every pass.
            stop: asked after every token.
            most: tokens, after which the text ends without having been completed.
        """
        written, state = Written(), start.state
        ahead: tuple[int, float] | None = None  # the next token, where a pass has told it
        while not written.done and len(written.ids) < most:
            token, likelihood = ahead or self._choose(state, written, start)
            self._append(written, [token], [likelihood], stop)
            if not written.done:
                bound = self._is_bound(written, start)
                block = [token] if bound else [token, *self._guessed(guess(written.text))]
                state, accepted, following = self._run(kept, block, written, stop)
                ahead = None if bound else following
                kept.keep(block[:accepted])
            yield written

    def _guessed(self, texts: Sequence[str]) -> list[int]:
        return self._tokenizer.encode(texts[0])[: BLOCK - 1] if texts else []

    def _run(
        self, kept: Kept, block: list[int], written: Written, stop: Stop
    ) -> tuple[Floats, int, tuple[int, float]]:
        """Run a token and guesses behind it; returns the last accepted state, how many were accepted, what is next."""
        states = self._network.run(kept.prompt, block)
        ranking = self._network.rank(states, best=1)
        best, likelihood = ranking.best[:, 0].tolist(), ranking.best_likelihood[:, 0].tolist()
        accepted = 1
        while accepted < len(block) and block[accepted] == best[accepted - 1]:
            accepted += 1
        self._append(written, block[1:accepted], likelihood[: accepted - 1], stop)
        last = accepted - 1
        return states[last : last + 1], accepted, (best[last], likelihood[last])

    def _append(self, written: Written, ids: Sequence[int], likelihoods: Sequence[float], stop: Stop) -> None:
        """Append tokens up to the one that completes the text."""
        for token, likelihood in zip(ids, likelihoods, strict=True):
            if written.done:
                return
            written.ids.append(token)
            written.likelihoods.append(likelihood)
            if self._silent[token]:
                written.end = len(written.text)
                return
            written.text = self._tokenizer.decode(written.ids)
            written.end = stop(written.text)

    def _is_bound(self, written: Written, start: Start) -> bool:
        """Whether not every token may come next."""
        return bool(self._left(written, start)) or (not start.blank and not written.text.strip())

    def _left(self, written: Written, start: Start) -> bytes:
        """What of the stem is not written yet."""
        return start.stem.encode()[len(self._tokenizer.spelling.spell(written.ids)) :]

    def _choose(self, state: Floats, written: Written, start: Start) -> tuple[int, float]:
        """The likeliest token of those with which the stem goes on, or of all."""
        scores = self._network.scores(state)[0]
        left = self._left(written, start)
        allowed = np.ones(len(scores), np.bool_)
        if left:
            allowed[:] = False
            allowed[self._tokenizer.spelling.covering(left)] = True
        if not start.blank and not written.text.strip():
            allowed &= ~self._blank
        scores = np.where(allowed, scores, -np.inf)
        likelihoods = scores - _log_sum(scores)
        ranked = np.argsort(-scores, kind="stable")
        token = int(ranked[start.rank if not written.ids else 0])
        return token, float(likelihoods[token])


def _log_sum(scores: Floats) -> float:
    largest = float(scores.max())
    return largest + float(np.log(np.exp(scores - largest).sum()))
