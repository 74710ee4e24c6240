"""Starts the programs that are measured as a user would start them, and times them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.lsp import Client


def command(program: str) -> str:
    """Return the path of ``dgemma-edit`` or ``dgemma-lsp`` in this environment."""
    return str(Path(sys.executable).with_name(program))


def user_environment() -> dict[str, str]:
    """Return the environment without what only developers set; OMP_NUM_THREADS stays if it is set."""
    ours = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in ours}


@contextmanager
def server(options: Mapping[str, Any] | None = None) -> Iterator[Client]:
    """Start a server that has answered ``initialize``, and end it afterwards."""
    client = Client([command("dgemma-lsp"), "--stdio"], user_environment())
    try:
        client.initialize(options or {})
        yield client
    finally:
        client.close()


class Stopwatch:
    """Measures the time since it was made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    @property
    def milliseconds(self) -> float:
        return 1000 * self.seconds
