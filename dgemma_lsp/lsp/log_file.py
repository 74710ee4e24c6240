"""A rotating log file, to which several servers may write at the same time.

It holds only sentences of ours, unless the setting ``logSource`` is on: then it may also hold source code, and errors
worded by others, which may quote source code.
"""

from __future__ import annotations

import logging
import os
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG = "dgemma-lsp.log"

LOG_BYTES = 1_000_000
"""How large a log file may become before a new one is begun."""

OLDER_LOGS = 3
"""How many older log files are kept."""


class LogFile:
    """The log on disk. What cannot be written is lost, because there is nowhere to complain.

    Args:
        folder: where the file is; made when there is something to write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handler: _QuietHandler | None = None

    def write(self, level: str, message: str) -> None:
        """Append a message. Its line breaks are shown as ⏎."""
        try:
            if self._handler is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._handler = _QuietHandler(self._folder / LOG)
        except OSError:
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        line = f"{stamp} {os.getpid()} {level} {message}".replace("\n", "⏎").replace("\r", "")
        self._handler.emit(logging.LogRecord("dgemma", logging.INFO, "", 0, line, (), None))

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()


class _QuietHandler(RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=OLDER_LOGS, encoding="utf-8", delay=True)

    def handleError(self, record: logging.LogRecord) -> None:
        """Do nothing: a full disk must not write to stderr at each keystroke."""
