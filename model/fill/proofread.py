"""Find what in a text surprises the model: a word or a sign that another one would fit far better.

Each line is taken as a region, with the text on both sides known, and read by the encoder. If a lexeme is much less
likely than another one, the whole line is rated again with the other one in its place, so that the rest of the line has
its say. How far to believe the result is decided by a few facts (`facts`).
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy

from dgemma_model.errors import Cancelled
from dgemma_model.fill.facts import IMPOSSIBLE, LEXEME, Facts, Kind, Suspect, Weights, gather, weigh
from dgemma_model.fill.prompt import Prompts
from dgemma_model.guess.encoder import Encoder, Opening, Probabilities
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.protocol import Hint, ProofreadRequest
from dgemma_model.tokenizer import Tokenizer

_SUSPECTS = 4  # lexemes of a line whose replacement is tried
_REPLACEMENTS = 4  # for each of them
_LONGEST = 120  # tokens of a line; a longer one was hardly written by hand
_NAME_TOKENS = 6  # of a name that is copied
_LEAST_SURPRISE = 2.0  # nats
_CANDIDATES = 12  # likeliest tokens that are considered
_NAME = re.compile(r"\w+")

Words = Mapping[str, int]
"""How often each lexeme stands in a text."""


@dataclass(frozen=True, slots=True)
class Page:
    """A text to read.

    Attributes:
        text: with LF line endings.
        quiet: character ranges in which no mistakes are looked for, such as strings and comments; in order.
    """

    text: str
    quiet: Sequence[tuple[int, int]] = ()

    def is_quiet(self, start: int, end: int) -> bool:
        """Tell whether a range lies within a quiet one."""
        at = bisect_right(self.quiet, (start, len(self.text))) - 1
        return at >= 0 and end <= self.quiet[at][1]

    def words(self) -> Words:
        """Count the lexemes of the text."""
        return Counter(LEXEME.findall(self.text))


class Doubt(NamedTuple):
    """A replacement that would make its line likelier.

    Attributes:
        start: a character offset in the text.
        end: the offset behind the last character to replace.
        other: the replacement.
        facts: what speaks for it and against it.
    """

    start: int
    end: int
    other: str
    facts: Facts


class Proofreader:
    """Reads texts for mistakes."""

    def __init__(self, prompts: Prompts, encoder: Encoder, tokenizer: Tokenizer) -> None:
        self._prompts, self._encoder, self._tokenizer = prompts, encoder, tokenizer

    def hints(
        self, request: ProofreadRequest, weights: Weights, cancelled: Callable[[], bool]
    ) -> Iterator[tuple[Hint, ...]]:
        """Read one span after the other; yields the hints of each, the surest first, at most one for a lexeme.

        Args:
            request: the text, and the spans to read without the blanks at their ends.
            weights: how much each fact says.
            cancelled: asked before each span.

        Raises:
            Cancelled: ``cancelled`` answered True.
        """
        page = Page(request.text, request.quiet)
        words = page.words()
        for span in request.spans:
            if cancelled():
                raise Cancelled
            best: dict[int, Hint] = {}
            for start, end, other, facts in self.doubts(page, words, *span):
                hint = Hint(start, end, other, weigh(facts, weights))
                if start not in best or hint.confidence > best[start].confidence:
                    best[start] = hint
            yield tuple(sorted(best.values(), key=lambda hint: -hint.confidence))

    def doubts(self, page: Page, words: Words, start: int, end: int) -> Iterator[Doubt]:
        """Find the replacements that make a line likelier."""
        line = page.text[start:end]
        tokens = self._tokenizer.encode(line)
        if not tokens or len(tokens) > _LONGEST:
            return
        masked = MaskedText((page.text[:start], page.text[end:]), ("",), ("",))
        prompt, opening, *_ = self._prompts.open(masked, single_line=True)
        expected = self._encoder.expect(prompt, opening, tokens)
        suspects = (
            suspect
            for suspect in self._suspects(line, tokens, expected)
            if not page.is_quiet(start + suspect.start, start + suspect.end)
        )
        likeliest = heapq.nlargest(_SUSPECTS, suspects, key=lambda suspect: suspect.surprise)
        tried = [(suspect, other) for suspect in likeliest for other in suspect.others]
        if not tried:
            return
        lines = [line, *(line[: suspect.start] + other + line[suspect.end :] for suspect, other in tried)]
        encoded = [self._tokenizer.encode(text) for text in lines]
        own, *replaced = self._encoder.log_likelihoods(prompt, opening, encoded)
        for (suspect, other), likelihood in zip(tried, replaced, strict=True):
            if likelihood > own:
                facts = gather(line, suspect, other, likelihood - own, words)
                yield Doubt(start + suspect.start, start + suspect.end, other, facts)

    def _suspects(
        self, line: str, tokens: Sequence[int], expected: Sequence[tuple[Probabilities, Opening]]
    ) -> Iterator[Suspect]:
        starts = [
            0,
            *itertools.accumulate(len(self._tokenizer.decode_lossy([token])) for token in tokens),
        ]
        if starts[-1] != len(line):  # some characters are several tokens
            return
        for lexeme in LEXEME.finditer(line):
            first = bisect_right(starts, lexeme.start()) - 1
            behind = bisect_left(starts, lexeme.end())
            lead = line[starts[first] : lexeme.start()]
            if lead.strip() or starts[behind] != lexeme.end():
                continue  # a token reaches beyond the lexeme
            table, opening = expected[first]
            likelihood = sum(_log(expected[at][0][tokens[at]]) for at in range(first, behind))
            least = likelihood + _LEAST_SURPRISE
            if others := self._others(lexeme[0], lead, table, opening, least):
                surprise = max(_log(table[token]) for token in others.values()) - likelihood
                yield Suspect(lexeme.start(), lexeme.end(), tuple(others), surprise, float(table.max()))

    def _others(
        self, lexeme: str, lead: str, table: Probabilities, opening: Opening, least: float
    ) -> dict[str, int]:
        """Find likelier lexemes of the same kind, each with the token that it begins with.

        Args:
            lexeme: stands there now.
            lead: the blanks before it that belong to its first token.
            table: probabilities of the first token.
            opening: what is known there.
            least: the least logarithm of a first token's probability.
        """
        others: dict[str, int] = {}
        for token in numpy.argsort(-table)[:_CANDIDATES].tolist():
            text = self._tokenizer.decode_lossy([token])
            if _log(table[token]) < least or len(others) >= _REPLACEMENTS:
                break
            if not text.startswith(lead):
                continue
            for word in (text[len(lead) :], text[len(lead) :] + self._rest_of_name(opening, token)):
                if word != lexeme and LEXEME.fullmatch(word) and Kind.of(word) is Kind.of(lexeme):
                    others.setdefault(word, token)
        return others

    def _rest_of_name(self, opening: Opening, token: int) -> str:
        """Copy the rest of a name that begins with a token and stands elsewhere."""
        rest, copier = "", opening.copier.then(token)
        for _ in range(_NAME_TOKENS):
            copy = copier.next()
            if not len(copy.tokens):
                break
            following = int(copy.tokens[copy.weights.argmax()])
            text = self._tokenizer.decode_lossy([following])
            if not _NAME.fullmatch(text):
                break
            rest, copier = rest + text, copier.then(following)
        return rest


def _log(probability: float) -> float:
    return math.log(max(float(probability), IMPOSSIBLE))
