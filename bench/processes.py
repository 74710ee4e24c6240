"""The programs that are measured, started as a user would, and what Linux knows of their memory."""

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


def children(process: int) -> list[int]:
    """The processes that a process has started; none where there is no /proc."""
    tasks = Path(f"/proc/{process}/task")
    if not tasks.exists():
        return []
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def resident_mib(process: int) -> float:
    """Memory of a process that lies in RAM."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(process)


def computing_threads(process: int, share: float = 0.2) -> int:
    """How many threads of a process have computed at least this share of what its busiest one has (Linux)."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    ticks = [_ticks((task / "stat").read_text()) for task in tasks]
    return sum(each >= share * max(ticks) for each in ticks)


def _ticks(stat: str) -> int:
    """User and system time, behind the name in brackets, which may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


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
