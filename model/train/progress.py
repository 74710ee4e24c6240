"""Messages about how far a long run has come; they go to stderr, as stdout is for results."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Print a line, and flush it so that it is seen at once even through a pipe."""
    print(message, file=sys.stderr, flush=True)
