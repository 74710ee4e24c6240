"""`Infiller`: fills regions with a checkpoint that was trained on the layout of `layouts.infill`.

A request goes through four phases. *Guess*, one region after the other: lines of the document that might stand there,
and what the encoder writes, are rated; the likeliest begins the canvas. *Denoise* all regions together. *Judge* the
result: the likelier of guess and denoised text is the fill, and its likelihood becomes the confidence. *Anticipate*,
when nobody waits: encode what the next keystrokes will make necessary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dgemma_model.denoise.loop import Canvas, Schedule, denoise
from dgemma_model.errors import ModelError
from dgemma_model.fill.canvas import guessed_canvas, present_canvas, read_fills, wider
from dgemma_model.fill.confidence import Curve
from dgemma_model.fill.fitted import Fitted
from dgemma_model.fill.guesses import Guesser
from dgemma_model.fill.judge import Alternatives, Judge, ranked
from dgemma_model.fill.prompt import Prompts
from dgemma_model.fill.proofread import Proofreader
from dgemma_model.guess.encoder import Encoder
from dgemma_model.guess.ngrams import NGrams
from dgemma_model.layouts.infill import BUCKETS, LAYOUT_KEY, Budget, Layout, bucket
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.network.best_runner import best_runner
from dgemma_model.network.checkpoint import load, parameter_count
from dgemma_model.network.folder import BUNDLED, TOKENIZER, read_config
from dgemma_model.network.layers import Network
from dgemma_model.network.runner import Prompt
from dgemma_model.protocol import (
    Capabilities,
    Draft,
    EngineInfo,
    Fill,
    FillOptions,
    FillRequest,
    Hint,
    ProofreadRequest,
)
from dgemma_model.tokenizer import Tokenizer, TokenizerFileError


@dataclass(slots=True)
class _Task:
    """A request on its way.

    Attributes:
        options: how to fill.
        stems: the known beginning of each region.
        healed: the document, with every region beginning where its first token begins.
        present: tokens of the present text of each region, its stem included.
        guesses: tokens that each region begins with; none if the present text is only repaired.
        slots: width of each region.
        judge: chooses between texts.
        encoded: tokens that had to be encoded so far.
    """

    options: FillOptions
    stems: tuple[str, ...]
    healed: MaskedText
    present: list[list[int]]
    guesses: list[list[int]]
    slots: list[int]
    judge: Judge
    encoded: int = 0


class Infiller:
    """A loaded checkpoint, ready to fill. Only one thread at a time may use it.

    Attributes:
        info: what is loaded, and what it can do.
        runner: runs the network.
        tokenizer: of the checkpoint.
        prompts: lays out and encodes documents.
        encoder: writes and rates texts.
        proofreader: reads texts for mistakes.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        budget: Budget,
        path: Path,
        fitted: Fitted | None = None,
        ngrams: NGrams | None = None,
    ) -> None:
        self._fitted = fitted or Fitted()
        self.tokenizer, self.runner = tokenizer, best_runner(network)
        self.prompts = Prompts(self.runner, tokenizer, budget)
        self.encoder = Encoder(self.runner, tokenizer, self._fitted.mixture, ngrams)
        self.proofreader = Proofreader(self.prompts, self.encoder, tokenizer)
        self.info = EngineInfo(
            name="local",
            model="bundled" if path.resolve() == BUNDLED.resolve() else path.name,
            parameters=parameter_count(network),
            device=network.embedding.device.type,
            dtype=str(self.runner.dtype).removeprefix("torch."),
            capabilities=Capabilities(
                languages=("python",), proofreads=self._fitted.proofreading is not None
            ),
        )

    @classmethod
    def load(
        cls,
        folder: Path = BUNDLED,
        device: str = "cpu",
        *,
        calibrated: bool = True,
        ngrams: NGrams | None = None,
    ) -> Infiller:
        """Load a checkpoint folder.

        Args:
            folder: the bundled checkpoint by default.
            device: see `Device`.
            calibrated: whether confidences follow the checkpoint's curve.
            ngrams: in place of the checkpoint's own.

        Raises:
            ModelError: it cannot be loaded.
        """
        network = load(folder, device)
        try:
            tokenizer = Tokenizer.from_file(folder / TOKENIZER)
        except TokenizerFileError as error:
            raise ModelError(f"The tokenizer of the model {folder} cannot be used: {error}.") from error
        if tokenizer.vocab_size != network.config.vocab_size:
            raise ModelError(
                f"The tokenizer in {folder} belongs to another model: the vocabularies differ in size."
            )
        fitted = Fitted.of_checkpoint(folder)
        if not calibrated:
            fitted = replace(fitted, confidence=Curve())
        counts = ngrams or NGrams.of_checkpoint(folder, tokenizer.vocab_size)
        return cls(network, tokenizer, _budget(folder), folder, fitted, counts)

    def drafts(self, request: FillRequest, cancelled: Callable[[], bool]) -> Iterator[Draft]:
        """Denoise all regions together; once more, with more slots, if a region does not end in its own.

        Raises:
            Cancelled: ``cancelled`` answered True.
            ModelError: the present text is too long for the widest region.
        """
        started, steps, widened = time.perf_counter(), 0, False
        task = self._begin(request, cancelled)
        while True:
            layout = self.prompts.lay_out(task.healed, task.slots)
            prompt, canvas = self._encode(layout, task), self._canvas(layout, task)
            schedule = self._schedule(task.options)
            for state in denoise(self.runner, prompt, canvas, self.tokenizer.end_id, schedule, cancelled):
                steps += 1
                rows = range(task.options.alternatives)
                fills = [read_fills(state, row, canvas, task.stems, self.tokenizer) for row in rows]
                slots = wider(task.slots, fills[0]) if state.final and not widened else task.slots
                final = state.final and slots == task.slots
                alternatives = self._alternatives(task, fills, final)
                milliseconds = 1000 * (time.perf_counter() - started)
                yield Draft(steps, final, alternatives, task.encoded, len(layout.prompt), milliseconds)
            if slots == task.slots:
                return
            task.slots, widened = slots, True

    def hints(self, request: ProofreadRequest, cancelled: Callable[[], bool]) -> Iterator[tuple[Hint, ...]]:
        """See `Filler.hints`."""
        weights = self._fitted.proofreading
        if weights is None:
            raise ModelError(
                "This model cannot proofread; fit it with python -m dgemma_model.train.fit.proofread."
            )
        return self.proofreader.hints(request, weights, cancelled)

    def warm_up(self) -> None:
        """Fill something: the first use of each size of a matrix product takes far longer than later ones."""
        text = "".join(f"value_{number} = first(second, {number})\n" for number in range(32))
        request = FillRequest((text, text), ("",), FillOptions(single_line=True))
        for _ in self.drafts(request, lambda: False):
            pass

    def anticipate(self, request: FillRequest, idle: Callable[[], bool]) -> None:
        """Encode what the next keystrokes will make necessary, if the request was for new text."""
        if _is_new(request.options):
            self.prompts.anticipate(MaskedText(request.segments, request.present), idle)

    def _begin(self, request: FillRequest, cancelled: Callable[[], bool]) -> _Task:
        """Guess each region, unless its present text is only to be repaired."""
        masked, options = MaskedText(request.segments, request.present), request.options
        healed = masked.healed()
        known = zip(healed.stems, masked.present, strict=True)
        present = [self.tokenizer.encode(stem + text) for stem, text in known]
        _refuse_long(present)
        judge = Judge(masked, self.encoder, self.tokenizer, self.prompts.pieces)
        if not _is_new(options):
            slots = [bucket(len(tokens)) for tokens in present]
            return _Task(options, healed.stems, healed, present, [], slots, judge)
        context = [piece.text for piece in request.context]
        guesser = Guesser(masked, judge, self.prompts, self.encoder, self.tokenizer)
        guesses = guesser.guess(options.single_line, context, cancelled)
        slots = [bucket(len(guess) + 1) for guess in guesses]
        encoded = sum(region.encoded for region in judge.regions)
        return _Task(options, healed.stems, healed, present, guesses, slots, judge, encoded)

    def _encode(self, layout: Layout, task: _Task) -> Prompt:
        prompt, encoded = self.prompts.encode(layout)
        task.encoded += encoded
        if len(task.judge.regions) == 1:  # its own prompt may have gone on in the same place
            task.judge.regions[0].prompt = prompt
        return prompt

    def _canvas(self, layout: Layout, task: _Task) -> Canvas:
        stems = [self.tokenizer.encode(stem) for stem in task.stems]
        if _is_new(task.options):
            return guessed_canvas(layout, stems, task.guesses, self.tokenizer)
        return present_canvas(layout, stems, task.present, task.options, self.tokenizer)

    def _schedule(self, options: FillOptions) -> Schedule:
        return Schedule(options.steps, options.alternatives, options.seed, trust=self._fitted.trust)

    def _alternatives(self, task: _Task, fills: list[list[Fill]], final: bool) -> Alternatives:
        """Rank the alternatives; the final ones are judged first, if they were guessed."""
        judge = task.judge if final and task.judge.regions else None
        alternatives = ranked(judge.judged(fills) if judge else fills, judge)
        curve = self._fitted.confidence
        return tuple(
            tuple(replace(fill, confidence=curve(fill.confidence)) for fill in fills)
            for fills in alternatives
        )


def _is_new(options: FillOptions) -> bool:
    """Tell whether the present text is forgotten entirely, so that something new is written."""
    return options.strength >= 1


def _refuse_long(present: list[list[int]]) -> None:
    longest = max(map(len, present))
    if longest >= BUCKETS[-1]:
        raise ModelError(
            f"A region of {longest} tokens is too long for this model; select less, {BUCKETS[-1] - 1} at most."
        )


def _budget(folder: Path) -> Budget:
    try:
        return Budget(**read_config(folder)[LAYOUT_KEY])
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"The model {folder} was not trained to fill regions in our layout; use a checkpoint made by model/train."
        ) from error
