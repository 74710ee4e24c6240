"""What tests share: a deterministic engine that fills with what it is told to, and masked documents as marked text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dgemma_lsp.engines.base import Cancelled, EngineError, FillCancelled
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_model.protocol import Draft, EngineInfo, Fill, FillRequest, Hint, ProofreadRequest, Slot

Script = Callable[[tuple[str, ...], tuple[str, ...]], Sequence[Sequence[str | Fill]]]
"""From segments and present texts to [alternative][region] fills."""


@dataclass
class FakeEngine:
    """An `Engine` that fills with what it is told to; no model, no noise.

    Attributes:
        fills: [alternative][region]; a plain text gets ``confidence``; or a function of segments and present texts.
        confidence: of plain texts.
        steps: drafts before it is done, ``options.steps`` permitting.
        step_seconds: how long each step takes.
        load_error: `load` fails with this sentence.
        fails_at_step: the engine dies there.
        requests: what it was asked, for tests to look at.
    """

    fills: Sequence[Sequence[str | Fill]] | Script = (("x",),)
    confidence: float = 0.9
    steps: int = 3
    step_seconds: float = 0.0
    load_error: str | None = None
    fails_at_step: int | None = None
    requests: list[FillRequest] = field(default_factory=list)
    loads: int = 0
    closed: bool = False

    def load(self) -> EngineInfo:
        self.loads += 1
        if self.load_error:
            raise EngineError(self.load_error)
        return EngineInfo("fake", "told what to say", 0, "cpu", "none")

    def drafts(self, request: FillRequest, cancelled: Cancelled) -> Iterator[Draft]:
        self.requests.append(request)
        scripted = self.fills(request.segments, request.present) if callable(self.fills) else self.fills
        alternatives = [[self._fill(fill) for fill in fills] for fills in scripted]
        steps = min(self.steps, request.options.steps)
        for step in range(1, steps + 1):
            if cancelled():
                raise FillCancelled
            if step == self.fails_at_step:
                raise EngineError("The fake engine died, as it was told to.")
            time.sleep(self.step_seconds)
            shown = tuple(tuple(_at_step(fill, step, steps) for fill in fills) for fills in alternatives)
            yield Draft(step, step == steps, shown, 7, 11, float(step))

    def hints(self, request: ProofreadRequest, cancelled: Cancelled) -> Iterator[list[Hint]]:
        for start, end in request.spans:
            if cancelled():
                raise FillCancelled
            yield [Hint(start, end, "x", self.confidence)]

    def close(self) -> None:
        self.closed = True

    def _fill(self, fill: str | Fill) -> Fill:
        return Fill(fill, self.confidence) if isinstance(fill, str) else fill


def _at_step(fill: Fill, step: int, steps: int) -> Fill:
    """The fill with its first slots settled and the others still noise."""
    words = re.findall(r"\w+|\s+|.", fill.text)
    settled = len(words) * step // steps
    slots = tuple(
        Slot(word if index < settled else "?" * len(word), fill.confidence, index < settled)
        for index, word in enumerate(words)
    )
    return Fill("".join(slot.text for slot in slots), fill.confidence, fill.complete, slots)


def masked(
    marked_text: str, language: str | None = "python", path: str | None = None, instruction: str | None = None
) -> MaskedDocument:
    """A masked document from a text whose regions stand between « and »."""
    pieces = re.split("[«»]", marked_text)
    ends = [sum(map(len, pieces[: count + 1])) for count in range(len(pieces))]
    regions = tuple(Region(ends[index - 1], ends[index]) for index in range(1, len(pieces), 2))
    return MaskedDocument("".join(pieces), regions, path, language, instruction)


def draft_of(*alternatives: Sequence[str | Fill], confidence: float = 0.9) -> Draft:
    """A final draft with these fills."""
    fills = tuple(
        tuple(Fill(fill, confidence) if isinstance(fill, str) else fill for fill in alternative)
        for alternative in alternatives
    )
    return Draft(4, True, fills, 7, 11, 12.5)
