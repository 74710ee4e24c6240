"""Waits for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 20.0


def wait_until(holds: Callable[[], object], otherwise: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: it does not hold in time; ``otherwise`` is the message.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
