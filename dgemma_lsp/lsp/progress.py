"""Progress bars in the editor, for work that takes longer than a moment. The user can stop the work there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from lsprotocol.types import WorkDoneProgressBegin, WorkDoneProgressEnd, WorkDoneProgressReport
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from dgemma_lsp.lsp.capabilities import AskCapabilities, shows_progress
from dgemma_lsp.lsp.failures import cancellation

ANSWER_SECONDS = 2.0
"""How long the editor may take to agree to a bar before the work goes on without one."""

MOMENT_SECONDS = 0.5
"""Work that takes no longer than this gets no bar."""

STOPPED = "It was cancelled."

ProgressToken = str | int

_T = TypeVar("_T")


class Bars:
    """Makes progress bars.

    Args:
        editor: the connection to the editor.
        capabilities: returns what the editor can do.
    """

    def __init__(self, editor: LanguageServer, capabilities: AskCapabilities) -> None:
        self._editor = editor
        self._capabilities = capabilities

    def bar(self, title: str, steps: int = 1) -> Bar:
        """Make a bar, which is not shown yet.

        Args:
            title: what the bar says.
            steps: how many steps the work takes at the most.
        """
        return Bar(self._editor, title, steps, shows_progress(self._capabilities()))


class Bar:
    """A progress bar for one piece of work; made by `Bars`."""

    def __init__(self, editor: LanguageServer, title: str, steps: int, can_be_shown: bool) -> None:
        self._editor = editor
        self._title = title
        self._steps = steps
        self._can_be_shown = can_be_shown
        self._token: ProgressToken | None = None

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Return the result of some work. If it takes longer than a moment, the bar is shown until it ends.

        Raises:
            JsonRpcException: the user has stopped the bar, and so the work.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=MOMENT_SECONDS)
            if not task.done():
                await self.show()
                await self.wait(task)
            return await task
        finally:
            task.cancel()
            self.end()

    async def show(self) -> None:
        """Show the bar, if the editor has bars."""
        if not self._can_be_shown:
            return
        token = str(uuid.uuid4())
        with suppress(TimeoutError, JsonRpcException):
            await asyncio.wait_for(self._editor.work_done_progress.create_async(token), ANSWER_SECONDS)
            begin = WorkDoneProgressBegin(self._title, cancellable=True)
            self._editor.work_done_progress.begin(token, begin)
            self._token = token

    def report(self, step: int, message: str) -> None:
        """Show how far the work is."""
        if self._token is not None:
            percentage = min(100, 100 * step // self._steps)
            report = WorkDoneProgressReport(message=message, percentage=percentage)
            self._editor.work_done_progress.report(self._token, report)

    async def wait(self, task: asyncio.Future[Any]) -> None:
        """Wait for some work, but only until the user stops the bar.

        Raises:
            JsonRpcException: the user has stopped it; the work goes on.
        """
        tokens = self._editor.work_done_progress.tokens
        if self._token is None or self._token not in tokens:
            await asyncio.wait({task})
            return
        stop = asyncio.wrap_future(tokens[self._token])
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stop.cancelled() and not task.done():
            raise cancellation(STOPPED)

    def end(self, message: str | None = None) -> None:
        """Take the bar away.

        Args:
            message: what has become of the work.
        """
        if self._token is not None:
            self._editor.work_done_progress.end(self._token, WorkDoneProgressEnd(message=message))
            # pygls would keep the token for ever.
            self._editor.work_done_progress.tokens.pop(self._token, None)
            self._token = None
