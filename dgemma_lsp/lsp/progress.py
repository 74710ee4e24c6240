"""Bars in the editor for what takes longer than a moment, which the user can stop, and drafts as they come.

An editor that wants to watch the canvas resolve puts a ``partialResultToken`` into the data of the code action that
it resolves, and gets a ``$/progress`` for each denoising step: {"step", "final", "ranges", "texts", "confidences"}, one
range and one text for each region, in the order of the edits.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from dgemma_lsp.lsp.serving import Server, failure
from dgemma_model.protocol import Draft

ANSWER_SECONDS = 2.0
"""How long the editor may take to agree to a progress bar before we do without."""

MOMENT_SECONDS = 0.5
"""Work that ends earlier gets no bar."""

GIVEN_UP = "It was cancelled."

Token = str | int

_T = TypeVar("_T")


async def begin(ls: Server, title: str, cancellable: bool = False) -> Token | None:
    """Show a bar; None where the editor has none."""
    window = ls.client_capabilities.window
    if not window or not window.work_done_progress:
        return None
    token = str(uuid.uuid4())
    with suppress(TimeoutError, JsonRpcException):
        await asyncio.wait_for(ls.work_done_progress.create_async(token), ANSWER_SECONDS)
        ls.work_done_progress.begin(token, lsp.WorkDoneProgressBegin(title, cancellable=cancellable))
        return token
    return None


def end(ls: Server, token: Token | None, message: str | None = None) -> None:
    """Take a bar away."""
    if token is not None:
        ls.work_done_progress.end(token, lsp.WorkDoneProgressEnd(message=message))
        ls.work_done_progress.tokens.pop(token, None)


async def unless_stopped(ls: Server, token: Token | None, task: asyncio.Future[Any]) -> None:
    """Wait for some work, but not longer than until the user stops its bar.

    Raises:
        JsonRpcException: they have stopped it; the work goes on.
    """
    stopped = ls.work_done_progress.tokens.get(token) if token is not None else None
    if stopped is None:
        await asyncio.wait({task})
        return
    stop = asyncio.wrap_future(stopped)
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    if stop.cancelled() and not task.done():
        raise failure(GIVEN_UP, lsp.LSPErrorCodes.RequestCancelled.value)


class Bar:
    """A bar for one piece of work.

    Args:
        ls: the server.
        title: of the bar.
        steps: that the work takes at most.
        drafts: where the editor wants to have the drafts; None: nowhere.
        ranges: of the regions that the drafts are for.
    """

    def __init__(
        self,
        ls: Server,
        title: str,
        steps: int,
        drafts: Token | None = None,
        ranges: Sequence[lsp.Range] = (),
    ) -> None:
        self._ls, self._title, self._steps, self._drafts = ls, title, steps, drafts
        self._ranges = ranges
        self._token: Token | None = None

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of some work; a bar is shown while it goes on, and whoever stops the bar stops the work.

        Raises:
            JsonRpcException: the user has stopped it.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=MOMENT_SECONDS)
            if not task.done():
                self._token = await begin(self._ls, self._title, cancellable=True)
                await unless_stopped(self._ls, self._token, task)
            return await task
        finally:
            task.cancel()
            end(self._ls, self._token)
            self._token = None

    def show(self, draft: Draft) -> None:
        """Tell of a draft."""
        if self._drafts is not None:
            best = draft.alternatives[0]
            value = {
                "step": draft.step,
                "final": draft.final,
                "ranges": self._ranges,
                "texts": [fill.text for fill in best],
                "confidences": [fill.confidence for fill in best],
            }
            self._ls.protocol.notify(lsp.PROGRESS, lsp.ProgressParams(self._drafts, value))
        sure = min(fill.confidence for fill in draft.alternatives[0])
        self.report(draft.step, f"step {draft.step}, {sure:.0%} sure")

    def report(self, step: int, message: str) -> None:
        """Tell how far the work is."""
        if self._token is not None:
            share = min(100, 100 * step // self._steps)
            report = lsp.WorkDoneProgressReport(message=message, percentage=share)
            self._ls.work_done_progress.report(self._token, report)


def draft_token(data: object) -> Token | None:
    """Where the editor wants to have drafts; None where it does not."""
    token = data.get("partialResultToken") if isinstance(data, dict) else None
    return token if isinstance(token, str | int) and not isinstance(token, bool) else None
