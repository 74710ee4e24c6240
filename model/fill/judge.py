"""Choose between texts for the regions of one request: by how likely they are, and by whether the file still parses."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from dgemma_model.fill.canvas import without_stem
from dgemma_model.fill.pieces import Pieces
from dgemma_model.guess.encoder import Encoder, Opening
from dgemma_model.layouts.infill import BUCKETS
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.network.runner import Prompt
from dgemma_model.protocol import Fill, Slot
from dgemma_model.syntax.errors import Surroundings
from dgemma_model.syntax.repairs import docstring_repairs, ending_repairs, line_repairs
from dgemma_model.tokenizer import Tokenizer

LONGEST_GUESS = BUCKETS[2] - 2
"""Tokens of a text that may be a guess."""

_TRIED = 8  # likeliest texts of a region that are parsed
_REPAIRED = 3  # that are repaired if none of them parses
_ROUNDS = 2  # times that each of several regions is chosen again, given the others
_OFFERED = 3  # guesses that are offered together with what was denoised

Tokens = tuple[int, ...]
Alternatives = tuple[tuple[Fill, ...], ...]
"""Fills [alternative][region]."""


@dataclass(slots=True)
class Region:
    """A region of a request, and what is known of texts for it.

    A text is rated together with the rest of its line: the encoder knows best where a line ends.

    Attributes:
        stem: the beginning of the region that is known.
        rest: the rest of its line behind it; empty if the region may have several lines.
        prompt: the encoded text around it.
        opening: what its texts begin with.
        renamings: see `Opened`.
        encoded: tokens that had to be encoded.
        likelihoods: logarithms of the probabilities of texts, the rest of the line included.
    """

    stem: str
    rest: str
    prompt: Prompt
    opening: Opening
    renamings: Sequence[str]
    encoded: int
    likelihoods: dict[Tokens, float] = field(default_factory=dict)

    def likeliest(self, count: int) -> list[Tokens]:
        """List the likeliest texts."""
        return heapq.nlargest(count, self.likelihoods, key=lambda text: self.likelihoods[text])


class Judge:
    """Rates and ranks the texts for one request.

    In its methods ``fills`` has the present choice for each region; a text of a region is rated with the stem and the
    rest of the line, and parsed without them.

    Attributes:
        regions: those that were opened so far; none if the present text is only repaired.
    """

    def __init__(self, masked: MaskedText, encoder: Encoder, tokenizer: Tokenizer, pieces: Pieces) -> None:
        self._masked, self._encoder, self._tokenizer, self._pieces = masked, encoder, tokenizer, pieces
        self._around = Surroundings(masked.segments)
        self.regions: list[Region] = []

    def rate(self, region: Region, texts: Sequence[str]) -> None:
        """Note how likely some texts of a region are; they include its stem and the rest of its line."""
        encoded = (tuple(self._tokenizer.encode(text)) for text in texts)
        new = [text for text in encoded if len(text) <= LONGEST_GUESS and text not in region.likelihoods]
        if new:
            likelihoods = self._encoder.log_likelihoods(region.prompt, region.opening, new)
            region.likelihoods |= zip(new, likelihoods, strict=True)
        if not region.likelihoods:
            self.rate(region, [region.stem])

    def choose(self, number: int, fills: Sequence[str]) -> str:
        """Choose the likeliest text of a region that parses with the other fills; repair some if none does."""
        region = self.regions[number]
        best = self._best(number, fills)
        if self._errors(number, best, fills):
            self.rate(region, self._repaired(number, fills))
            best = self._best(number, fills)
        return self._text(region, best)

    def judged(self, alternatives: list[list[Fill]]) -> list[list[Fill]]:
        """Rate denoised fills by their likelihoods, and add the likeliest texts of each region as alternatives.

        So what the denoiser made of a guess counts only if it is likelier than the guess itself, and if the best fill
        turns out to be of no use there are others.
        """
        for region, fills in zip(self.regions, zip(*alternatives, strict=True), strict=True):
            self.rate(region, list(dict.fromkeys(region.stem + fill.text + region.rest for fill in fills)))
        texts = [fill.text for fill in alternatives[0]]
        for number in [*range(len(texts))] * _ROUNDS if len(texts) > 1 else ():
            texts[number] = self.choose(number, texts)
        others = [self._guess(region, text) for region, text in zip(self.regions, texts, strict=True)][1:]
        first = self.regions[0]
        offered = (self._text(first, text) for text in self._ordered(0, texts)[:_OFFERED])
        rated = [
            [self._rated(region, fill) for region, fill in zip(self.regions, fills, strict=True)]
            for fills in alternatives
        ]
        return [*rated, *([self._guess(first, text), *others] for text in offered)]

    def errors(self, fills: Sequence[str]) -> int:
        """Count the syntax errors with these texts in the regions."""
        return self._around.errors(fills)

    def _best(self, number: int, fills: Sequence[str]) -> Tokens:
        (likeliest,) = self.regions[number].likeliest(1)
        return likeliest if not self._errors(number, likeliest, fills) else self._ordered(number, fills)[0]

    def _ordered(self, number: int, fills: Sequence[str]) -> list[Tokens]:
        """Order the likeliest texts of a region: those that leave the fewest syntax errors first."""
        likeliest = self.regions[number].likeliest(_TRIED)
        return sorted(likeliest, key=lambda text: self._errors(number, text, fills))

    def _errors(self, number: int, text: Sequence[int], fills: Sequence[str]) -> int:
        """Count the syntax errors with a text in a region and ``fills`` in the others."""
        own = self._text(self.regions[number], text)
        return self._around.errors([*fills[:number], own, *fills[number + 1 :]])

    def _repaired(self, number: int, fills: Sequence[str]) -> list[str]:
        """Repair the likeliest texts of a region, and keep those that leave the fewest syntax errors."""
        region = self.regions[number]
        repaired = dict.fromkeys(
            text + region.rest
            for tokens in region.likeliest(_REPAIRED)
            for text in self._repairs(number, self._tokenizer.decode_lossy(tokens), fills)
        )
        errors = [self._errors(number, self._tokenizer.encode(text), fills) for text in repaired]
        fewest = min(errors, default=0)
        return [text for text, count in zip(repaired, errors, strict=True) if count == fewest]

    def _repairs(self, number: int, rated: str, fills: Sequence[str]) -> Iterator[str]:
        """Yield repairs of a rated text, without the rest of its line."""
        region, before = self.regions[number], self._masked.until(number, fills)
        text, known = rated.removesuffix(region.rest), before.removesuffix(region.stem)
        line = before.rsplit("\n", 1)[-1]
        lead = line.removesuffix(region.stem)
        above, newline, last = text.rpartition("\n")
        if newline:
            yield from (above + newline + repaired for repaired in line_repairs(last, 0, ""))
        else:
            repairs = line_repairs(lead + text, len(line), region.rest)
            yield from (repaired.removeprefix(lead) for repaired in repairs)
        yield from (
            repaired for repaired in docstring_repairs(known, text) if repaired.startswith(region.stem)
        )
        if not region.opening.single_line:
            yield from ending_repairs(known, text, self._masked.behind(number))

    def _rated(self, region: Region, fill: Fill) -> Fill:
        """Make a denoised fill as confident as it is likely; not at all if it does not end."""
        likelihood = region.likelihoods.get(self._tokens(region, fill.text), -math.inf)
        return replace(fill, confidence=math.exp(likelihood) if fill.complete else 0.0)

    def _guess(self, region: Region, text: str) -> Fill:
        """Make a fill of a text that was rated."""
        tokens = self._tokens(region, text)
        likelihood = region.likelihoods.get(tokens, -math.inf)
        confidence = math.exp(likelihood / (len(tokens) + 1))  # of one token, on average
        slots = tuple(
            Slot(self._tokenizer.decode_lossy([token]), confidence, True)
            for token in self._pieces.short(region.stem + text)
        )
        return Fill(text, math.exp(likelihood), True, without_stem(region.stem, slots))

    def _tokens(self, region: Region, text: str) -> Tokens:
        """Encode a text of a region as it is rated."""
        return tuple(self._tokenizer.encode(region.stem + text + region.rest))

    def _text(self, region: Region, rated: Sequence[int]) -> str:
        """Decode a rated text, without the stem and the rest of the line."""
        return self._tokenizer.decode_lossy(rated).removesuffix(region.rest)[len(region.stem) :]


def ranked(alternatives: list[list[Fill]], judge: Judge | None = None) -> Alternatives:
    """Rank different alternatives: those whose regions all end come first.

    Args:
        alternatives: fills [alternative][region].
        judge: counts syntax errors, of which fewer come first; None if they do not matter.
    """

    def rank(fills: tuple[Fill, ...]) -> tuple[bool, int, float]:
        errors = judge.errors([fill.text for fill in fills]) if judge else 0
        joint = math.prod(fill.confidence for fill in fills)
        return all(fill.complete for fill in fills), -errors, joint

    different = {tuple(fill.text for fill in fills): tuple(fills) for fills in reversed(alternatives)}
    return tuple(sorted(different.values(), key=rank, reverse=True))
