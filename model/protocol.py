"""The contract between a product and a model: what is asked, and what is answered.

A request is the same whether it is answered in this process, by a worker process or by a server. `pipe` tells how it
crosses a pipe. This module knows nothing of torch, files or processes, so that the product can import it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MOST_ALTERNATIVES = 16


# Requests


@dataclass(frozen=True, slots=True)
class FillOptions:
    """How to denoise.

    Attributes:
        steps: the most denoising steps to take; a model stops earlier once the regions are settled.
        seed: of the random noise; the same seed, request and model give the same fill on the same machine.
        strength: how much of the text in the regions is forgotten first; 1.0 forgets all of it. Above 0.
        alternatives: how many fills of the same regions to denoise in one batch.
        single_line: whether the first region is filled with at most one line.

    Raises:
        ValueError: a value is out of range.
    """

    steps: int = 4
    seed: int = 0
    strength: float = 1.0
    alternatives: int = 1
    single_line: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}.")
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength must be above 0 and at most 1, not {self.strength}.")
        if not 1 <= self.alternatives <= MOST_ALTERNATIVES:
            raise ValueError(
                f"alternatives must be between 1 and {MOST_ALTERNATIVES}, not {self.alternatives}."
            )


class ContextKind(StrEnum):
    """Where a piece of context comes from."""

    OPEN_DOCUMENT = "open document"


@dataclass(frozen=True, slots=True)
class ContextPiece:
    """A text from elsewhere that a model may copy from.

    Attributes:
        text: with LF line endings.
        path: of the file that it comes from, if there is one.
        kind: where it comes from.
    """

    text: str
    path: str | None = None
    kind: ContextKind = ContextKind.OPEN_DOCUMENT


@dataclass(frozen=True, slots=True)
class FillRequest:
    """A masked document to be filled, with LF line endings.

    Attributes:
        segments: the fixed text before, between and after the regions: one more than there are regions.
        present: the text that stands in each region now.
        options: how to denoise.
        path: of the document's file, if it has one.
        language: of the document, as editors name it.
        instruction: what the user wants.
        context: pieces of other texts, the most useful first.

    Raises:
        ValueError: there is no region, or the number of segments does not fit.
    """

    segments: tuple[str, ...]
    present: tuple[str, ...]
    options: FillOptions = FillOptions()
    path: str | None = None
    language: str | None = None
    instruction: str | None = None
    context: tuple[ContextPiece, ...] = ()

    def __post_init__(self) -> None:
        regions = len(self.present)
        if not regions or len(self.segments) != regions + 1:
            raise ValueError(f"{regions} regions need {regions + 1} segments, not {len(self.segments)}.")


@dataclass(frozen=True, slots=True)
class ProofreadRequest:
    """A text to be read for mistakes.

    Attributes:
        text: with LF line endings.
        quiet: character ranges in which no mistakes are looked for, such as strings and comments; in order.
        spans: character ranges to read, each within a line; at least one.
        path: of the text's file, if it has one.
        language: of the text, as editors name it.
    """

    text: str
    quiet: tuple[tuple[int, int], ...]
    spans: tuple[tuple[int, int], ...]
    path: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The request with the same id is no longer wanted."""


Request = FillRequest | ProofreadRequest | Cancel


# Answers


class Slot(NamedTuple):
    """One token of a draft: its text, its probability, and whether it will stay."""

    text: str
    confidence: float
    settled: bool


@dataclass(frozen=True, slots=True)
class Fill:
    """The text for one region.

    Attributes:
        text: up to the token that ends the region.
        confidence: 0..1, how sure the model is of the whole fill.
        complete: False when the region was too narrow, so that no ending token was found.
        slots: the tokens of ``text``, for showing the canvas while it resolves.
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
        encoded_tokens: prompt tokens that had to be encoded for this request; the others came from the cache.
        prompt_tokens: length of the prompt.
        milliseconds: time since the model received the request.
    """

    step: int
    final: bool
    alternatives: tuple[tuple[Fill, ...], ...]
    encoded_tokens: int
    prompt_tokens: int
    milliseconds: float


class Hint(NamedTuple):
    """Something in a text that may be wrong.

    Attributes:
        start: a character offset.
        end: the offset behind its last character.
        replacement: what would be likelier there.
        confidence: 0..1, that it is wrong and the replacement is right.
    """

    start: int
    end: int
    replacement: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Hints:
    """What may be wrong in one span of a `ProofreadRequest`.

    Attributes:
        done: how many spans have been read.
        final: whether that was the last one.
        hints: the surest first.
    """

    done: int
    final: bool
    hints: tuple[Hint, ...]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do. The product asks this instead of knowing which model it is.

    Attributes:
        follows_instructions: whether `FillRequest.instruction` changes what it writes.
        languages: those it was trained on, as editors name them; empty if it was trained on all of them.
        drafts: whether a draft follows every denoising step; otherwise only the final one comes.
        alternatives: whether it can make several fills in one request.
        proofreads: whether it answers a `ProofreadRequest`.
        context_length: how many tokens prompt and canvas may have together; 0 if that is not known.
    """

    follows_instructions: bool = False
    languages: tuple[str, ...] = ()
    drafts: bool = True
    alternatives: bool = True
    proofreads: bool = True
    context_length: int = 0


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is loaded and what it can do.

    Attributes:
        name: of the engine.
        model: of the checkpoint.
        parameters: how many the network has.
        device: "cpu", "cuda", …
        dtype: of the weights.
        capabilities: what it can do.
    """

    name: str
    model: str
    parameters: int
    device: str
    dtype: str
    capabilities: Capabilities = Capabilities()


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded, and requests are answered from now on."""

    info: EngineInfo


@dataclass(frozen=True, slots=True)
class Failed:
    """The model cannot be loaded; the message is one sentence for the user."""

    message: str


@dataclass(frozen=True, slots=True)
class WasCancelled:
    """The request was cancelled."""


@dataclass(frozen=True, slots=True)
class Error:
    """The request failed; the message is one sentence for the user."""

    message: str


Answer = Ready | Failed | Draft | Hints | WasCancelled | Error


# Texts


def unchanged_ends(before: Sequence[object], after: Sequence[object]) -> tuple[int, int]:
    """Count what two texts, or lists, have in common at their beginnings, and what more at their ends."""
    if before == after:
        return len(before), 0
    most = min(len(before), len(after))
    head = _longest(most, lambda low, high: before[low:high] == after[low:high])
    behind, here = len(before), len(after)
    tail = _longest(
        most - head,
        lambda low, high: before[behind - high : behind - low] == after[here - high : here - low],
    )
    return head, tail


def _longest(most: int, same: Callable[[int, int], bool]) -> int:
    """Find the greatest length up to which everything is the same; ``same`` compares from one length to another."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if same(low, middle) else (low, middle - 1)
    return low
