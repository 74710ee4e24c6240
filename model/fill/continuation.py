"""`Continuation`: fills regions with a grown checkpoint, by writing on in the layout of `layouts.suffix_first`.

The regions are filled one after the other, each with the earlier ones in place. A region takes three steps: *compute*
the prompt, of which earlier requests have left most; *write* the likeliest text, guesses being verified in blocks; and
where the line goes on behind the region, *choose* where the text ends. torch is not imported where the network runs in
compiled code.

Confidences are likelihoods of texts. They are not calibrated yet unless the checkpoint's folder says how.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dgemma_model.base_tokenizer import BaseTokenizer
from dgemma_model.errors import Cancelled, ModelError
from dgemma_model.fill.block_ends import block_end, line_end
from dgemma_model.fill.fitted import Fitted
from dgemma_model.fill.kept_prompts import Kept, KeptPrompts
from dgemma_model.fill.line_ends import likelihoods, possible_ends, tree_of_ends
from dgemma_model.fill.places import Extent, Place, place_of
from dgemma_model.fill.writer import Start, Stop, Writer, Written
from dgemma_model.guess.line_copies import copies
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.layouts.suffix_first import LAYOUT_KEY, Budget, Marks, SuffixFirst
from dgemma_model.network.folder import TOKENIZER, read_config
from dgemma_model.network.open_quantized import open_network
from dgemma_model.network.quantized import Floats, QuantizedNetwork, Shape
from dgemma_model.protocol import (
    Capabilities,
    Draft,
    EngineInfo,
    Fill,
    FillRequest,
    Hint,
    ProofreadRequest,
    Slot,
)

MOST_IN_LINE = 64
"""Tokens of a region inside a line, or at its end."""
MOST_IN_BLOCK = 256
"""Tokens of a region of several lines."""


@dataclass(slots=True)
class _Task:
    """A request on its way.

    Attributes:
        request: what was asked.
        masked: its document.
        cancelled: whether nobody waits any more.
        fills: the regions that are filled.
        others: further fills of the first region, the likeliest first.
        encoded: prompt tokens that had to be computed.
        prompt: length of the last prompt.
        steps: passes so far.
    """

    request: FillRequest
    masked: MaskedText
    cancelled: Callable[[], bool]
    started: float
    fills: list[Fill] = field(default_factory=list)
    others: list[Fill] = field(default_factory=list)
    encoded: int = 0
    prompt: int = 0
    steps: int = 0

    def draft(self, fills: Sequence[Fill]) -> Draft:
        """What is known so far; regions that were not begun are empty."""
        self.steps += 1
        missing = len(self.request.present) - len(fills)
        row = (*fills, *[Fill("", 0.0, complete=False)] * missing)
        return Draft(self.steps, False, (row,), self.encoded, self.prompt, self._milliseconds())

    def final(self) -> Draft:
        """All regions, and the alternatives of the first one with the same text in the others."""
        rows = [tuple(self.fills), *((fill, *self.fills[1:]) for fill in self.others)]
        most = self.request.options.alternatives
        return Draft(
            self.steps + 1, True, tuple(rows[:most]), self.encoded, self.prompt, self._milliseconds()
        )

    def _milliseconds(self) -> float:
        return 1000 * (time.perf_counter() - self.started)


class Continuation:
    """A loaded checkpoint, ready to fill; see `filler.Filler`. Only one thread at a time may use it.

    It writes every region anew, whatever `FillOptions.strength` says, and takes the likeliest text, whatever the seed.

    Attributes:
        info: what is loaded, and what it can do.
        layout: makes prompts.
    """

    def __init__(
        self,
        network: QuantizedNetwork,
        tokenizer: BaseTokenizer,
        layout: SuffixFirst,
        info: EngineInfo,
        fitted: Fitted,
    ) -> None:
        self.info, self.layout = info, layout
        self._network, self._tokenizer = network, tokenizer
        self._writer = Writer(network, tokenizer)
        self._prompts = KeptPrompts(network)
        self._fitted = fitted
        self._last: tuple[FillRequest, str] | None = None  # and what was put into its first region

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", threads: int | None = None) -> Continuation:
        """Load a checkpoint folder.

        Args:
            folder: made by ``python -m dgemma_model.grow``.
            device: grown checkpoints run on "cpu" only.
            threads: of the network; as many as there are cores where nothing is said.

        Raises:
            ModelError: it cannot be loaded.
        """
        if device != "cpu":
            raise ModelError(f"A grown model runs on the device cpu only, not on {device}.")
        config = read_config(folder)
        try:
            budget = Budget(**config[LAYOUT_KEY])
        except TypeError as error:
            raise ModelError(f"The section {LAYOUT_KEY} of {folder}/config.json is no budget.") from error
        network = open_network(folder, threads)
        tokenizer = BaseTokenizer.from_file(folder / TOKENIZER, network.shape.vocabulary)
        layout = SuffixFirst(Marks.find(tokenizer.special), tokenizer.encode, budget)
        info = _info(folder, config, network.shape)
        return cls(network, tokenizer, layout, info, Fitted.of_checkpoint(folder))

    def drafts(self, request: FillRequest, cancelled: Callable[[], bool]) -> Iterator[Draft]:
        """See `Filler.drafts`: a draft follows every pass of the network."""
        masked = MaskedText(request.segments, request.present)
        task = _Task(request, masked, cancelled, time.perf_counter())
        for region in range(len(request.present)):
            filled = [fill.text for fill in task.fills]
            place = place_of(masked, region, filled, request.options.single_line)
            yield from self._fill(task, place)
        if request.options.alternatives > 1 and not task.others:
            yield from self._write_others(task)
        task.others = _different(task.others, task.fills[0])
        self._last = request, task.fills[0].text
        yield task.final()

    def hints(self, request: ProofreadRequest, cancelled: Callable[[], bool]) -> Iterator[tuple[Hint, ...]]:
        """See `Filler.hints`; a grown checkpoint does not proofread yet."""
        raise ModelError("This model cannot proofread.")

    def warm_up(self) -> None:
        """Read all weights once."""
        self._prompts.compute(self.layout.prompt("value = first\n" * 8, ""))

    def anticipate(self, request: FillRequest, idle: Callable[[], bool]) -> None:
        """Compute the prompt that typing or accepting the last fill of a single region will need."""
        if len(request.present) > 1 or self._last is None or self._last[0] != request or not idle():
            return
        before, behind = request.segments
        masked = MaskedText((before + self._last[1], behind), ("",))
        self._prompts.compute(self._prompt(request, place_of(masked, 0, (), request.options.single_line)))

    def _prompt(self, request: FillRequest, place: Place) -> list[int]:
        return self.layout.prompt(place.before, place.below, request.context)

    def _compute(self, task: _Task, place: Place) -> tuple[Kept, Floats]:
        _check(task.cancelled)
        kept, state, new = self._prompts.compute(self._prompt(task.request, place))
        task.encoded += new
        task.prompt = len(kept.ids)
        return kept, state

    def _fill(self, task: _Task, place: Place) -> Iterator[Draft]:
        """Fill the next region."""
        kept, state = self._compute(task, place)
        start = Start(state, place.stem, blank=not place.empty)
        length = len(kept.ids)
        written = yield from self._write(task, place, kept, start)
        if place.extent is not Extent.INSIDE:
            task.fills.append(self._plain_fill(place, written))
            return
        kept.truncate(length)
        found = self._fills_inside(kept, state, place, written)
        if not task.fills:
            task.others = found[1:]
        task.fills.append(found[0])

    def _write(self, task: _Task, place: Place, kept: Kept, start: Start) -> Generator[Draft, None, Written]:
        """Write a text, with a draft after every pass; while another text of the first region is written, the first."""
        guess, done, written = partial(_guesses, place), len(task.fills), Written()
        for written in self._writer.write(kept, start, guess, _stop(place), _most(place)):
            shown = [] if done == len(task.request.present) else [self._plain_fill(place, written)]
            yield task.draft([*task.fills, *shown])
            _check(task.cancelled)
        return written

    def _write_others(self, task: _Task) -> Iterator[Draft]:
        """Write the first region again, with the next best first tokens."""
        options = task.request.options
        place = place_of(task.masked, 0, (), options.single_line)
        if place.extent is Extent.INSIDE:
            return
        for rank in range(1, options.alternatives):
            kept, state = self._compute(task, place)
            start = Start(state, place.stem, rank, blank=not place.empty)
            written = yield from self._write(task, place, kept, start)
            task.others.append(self._plain_fill(place, written))

    def _plain_fill(self, place: Place, written: Written) -> Fill:
        """What was written to its end."""
        return self._made(place, written.complete, sum(written.likelihoods), written.done)

    def _fills_inside(self, kept: Kept, state: Floats, place: Place, written: Written) -> list[Fill]:
        """End what was written where the rest of the line follows best; further ends behind."""
        line = written.complete
        ends = possible_ends(line, len(place.stem), place.rest)
        if not ends:
            return [Fill("", 0.0)]
        tree = tree_of_ends(line, ends, place.rest, self._tokenizer.encode)
        rated = likelihoods(self._network, kept, state, tree)
        shares = _shares(rated)
        order = sorted(range(len(rated)), key=lambda index: -rated[index])
        return [
            self._made(place, line[: ends[index]], self._until(written, ends[index]) + shares[index], True)
            for index in order
        ]

    def _until(self, written: Written, end: int) -> float:
        """The log-likelihood of the tokens that lie within the first characters of a text."""
        total, data = 0.0, len(written.text[:end].encode())
        for token, likelihood in zip(written.ids, written.likelihoods, strict=True):
            data -= len(self._tokenizer.spelling.tokens[token])
            if data < 0:
                break
            total += likelihood
        return total

    def _made(self, place: Place, text: str, likelihood: float, complete: bool) -> Fill:
        confidence = self._fitted.confidence(math.exp(min(likelihood, 0.0)))
        fill = text[len(place.stem) :]
        if place.extent is not Extent.INSIDE:
            fill = fill.rstrip() + place.tail
        slots = (Slot(fill, confidence, complete),) if fill else ()
        return Fill(fill, confidence, complete, slots)


def _guesses(place: Place, written: str) -> list[str]:
    """Lines of the document that may follow what was written so far."""
    return [text + "\n" for text in copies(place.before + written, "\n" + place.below, 1)]


def _stop(place: Place) -> Stop:
    if place.extent is Extent.BLOCK:
        return lambda text: block_end(place.line, text, place.below)
    return line_end


def _most(place: Place) -> int:
    return MOST_IN_BLOCK if place.extent is Extent.BLOCK else MOST_IN_LINE


def _shares(rated: Sequence[float]) -> list[float]:
    """The logarithm of each text's share of the likelihood of all."""
    largest = max(rated)
    total = largest + math.log(sum(math.exp(each - largest) for each in rated))
    return [each - total for each in rated]


def _different(fills: Sequence[Fill], first: Fill) -> list[Fill]:
    """Those with different texts, the surest first."""
    found = {first.text: first}
    for fill in sorted(fills, key=lambda fill: -fill.confidence):
        found.setdefault(fill.text, fill)
    return list(found.values())[1:]


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled


def _info(folder: Path, config: Mapping[str, Any], shape: Shape) -> EngineInfo:
    storage, plain = config["storage"], config["plain"]
    return EngineInfo(
        name="local",
        model=folder.name,
        parameters=parameters(shape),
        device="cpu",
        dtype=f"int{storage['matrices']}",
        capabilities=Capabilities(proofreads=False, context_length=int(plain["context"])),
    )


def parameters(shape: Shape) -> int:
    """How many weights the matrices of a network have, the head not counted."""
    attention = 2 * shape.hidden * (shape.heads + shape.kv_heads) * shape.head_dim
    return shape.vocabulary * shape.hidden + shape.layers * (attention + 3 * shape.hidden * shape.inner)
