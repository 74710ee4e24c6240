"""What the pipeline asks of an engine, and what an engine answers: drafts of fills, one for each denoising step.

An engine turns a masked document into drafts. It knows nothing of editors, files or edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Cancelled = Callable[[], bool]
"""Asked before every denoising step; True ends the fill."""


class EngineError(Exception):
    """The engine could not fill; the message is one sentence that says what to do."""


class FillCancelled(Exception):
    """The fill was cancelled before it was finished."""


@dataclass(frozen=True, slots=True)
class FillOptions:
    """How to denoise.

    Attributes:
        steps: denoising steps at most; the engine stops earlier once the regions are settled.
        seed: of the noise; the same seed, document and model give the same fill on the same machine.
        strength: 1.0 forgets the text that stands in the regions, lower values keep more of it; above 0.
        alternatives: how many fills of the same regions are denoised in one batch.
        single_line: whether the first region is filled with no more than a line.
        context: texts from elsewhere, from which something may be copied.
    """

    steps: int = 4
    seed: int = 0
    strength: float = 1.0
    alternatives: int = 1
    single_line: bool = False
    context: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}.")
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength must be above 0 and at most 1, not {self.strength}.")
        if not 1 <= self.alternatives <= 16:
            raise ValueError(f"alternatives must be between 1 and 16, not {self.alternatives}.")


@dataclass(frozen=True, slots=True)
class Slot:
    """One token of a draft as it is shown: its text, the denoiser's probability of it, whether it is settled."""

    text: str
    confidence: float
    settled: bool


@dataclass(frozen=True, slots=True)
class Fill:
    """The text for one region.

    Attributes:
        text: up to the end-of-region token.
        confidence: 0..1, how sure the denoiser is of the whole fill.
        complete: False where the canvas was too narrow: no end-of-region token was found.
        slots: the tokens of ``text``, for showing the canvas as it resolves.
    """

    text: str
    confidence: float
    complete: bool = True
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """The state of the canvas after one denoising step.

    Attributes:
        step: counted from 1.
        final: True for the last draft, which is the fill.
        alternatives: [alternative][region] fills, the most confident alternative first.
        encoded_tokens: prompt tokens that had to be encoded for this request (the rest came from the cache).
        prompt_tokens: length of the prompt.
        milliseconds: since the engine got the request.
    """

    step: int
    final: bool
    alternatives: tuple[tuple[Fill, ...], ...]
    encoded_tokens: int
    prompt_tokens: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Hint:
    """Something in a text that may be wrong.

    Attributes:
        start: a character offset.
        end: behind its last character.
        replacement: what would be likelier there.
        confidence: 0..1.
    """

    start: int
    end: int
    replacement: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Page:
    """A text that is to be proofread.

    Attributes:
        text: with LF line endings.
        quiet: character ranges in which nothing is looked for, in order: strings, comments.
        spans: character ranges that are read, each within a line; at least one.
    """

    text: str
    quiet: tuple[tuple[int, int], ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is loaded: shown in progress messages, in the log and by the doctor."""

    name: str
    model: str
    parameters: int
    device: str
    dtype: str


class Engine(Protocol):
    """Fills masked documents. Methods block: a server calls them from a worker thread."""

    def load(self) -> EngineInfo:
        """Load the model if it is not loaded yet; `EngineError` when that fails."""

    def drafts(
        self, segments: tuple[str, ...], present: tuple[str, ...], options: FillOptions, cancelled: Cancelled
    ) -> Iterator[Draft]:
        """Denoise the regions between ``segments`` together in one canvas; the last draft is ``final``.

        Args:
            segments: the fixed text before, between and after the regions (one more than ``present``).
            present: what stands in each region now (used when ``options.strength`` is below 1).
            cancelled: asked before every step.

        Raises:
            FillCancelled: ``cancelled`` answered True.
            EngineError: the fill is impossible, or the engine died; the engine can be used again afterwards.
        """

    def hints(self, page: Page, cancelled: Cancelled) -> Iterator[list[Hint]]:
        """What may be wrong in each span of a page, the surest first.

        Raises:
            FillCancelled: ``cancelled`` answered True.
            EngineError: the engine cannot do that, or it died.
        """

    def close(self) -> None:
        """Stop the engine; harmless when it is stopped already."""


def draft_from_json(message: dict[str, Any]) -> Draft:
    """A draft as the worker writes it (see dgemma_model.worker) turned into our own type."""
    return Draft(
        step=message["step"],
        final=message["final"],
        alternatives=tuple(tuple(_fill(fill) for fill in fills) for fills in message["alternatives"]),
        encoded_tokens=message["encoded_tokens"],
        prompt_tokens=message["prompt_tokens"],
        milliseconds=message["milliseconds"],
    )


def _fill(message: dict[str, Any]) -> Fill:
    slots = tuple(Slot(text, confidence, settled) for text, confidence, settled in message["slots"])
    return Fill(message["text"], message["confidence"], message["complete"], slots)
