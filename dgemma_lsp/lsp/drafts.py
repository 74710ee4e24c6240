"""Sends the drafts of a fill to an editor that shows how the canvas resolves.

Such an editor puts a ``partialResultToken`` into the data of the code action that it resolves. It gets a
``$/progress`` for each denoising step: {"step", "final", "ranges", "texts", "confidences"}, with a range, a text and a
confidence for each region, in the order of the edits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lsprotocol.types import ProgressParams, Range

from dgemma_lsp.lsp.progress import ProgressToken
from dgemma_model.protocol import Draft

SendProgress = Callable[[ProgressParams], None]
"""Sends a ``$/progress`` to the editor."""


class DraftStream:
    """Sends the drafts of one fill.

    Args:
        send: sends to the editor.
        token: the editor's token; None if it does not want the drafts.
        ranges: the ranges of the regions.
    """

    def __init__(self, send: SendProgress, token: ProgressToken | None, ranges: Sequence[Range]) -> None:
        self._send = send
        self._token = token
        self._ranges = ranges

    def show(self, draft: Draft) -> None:
        """Send the best alternative of a draft."""
        if self._token is None:
            return
        best = draft.alternatives[0]
        value = {
            "step": draft.step,
            "final": draft.final,
            "ranges": self._ranges,
            "texts": [fill.text for fill in best],
            "confidences": [fill.confidence for fill in best],
        }
        self._send(ProgressParams(self._token, value))


def draft_token(data: object) -> ProgressToken | None:
    """Return the token in the data of a code action; None if the editor does not want the drafts."""
    token = data.get("partialResultToken") if isinstance(data, dict) else None
    return token if isinstance(token, str | int) and not isinstance(token, bool) else None
