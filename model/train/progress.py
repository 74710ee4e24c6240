"""How far a long run has come, told on stderr: stdout is for results."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Write a line that is seen at once, even through a pipe."""
    print(message, file=sys.stderr, flush=True)
