"""Masked text in, drafts of the fills out: everything of this package put together.

A request goes through four phases. *Guess*, one region after the other: the document's own lines that might stand there
and what the encoder writes, the regions before being filled, are judged; the likeliest begins the canvas. *Denoise* all
regions together. *Judge* what came out: the likelier of guess and denoised text is the fill, and its likelihood the
confidence. *Anticipate*, once nobody waits: encode what the next keystrokes will make necessary.
"""

from __future__ import annotations

import functools
import heapq
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from dgemma_model.denoise.loop import Canvas, Schedule, State, denoise
from dgemma_model.errors import ModelError
from dgemma_model.fill.confidence import Curve
from dgemma_model.guess.encoder import Comparison, Opening, Writer
from dgemma_model.guess.line_copies import copies, ending, rest_of_line
from dgemma_model.guess.line_copies import drafts as copied_texts
from dgemma_model.guess.mixture import Mixture
from dgemma_model.guess.ngrams import CONTEXT, NGrams
from dgemma_model.guess.renaming import renamings
from dgemma_model.guess.token_copies import LONGEST, Copier, Document, Packed, packed
from dgemma_model.layouts.infill import (
    BUCKETS,
    LAYOUT_KEY,
    Budget,
    Layout,
    bucket,
    drafted,
    lay_out,
)
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.network.best_runner import best_runner
from dgemma_model.network.checkpoint import BUNDLED, CONFIG, TOKENIZER, load, parameter_count
from dgemma_model.network.layers import Network
from dgemma_model.network.prompt_cache import PromptCache
from dgemma_model.network.runner import Prompt
from dgemma_model.syntax.errors import Surroundings
from dgemma_model.syntax.repairs import docstring_repairs, ending_repairs, line_repairs
from dgemma_model.syntax.statements import Borders
from dgemma_model.tokenizer import Tokenizer, TokenizerFileError, UndecodableTokens

_COPIES = 6  # lines of the document that compete with what the encoder writes
_OFFERED = 20  # guesses that are judged
_PARSED = 8  # likeliest guesses that are tried in their place
_REPAIRED = 3  # that are repaired where none of them fits
_ROUNDS = 2  # times that each of several regions is chosen anew, given the others
_GUESSES = 3  # that are offered beside what was denoised
_REACH = (
    60_000,
    30_000,
)  # characters before and behind region 1 from which single tokens may be copied, at least
_RENAMED = 6  # places like this one with other names, which are said with the names of here
_BLOCK = (
    16_384  # a longer text before region 1 loses whole blocks: it then begins where it began a key before
)
_TOP_LEVEL = re.compile(r"(?<=\n)(?=\S)")  # where a statement begins that is not indented
_LONGEST_GUESS = BUCKETS[2] - 2  # tokens
_TRUST = 3.0  # nats by which the denoiser favours the guess; chosen on held-out regions
_AHEAD = "0" * 8  # digits are tokens by themselves: as much as somebody may type until the next request
_PIECE = 64  # tokens encoded ahead before looking whether somebody waits

Slot = tuple[str, float, bool]
"""A token's text, its probability, and whether it will stay."""


@dataclass(frozen=True, slots=True)
class FillOptions:
    """How to fill.

    Attributes:
        steps: denoising steps at most, for each width that is tried.
        seed: of the noise.
        strength: 1.0 forgets what stands in the regions; with 0.2 a fifth of its tokens is replaced by noise.
        alternatives: fills denoised side by side; some guesses may come beside them.
        single_line: whether region 1 ends where its first line ends.
        context: texts from elsewhere, from which something may be copied into region 1.
    """

    steps: int = 4
    seed: int = 0
    strength: float = 1.0
    alternatives: int = 1
    single_line: bool = False
    context: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Fill:
    """One region's text: see the worker's protocol for its parts."""

    text: str
    confidence: float
    complete: bool
    slots: tuple[Slot, ...]


Alternatives = tuple[tuple[Fill, ...], ...]
"""Fills [alternative][region]."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The fills [alternative][region] after a step, the most confident alternative first."""

    step: int
    final: bool
    alternatives: Alternatives
    encoded_tokens: int
    prompt_tokens: int
    milliseconds: float


class Opened(NamedTuple):
    """A region of an encoded text.

    Attributes:
        prompt: the text around it, encoded.
        opening: what is known of it.
        echoes: what may be copied although it does not stand anywhere: see `renaming`.
        encoded: tokens that had to be encoded.
    """

    prompt: Prompt
    opening: Opening
    echoes: Sequence[str]
    encoded: int


@dataclass(slots=True)
class _Region:
    """A region that is guessed and judged, with the text before it.

    Attributes:
        begun: what is known of it.
        rest: what stands behind it in its line; with it a text is what the encoder knows best, a line's end.
        prompt: of the text around it.
        opening: what its texts begin with.
        echoes: see `Opened`.
        likely: logarithms of the probabilities of some texts, `rest` included.
    """

    begun: str
    rest: str
    prompt: Prompt
    opening: Opening
    echoes: Sequence[str]
    likely: dict[tuple[int, ...], float] = field(default_factory=dict)


@dataclass(slots=True)
class _Task:
    """One request on its way.

    Attributes:
        masked: the request.
        healed: the masked text, every region beginning with its first token.
        present: tokens of what stands in the regions.
        slots: width of each region's run.
        around: the fixed text, to see which texts fit into it.
        guesses: what each region's canvas begins with; empty for a rewrite, like `regions`.
        regions: as they were guessed, one behind the other.
        encoded: tokens that had to be encoded so far.
    """

    masked: MaskedText
    healed: MaskedText
    present: list[list[int]]
    slots: list[int]
    around: Surroundings
    guesses: list[list[int]] = field(default_factory=list)
    regions: list[_Region] = field(default_factory=list)
    encoded: int = 0


class Infiller:
    """A loaded checkpoint, ready to fill. Not for several threads at once.

    Attributes:
        parameters: of the text network.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        budget: Budget,
        path: Path,
        curve: Curve | None = None,
        mixture: Mixture | None = None,
        ngrams: NGrams | None = None,
    ) -> None:
        self.runner, self.parameters = best_runner(network), parameter_count(network)
        self.tokenizer, self.budget, self.path = tokenizer, budget, path
        self._curve = curve or Curve()
        self._cache = PromptCache(self.runner)
        self.borders = Borders()
        self.writer = Writer(self.runner, tokenizer, mixture, ngrams)
        self._piece = functools.lru_cache(4096)(lambda text: tuple(tokenizer.encode(text)))
        self._head = functools.lru_cache(16)(self._split)

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        device: str = "cpu",
        calibrated: bool = True,
        ngrams: NGrams | None = None,
    ) -> Infiller:
        """Load a checkpoint folder; the bundled one by default.

        Args:
            calibrated: whether confidences follow the checkpoint's curve, where it has one.
            ngrams: instead of the checkpoint's own.

        Raises:
            ModelError: it cannot be loaded.
        """
        folder = path or BUNDLED
        _refuse_missing(device)
        network = load(folder, device)
        try:
            tokenizer = Tokenizer.from_file(folder / TOKENIZER)
        except TokenizerFileError as error:
            raise ModelError(f"The tokenizer of the model {folder} cannot be used: {error}.") from error
        if tokenizer.vocab_size != network.config.vocab_size:
            raise ModelError(
                f"The tokenizer in {folder} belongs to another model: the vocabularies differ in size."
            )
        curve = Curve.of_checkpoint(folder) if calibrated else None
        mixture = Mixture.of_checkpoint(folder)
        counts = ngrams or NGrams.of_checkpoint(folder, tokenizer.vocab_size)
        return cls(network, tokenizer, _budget(folder), folder, curve, mixture, counts)

    def drafts(
        self, masked: MaskedText, options: FillOptions, cancelled: Callable[[], bool]
    ) -> Iterator[Draft]:
        """Denoise all regions together; once more, with more slots, where a region does not end in its own.

        Raises:
            Cancelled: ``cancelled`` answered True.
            ModelError: the present text is too long for the widest region.
        """
        started, steps = time.perf_counter(), 0
        task = self._task(masked, options, cancelled)
        for widened in (False, True):
            layout = lay_out(task.healed, task.slots, self.tokenizer, self.budget, self.borders)
            prompt, fresh = self._cache.encode(layout.prompt, layout.prompt_positions)
            task.encoded += fresh
            if len(task.regions) == 1:
                task.regions[0].prompt = prompt
            canvas = self._canvas(layout, task, options)
            schedule = Schedule(options.steps, options.alternatives, options.seed, trust=_TRUST)
            for state in denoise(self.runner, prompt, canvas, self.tokenizer.end_id, schedule, cancelled):
                steps += 1
                fills = [self._fills(state, canvas, row, task) for row in range(options.alternatives)]
                wider = task.slots if widened or not state.final else _wider(task.slots, fills[0])
                final = state.final and wider == task.slots
                if final:
                    fills = self._judged(task, fills)
                ranked = self._calibrated(_ranked(fills, task.around if final and task.regions else None))
                milliseconds = 1000 * (time.perf_counter() - started)
                yield Draft(steps, final, ranked, task.encoded, len(layout.prompt), milliseconds)
            if wider == task.slots:
                return
            task.slots = wider

    def _calibrated(self, alternatives: Alternatives) -> Alternatives:
        return tuple(
            tuple(replace(fill, confidence=self._curve(fill.confidence)) for fill in fills)
            for fills in alternatives
        )

    def warm_up(self) -> None:
        """Fill something: the first use of each size of a matrix product takes far longer than the others."""
        text = "".join(f"value_{number} = first(second, {number})\n" for number in range(32))
        masked = MaskedText((text, text), ("",))
        for _ in self.drafts(masked, FillOptions(single_line=True), lambda: False):
            pass

    def anticipate(self, masked: MaskedText, wanted: Callable[[], bool]) -> None:
        """Encode now what the next keystrokes at region 1 will make necessary, where that is more than themselves.

        The text behind the region moves, and the prefix loses its beginning, once in some dozens of tokens; then
        the whole prompt has to be encoded. Done ahead, between two requests, nobody waits for it.

        Args:
            wanted: asked now and then; stops the work when it answers False.
        """
        prefix, *others = masked.healed().segments
        later = MaskedText((prefix + _AHEAD, *others), masked.present)
        layout = lay_out(later, [BUCKETS[0]] * len(masked.present), self.tokenizer, self.budget, self.borders)
        prompt, positions = layout.prompt[: -len(_AHEAD)], layout.prompt_positions[: -len(_AHEAD)]
        done = self._cache.known(prompt, positions)
        while done < len(prompt) and wanted():
            done = min(len(prompt), done + _PIECE)
            self._cache.encode(prompt[:done], positions[:done])

    def _task(self, masked: MaskedText, options: FillOptions, cancelled: Callable[[], bool]) -> _Task:
        healed = masked.healed()
        known = zip(healed.stems, masked.present, strict=True)
        present = [self.tokenizer.encode(begun + text) for begun, text in known]
        self._refuse_long(present)
        slots = [bucket(len(tokens)) for tokens in present]
        task = _Task(masked, healed, present, slots, Surroundings(masked.segments))
        if options.strength >= 1:
            self._guess(task, options, cancelled)
            task.slots = [bucket(len(guess) + 1) for guess in task.guesses]
        return task

    def _guess(self, task: _Task, options: FillOptions, cancelled: Callable[[], bool]) -> None:
        """Find what each region's canvas begins with: the likeliest of some copies and of what the encoder writes.

        One region after the other, those before it filled with their guesses: each is then the first one of a text.
        """
        first, second, *others = task.masked.segments
        further = copied_texts((first + second, *others))  # until their turn comes
        texts = ["", *(copied or "" for copied in further)]
        for number, begun in enumerate(task.healed.stems):
            region = self._opened(task, number, texts, options)
            task.regions.append(region)
            written = self.writer.write(region.prompt, region.opening, _LONGEST_GUESS, cancelled)
            behind = "".join(task.masked.segments[number + 1 :])[len(region.rest) :]
            before = _joined(task.masked.segments, texts, number)
            found = copies(before, "\n".join((behind, *options.context, *region.echoes)), _COPIES)
            lines = [region.begun + text for text in found]
            lines += _beginnings(self.tokenizer.decode_lossy(written))
            whole = (text for line in lines for text in ending(line, len(region.begun), region.rest))
            self._judge(region, list(dict.fromkeys(whole))[:_OFFERED] or [region.begun])
            texts[number] = self._best(task, number, texts)
            task.guesses.append(self.tokenizer.encode(begun + texts[number])[:_LONGEST_GUESS])

    def _opened(self, task: _Task, number: int, texts: Sequence[str], options: FillOptions) -> _Region:
        """A region as the first one of a text, the regions before it being filled with these texts."""
        masked = task.masked
        segments = (_joined(masked.segments, texts, number), *masked.segments[number + 1 :])
        healed = MaskedText(segments, masked.present[number:]).healed()
        # With the widths that the canvas will have: the text behind region 1 is then encoded once for both.
        widths = [BUCKETS[0], *(bucket(len(self._piece(text)) + 1) for text in texts[number + 1 :])]
        opened = self.open(healed, options.single_line, options.context, widths)
        task.encoded += opened.encoded
        prompt = opened.prompt
        if len(masked.present) > 1:  # the cache goes on in the same place
            prompt = self.runner.prompt()
            prompt.copy(opened.prompt, opened.prompt.length)
        rest = rest_of_line("".join(segments[1:])) if options.single_line else ""
        return _Region(healed.stems[0], rest, prompt, opened.opening, opened.echoes)

    def _judge(self, region: _Region, texts: Sequence[str]) -> None:
        """Note how likely some texts of a region are, the rest of its line included."""
        encoded = (tuple(self.tokenizer.encode(text)) for text in texts)
        new = [line for line in encoded if len(line) <= _LONGEST_GUESS and line not in region.likely]
        if new:
            judged = self.writer.judge(region.prompt, region.opening, new)
            region.likely |= zip(new, judged, strict=True)
        if not region.likely:
            self._judge(region, [region.begun])

    def _best(self, task: _Task, number: int, texts: Sequence[str]) -> str:
        """The likeliest text of a region that parses beside those of the others, repaired where none does."""
        region = task.regions[number]
        (best,) = self._fitting(task, number, texts, 1)
        if self._errors(task, number, best, texts):
            self._judge(region, self._repaired(task, number, texts))
            (best,) = self._fitting(task, number, texts, 1)
        return self._alone(region, best)

    def _fitting(self, task: _Task, number: int, texts: Sequence[str], count: int) -> list[tuple[int, ...]]:
        """The likeliest texts of a region, those first that leave the fewest syntax errors beside the others'."""
        likely = task.regions[number].likely
        likeliest = heapq.nlargest(_PARSED, likely, key=lambda text: likely[text])
        if count == 1 and not self._errors(task, number, likeliest[0], texts):
            return likeliest[:1]
        return sorted(likeliest, key=lambda text: self._errors(task, number, text, texts))[:count]

    def _errors(self, task: _Task, number: int, text: Sequence[int], texts: Sequence[str]) -> int:
        """Syntax errors with a text in a region, the rest of its line included, and ``texts`` in the others."""
        own = self._alone(task.regions[number], text)
        return task.around.errors([*texts[:number], own, *texts[number + 1 :]])

    def _alone(self, region: _Region, text: Sequence[int]) -> str:
        """A text of a region without what is known of it and without the rest of its line."""
        return self.tokenizer.decode_lossy(text).removesuffix(region.rest)[len(region.begun) :]

    def _repaired(self, task: _Task, number: int, texts: Sequence[str]) -> list[str]:
        """The likeliest texts of a region with brackets and colons put right, the rest of its line included."""
        region, before = task.regions[number], _joined(task.masked.segments, texts, number)
        line = before.rsplit("\n", 1)[-1]
        fixed, known = line.removesuffix(region.begun), before.removesuffix(region.begun)
        behind = "".join(task.masked.segments[number + 1 :])
        found: dict[str, None] = {}
        for tokens in heapq.nlargest(_REPAIRED, region.likely, key=lambda text: region.likely[text]):
            text = self.tokenizer.decode_lossy(tokens).removesuffix(region.rest)
            above, newline, last = text.rpartition("\n")
            if newline:
                mended = [above + newline + whole for whole in line_repairs(last, 0, "")]
            else:
                mended = [
                    whole.removeprefix(fixed) for whole in line_repairs(fixed + text, len(line), region.rest)
                ]
            mended += (whole for whole in docstring_repairs(known, text) if whole.startswith(region.begun))
            if not region.opening.single_line:
                mended += ending_repairs(known, text, behind)
            found |= dict.fromkeys(whole + region.rest for whole in mended)
        return self._parsing(task, number, list(found), texts)

    def _parsing(self, task: _Task, number: int, found: Sequence[str], texts: Sequence[str]) -> list[str]:
        """Those of some texts of a region that leave the fewest syntax errors."""
        errors = [self._errors(task, number, self.tokenizer.encode(text), texts) for text in found]
        fewest = min(errors, default=0)
        return [text for text, count in zip(found, errors, strict=True) if count == fewest]

    def open(
        self,
        healed: MaskedText,
        single_line: bool,
        context: Sequence[str] = (),
        slots: Sequence[int] | None = None,
    ) -> Opened:
        """Encode the prompt of a healed text, and look what may be copied into region 1."""
        widths = slots or [BUCKETS[0]] * len(healed.present)
        layout = lay_out(healed, widths, self.tokenizer, self.budget, self.borders)
        prompt, fresh = self._cache.encode(layout.prompt, layout.prompt_positions)
        before, behind = _REACH
        first = healed.segments[0]
        prefix = self._pieces(first[max(0, len(first) - before) // _BLOCK * _BLOCK :])
        later = [text[:behind] for text in healed.segments[1:]]
        echoes = renamings(first[-before:] + healed.stems[0], "\n".join((*later, *context)), _RENAMED)
        said = (packed(self.tokenizer.encode(text)) for text in echoes)
        document = Document([prefix, *map(self._pieces, (*later, *context)), *said])
        begun, last = healed.stems[0].encode(), prefix[-LONGEST:].tolist()
        copier = Copier.behind(document, last)
        opening = Opening(layout.opening_position, copier, begun, single_line, tuple(last[-CONTEXT:]))
        return Opened(prompt, opening, echoes, fresh)

    def compare(self, prompt: Prompt, opening: Opening, text: Sequence[int]) -> list[Comparison]:
        """See `Writer.compare`."""
        return self.writer.compare(prompt, opening, text)

    def _pieces(self, text: str) -> Packed:
        """Tokens of a long text; all but its last statement, where somebody may type, are remembered as a whole."""
        end = text.rfind("\n")
        while end >= 0 and text[end + 1 : end + 2].strip() == "":
            end = text.rfind("\n", 0, end)
        return numpy.concatenate([self._head(text[: end + 1]), packed(self._piece(text[end + 1 :]))])

    def _split(self, text: str) -> Packed:
        """Tokens of a text, those of its statements from memory."""
        return packed([token for piece in _TOP_LEVEL.split(text) for token in self._piece(piece)])

    def _canvas(self, layout: Layout, task: _Task, options: FillOptions) -> Canvas:
        canvas = Canvas.empty(layout.canvas_positions, layout.runs)
        known = [self.tokenizer.encode(begun) for begun in task.healed.stems]
        if options.strength < 1:
            start, fixed = self._kept(layout, task.present, options)
            return replace(canvas, start=start, fixed=fixed, pinned=_first(layout.slots, known))
        drafts: list[int] = []
        start = torch.zeros(len(layout.canvas_positions), dtype=torch.long)
        for guess, width, run, tokens in zip(task.guesses, layout.slots, layout.runs, known, strict=True):
            drafts += drafted(self.tokenizer, guess, width) if guess else [-1] * width
            start[run][: len(tokens)] = torch.tensor(tokens, dtype=torch.long)[:width]
        pins = [[] if guess else tokens for guess, tokens in zip(task.guesses, known, strict=True)]
        return replace(canvas, start=start, pinned=_first(layout.slots, pins), draft=torch.tensor(drafts))

    def _kept(self, layout: Layout, present: list[list[int]], options: FillOptions) -> tuple[Tensor, Tensor]:
        """The present text as token ids, and which slots keep it: all but a random share of ``strength``."""
        start: list[int] = []
        for tokens, width in zip(present, layout.slots, strict=True):
            start += [*tokens, self.tokenizer.end_id, *[self.tokenizer.pad_id] * (width - len(tokens) - 1)]
        generator = torch.Generator().manual_seed(options.seed)
        return torch.tensor(start), torch.rand(len(start), generator=generator) >= options.strength

    def _fills(self, state: State, canvas: Canvas, row: int, task: _Task) -> list[Fill]:
        return [
            self._fill(state.ids[row, run], state.probabilities[row, run], state.accepted[row, run], begun)
            for run, begun in zip(canvas.runs, task.healed.stems, strict=True)
        ]

    def _fill(self, ids: Tensor, probabilities: Tensor, accepted: Tensor, begun: str) -> Fill:
        """What a region's slots say; nothing where they contradict what is known of it or stand for no text."""
        tokens: list[int] = ids.tolist()
        complete = self.tokenizer.end_id in tokens
        length = tokens.index(self.tokenizer.end_id) if complete else len(tokens)
        shown = zip(tokens[:length], probabilities.tolist(), accepted.tolist(), strict=False)
        slots = tuple((self.tokenizer.decode_lossy([token]), sure, settled) for token, sure, settled in shown)
        try:
            text = self.tokenizer.decode(tokens[:length])
        except UndecodableTokens:
            text = ""
        if not text.startswith(begun):
            return Fill("", 0.0, False, _without(len(begun), slots))
        confidence = float(probabilities[: length + 1].prod())
        return Fill(text[len(begun) :], confidence, complete, _without(len(begun), slots))

    def _judged(self, task: _Task, alternatives: list[list[Fill]]) -> list[list[Fill]]:
        """The alternatives with likelihoods as their confidences, and the likeliest texts of each region beside them.

        So what the denoiser made of a guess counts only where it is likelier than the guess itself, and where the best
        one turns out to be of no use there are others.
        """
        if not task.regions:
            return alternatives
        for region, fills in zip(task.regions, zip(*alternatives, strict=True), strict=True):
            self._judge(region, list(dict.fromkeys(region.begun + fill.text + region.rest for fill in fills)))
        texts = [fill.text for fill in alternatives[0]]
        for number in [*range(len(texts))] * _ROUNDS if len(texts) > 1 else ():
            texts[number] = self._best(task, number, texts)
        further = [self._guessed(region, text) for region, text in zip(task.regions, texts, strict=True)][1:]
        best = (self._alone(task.regions[0], text) for text in self._fitting(task, 0, texts, _GUESSES))
        rated = [
            [self._rated(region, fill) for region, fill in zip(task.regions, fills, strict=True)]
            for fills in alternatives
        ]
        return [*rated, *([self._guessed(task.regions[0], text), *further] for text in best)]

    def _rated(self, region: _Region, fill: Fill) -> Fill:
        """A denoised fill, as sure as it is likely; not at all where it does not end."""
        likely = region.likely.get(self._whole(region, fill.text), -math.inf)
        return replace(fill, confidence=math.exp(likely) if fill.complete else 0.0)

    def _guessed(self, region: _Region, text: str) -> Fill:
        """A text of a region that was judged, as a fill."""
        whole = self._whole(region, text)
        likely = region.likely.get(whole, -math.inf)
        sure = math.exp(likely / (len(whole) + 1))  # of a token, on average
        slots = tuple(
            (self.tokenizer.decode_lossy([token]), sure, True) for token in self._piece(region.begun + text)
        )
        return Fill(text, math.exp(likely), True, _without(len(region.begun), slots))

    def _whole(self, region: _Region, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(region.begun + text + region.rest))

    def _refuse_long(self, present: list[list[int]]) -> None:
        longest = max(map(len, present))
        if longest >= BUCKETS[-1]:
            raise ModelError(
                f"A region of {longest} tokens is too long for this model; select less, {BUCKETS[-1] - 1} at most."
            )


def _joined(segments: Sequence[str], texts: Sequence[str], number: int) -> str:
    """The text before a region, those before it being filled with ``texts``."""
    parts = [part for pair in zip(segments, texts[:number], strict=False) for part in pair]
    return "".join([*parts, segments[number]])


def _without(characters: int, slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """The slots without the first characters of their text."""
    kept: list[Slot] = []
    for text, sure, settled in slots:
        if characters < len(text):
            kept.append((text[characters:], sure, settled))
        characters = max(0, characters - len(text))
    return tuple(kept)


def _first(slots: Sequence[int], tokens: Sequence[Sequence[int]]) -> Tensor:
    """Which slots are the first ones of their region, as many as it has tokens."""
    rows = [torch.arange(width) < len(known) for width, known in zip(slots, tokens, strict=True)]
    return torch.cat(rows)


def _ranked(fills: list[list[Fill]], around: Surroundings | None) -> Alternatives:
    """Different alternatives: those whose regions all end first, then by syntax errors, then by confidence."""
    different = {tuple(fill.text for fill in regions): tuple(regions) for regions in reversed(fills)}
    return tuple(sorted(different.values(), key=lambda regions: _rank(regions, around), reverse=True))


def _rank(regions: tuple[Fill, ...], around: Surroundings | None) -> tuple[bool, int, float]:
    joint = 1.0
    for fill in regions:
        joint *= fill.confidence
    errors = around.errors([fill.text for fill in regions]) if around else 0
    return all(fill.complete for fill in regions), -errors, joint


def _beginnings(text: str) -> list[str]:
    """A text, and its beginnings that end with a line."""
    ends = [match.start() for match in re.finditer(r"\n(?=\s*\S)", text)]
    return [text, *(text[:end] for end in ends)]


def _wider(slots: list[int], fills: list[Fill]) -> list[int]:
    """64 slots for each region that did not end; with more of them a small model only rambles.

    At once, since every change of a width moves the text behind it, which has to be encoded anew.
    """
    limit = BUCKETS[2]
    return [width if fill.complete else max(limit, width) for width, fill in zip(slots, fills, strict=True)]


def _budget(folder: Path) -> Budget:
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    try:
        return Budget(**config[LAYOUT_KEY])
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"The model {folder} was not trained to fill regions in our layout; use a checkpoint made by model/train."
        ) from error


def _refuse_missing(device: str) -> None:
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("There is no CUDA device on this machine; use the device cpu.")
    if device not in {"cpu", "mps"} and not device.startswith("cuda"):
        raise ModelError(f"There is no device {device}; use cpu, cuda or mps.")
