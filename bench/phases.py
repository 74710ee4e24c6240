"""Finds where the time of a fill goes: each kind of pass of the runner is timed by itself."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dgemma_model.network.runner import Runner

PASSES: Mapping[str, str] = {
    "store": "encode",
    "extend": "write",
    "peek": "judge",
    "decode": "denoise",
    "logits": "scores",
    "believe": "belief",
}
"""What the runner's methods do in a fill."""

REST = "the rest"


class Phases:
    """Counts the calls of each pass, and their seconds, while `watching`."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._calls: dict[str, int] = defaultdict(int)
        self._fills = 0

    @contextmanager
    def watching(self, runner: Runner) -> Iterator[None]:
        """Watch one fill."""
        for name, phase in PASSES.items():
            setattr(runner, name, self._timed(phase, getattr(runner, name)))
        begun = time.perf_counter()
        try:
            yield
        finally:
            for name in PASSES:
                delattr(runner, name)  # the class's own method appears again
        self._seconds["all"] += time.perf_counter() - begun
        self._fills += 1

    def means(self) -> dict[str, float]:
        """Return the mean milliseconds of a fill, by phase."""
        passes = {phase: 1000 * self._seconds[phase] / self._fills for phase in PASSES.values()}
        return {**passes, REST: 1000 * self._seconds["all"] / self._fills - sum(passes.values())}

    def calls(self) -> dict[str, float]:
        """Return the mean number of calls in a fill, by phase."""
        return {phase: self._calls[phase] / self._fills for phase in PASSES.values()}

    def _timed(self, phase: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            begun = time.perf_counter()
            try:
                return method(*arguments)
            finally:
                self._seconds[phase] += time.perf_counter() - begun
                self._calls[phase] += 1

        return run
