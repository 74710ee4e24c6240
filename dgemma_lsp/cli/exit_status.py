"""The exit statuses that ``dgemma-edit`` and the commands of ``dgemma-lsp`` share."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended."""

    DONE = 0
    NOT_CONFIDENT = 1
    WRONG_USE = 2
    ENGINE_FAILED = 3
    INTERRUPTED = 130
