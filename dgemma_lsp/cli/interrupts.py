"""Ctrl-C during a fill."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dgemma_lsp.engines.base import Cancelled


@contextmanager
def noticed() -> Iterator[Cancelled]:
    """Notice Ctrl-C, and yield a function that says whether it was pressed.

    Ctrl-C raises KeyboardInterrupt as usual, but torch may swallow that while it is being imported, or raise another
    error in its place.
    """
    # Whoever started this process may have told it to ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    pressed = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    except Exception:
        if pressed.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
