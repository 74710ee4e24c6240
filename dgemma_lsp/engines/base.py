"""The port behind which a model fills and proofreads, wherever it runs.

An engine answers the requests of `dgemma_model.protocol`. It knows nothing of editors, files or edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from dgemma_model.protocol import Draft, EngineInfo, FillRequest, Hint, ProofreadRequest

Cancelled = Callable[[], bool]
"""Asked before every denoising step; True ends the request."""


class EngineError(Exception):
    """The engine could not answer; the message is one sentence that says what to do."""


class FillCancelled(Exception):
    """The request was cancelled before it was finished."""


class Engine(Protocol):
    """Fills masked documents. Methods block: a server calls them from a worker thread."""

    def load(self) -> EngineInfo:
        """Load the model if it is not loaded yet; `EngineError` when that fails."""

    def drafts(self, request: FillRequest, cancelled: Cancelled) -> Iterator[Draft]:
        """Denoise the regions of a request together in one canvas; the last draft is ``final``.

        Raises:
            FillCancelled: ``cancelled`` answered True.
            EngineError: the fill is impossible, or the engine died; the engine can be used again afterwards.
        """

    def hints(self, request: ProofreadRequest, cancelled: Cancelled) -> Iterator[Sequence[Hint]]:
        """What may be wrong in each span of a request, the surest first.

        Raises:
            FillCancelled: ``cancelled`` answered True.
            EngineError: the engine cannot do that, or it died.
        """

    def close(self) -> None:
        """Stop the engine; harmless when it is stopped already."""
