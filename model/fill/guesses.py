"""Guess each region before anything is denoised: from copies, renamings and what the encoder writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dgemma_model.fill.judge import LONGEST_GUESS, Judge, Region
from dgemma_model.fill.prompt import Prompts
from dgemma_model.guess.encoder import Encoder
from dgemma_model.guess.line_copies import copies, drafts, ending, rest_of_line
from dgemma_model.layouts.infill import BUCKETS, bucket
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.tokenizer import Tokenizer

_COPIES = 6  # lines of the document that compete with what the encoder writes
_RATED = 20  # guesses at a region that are rated
_LINE_END = re.compile(r"\n(?=\s*\S)")


class Guesser:
    """Guesses the regions of one request."""

    def __init__(
        self, masked: MaskedText, judge: Judge, prompts: Prompts, encoder: Encoder, tokenizer: Tokenizer
    ) -> None:
        self._masked, self._judge = masked, judge
        self._prompts, self._encoder, self._tokenizer = prompts, encoder, tokenizer

    def guess(
        self, single_line: bool, context: Sequence[str], cancelled: Callable[[], bool]
    ) -> list[list[int]]:
        """Guess one region after the other, and let the judge choose; it gets to know every region.

        When a region is guessed, those before it are filled with their guesses, so that it is the first one of a text.

        Args:
            single_line: whether region 1 ends with its first line.
            context: texts from elsewhere that something may be copied from.
            cancelled: asked before every token that is written.

        Returns:
            The tokens of each region's guess, which begin with its stem.

        Raises:
            Cancelled: ``cancelled`` answered True.
        """
        first, second, *others = self._masked.segments
        # Until their turn comes, further regions are filled with copies.
        fills = ["", *(copied or "" for copied in drafts((first + second, *others)))]
        guesses = []
        for number, stem in enumerate(self._masked.healed().stems):
            region = self._open(number, fills, single_line, context)
            self._judge.regions.append(region)
            self._judge.rate(region, self._candidates(number, region, fills, context, cancelled))
            fills[number] = self._judge.choose(number, fills)
            guesses.append(self._tokenizer.encode(stem + fills[number])[:LONGEST_GUESS])
        return guesses

    def _open(self, number: int, fills: Sequence[str], single_line: bool, context: Sequence[str]) -> Region:
        """Open a region as the first one of a text, with ``fills`` in the regions before it."""
        segments = (self._masked.until(number, fills), *self._masked.segments[number + 1 :])
        healed = MaskedText(segments, self._masked.present[number:]).healed()
        # With the widths that the canvas will have, the text behind region 1 is encoded once for both.
        later = (bucket(len(self._prompts.pieces.short(text)) + 1) for text in fills[number + 1 :])
        opened = self._prompts.open(healed, single_line, context, [BUCKETS[0], *later])
        several = len(self._masked.present) > 1  # the prompts of the others may go on in the same place
        prompt = self._prompts.kept(opened.prompt) if several else opened.prompt
        rest = rest_of_line("".join(segments[1:])) if single_line else ""
        return Region(healed.stems[0], rest, prompt, opened.opening, opened.renamings, opened.encoded)

    def _candidates(
        self,
        number: int,
        region: Region,
        fills: Sequence[str],
        context: Sequence[str],
        cancelled: Callable[[], bool],
    ) -> list[str]:
        """List different texts for a region, with its stem and the rest of its line."""
        written = self._encoder.write(region.prompt, region.opening, LONGEST_GUESS, cancelled)
        behind = self._masked.behind(number)[len(region.rest) :]
        elsewhere = "\n".join((behind, *context, *region.renamings))
        copied = copies(self._masked.until(number, fills), elsewhere, _COPIES)
        texts = [region.stem + text for text in copied]
        texts += _beginnings(self._tokenizer.decode_lossy(written))
        whole = (line for text in texts for line in ending(text, len(region.stem), region.rest))
        return list(dict.fromkeys(whole))[:_RATED] or [region.stem]


def _beginnings(text: str) -> list[str]:
    """List a text, and its beginnings that end with a line."""
    ends = [match.start() for match in _LINE_END.finditer(text)]
    return [text, *(text[:end] for end in ends)]
