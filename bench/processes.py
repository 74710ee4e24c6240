"""The programs that are measured, started as a user would start them, and a stopwatch."""

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
    """``dgemma-edit`` or ``dgemma-lsp`` of this environment."""
    return str(Path(sys.executable).with_name(program))


def user_environment() -> dict[str, str]:
    """Without what developers set: a user's Python keeps its byte code. OMP_NUM_THREADS holds where it is set."""
    ours = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in ours}


@contextmanager
def server(options: Mapping[str, Any] | None = None) -> Iterator[Client]:
    """A server that has answered ``initialize`` and ends afterwards."""
    client = Client([command("dgemma-lsp"), "--stdio"], user_environment())
    try:
        client.initialize(options or {})
        yield client
    finally:
        client.close()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    @property
    def milliseconds(self) -> float:
        return 1000 * self.seconds
