"""Ends the server when the editor is gone without having closed its input, which a child of it may hold open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

POLL_SECONDS = 1.0
"""How often to look whether the editor's process still lives."""


class ParentWatch:
    """Watches the editor's process.

    Args:
        clean_up: called before the server's process ends.
    """

    def __init__(self, clean_up: Callable[[], None]) -> None:
        self._clean_up = clean_up
        self._task: asyncio.Task[None] | None = None

    def start(self, process_id: int) -> None:
        """End this process when another one is gone."""
        # The event loop keeps only weak references to tasks.
        self._task = asyncio.get_running_loop().create_task(self._leave_with(process_id))

    async def _leave_with(self, process_id: int) -> None:
        # The id of an editor outside our container means nothing here.
        if not _lives(process_id):
            return
        while _lives(process_id):
            await asyncio.sleep(POLL_SECONDS)
        self._clean_up()
        os._exit(1)  # sys.exit would wait for pygls' reader, which waits for input that will never come


def _lives(process_id: int) -> bool:
    if os.name == "nt":  # there signal 0 is Ctrl-C, so the end of the pipe has to do
        return True
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
