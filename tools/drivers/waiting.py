"""Waiting for something that another process does."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 20.0


def wait_until(holds: Callable[[], object], otherwise: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as something holds.

    Raises:
        AssertionError: it does not hold in time; the message says ``otherwise``.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
