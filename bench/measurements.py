"""One function for each group of rows in the table. Everything is measured with the bundled model."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from statistics import median

from bench.figures import Figure, spread
from bench.files import DEMO, LONG
from bench.keystrokes import BETWEEN_KEYS, Place, places, prefixes
from bench.processes import Stopwatch, command, server, user_environment
from dgemma_lsp.engines.local import LocalEngine
from dgemma_model.protocol import FillOptions, FillRequest
from tools.drivers.processes import children, resident_bytes

RUNS = 5
LINES, KEYSTROKES = 8, 5
"""Their product is the number of requests."""
SESSION = "    return sorted(found, key=lambda a: (a.start, -a.length))"
"""The 60 characters that are typed to count tokens."""
MIB = 1 << 20


def command_line() -> list[Figure]:
    """Time ``dgemma-edit`` from its start to its end, each time in a new process."""
    arguments = ["--span", "18:25:18:28", "--span", "31:21:31:24", "--output", "json"]
    run = [command("dgemma-edit"), str(DEMO), *arguments]

    def once() -> float:
        watch = Stopwatch()
        done = subprocess.run(run, capture_output=True, check=False, env=user_environment())
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr.decode())
        return watch.seconds

    once()  # Python writes its byte code
    return [Figure("`dgemma-edit`, two regions, cold start to result", _median(once), "s", 4)]


def initialize() -> list[Figure]:
    """Time a server from its start to its greeting, and to its first answer about a document."""

    def once() -> tuple[float, float]:
        watch = Stopwatch()
        with server() as client:
            greeted = watch.milliseconds
            client.complete("file:///bench/not_open.py", 0, 0, True)
            return greeted, watch.milliseconds

    once()
    greeted, served = zip(*(once() for _ in range(RUNS)), strict=True)
    return [
        Figure("server start to the answer of `initialize`", median(greeted), "ms", 500),
        Figure("server start to the first answer about a document", median(served), "ms"),
    ]


def _median(once: Callable[[], float]) -> float:
    return median(once() for _ in range(RUNS))


def completions() -> list[Figure]:
    """Time completions of the rest of a line while the user types; the first of each line has a cold cache."""
    figures: list[Figure] = []
    for kind, asked in (("automatic", False), ("asked for", True)):
        name = f"completion in a 300-line file, warm, {kind}"
        figures += spread(name, list(_completion_times(asked)), "ms", *((None, None) if asked else (80, 160)))
    return figures


def _completion_times(asked: bool) -> Iterator[float]:
    uri = "file:///bench/three_hundred_lines.py"
    with server() as client:
        client.await_model()
        client.show(uri, LONG.read_text("utf-8"))
        client.complete(uri, 0, 0, asked)  # a worker's first step is slower
        for place in places(LONG.read_text("utf-8"), LINES, KEYSTROKES):
            client.show(uri, place.text)
            for typed, character in enumerate(place.typed):
                watch = Stopwatch()
                client.insert(uri, place.line, place.character + typed, character)
                client.complete(uri, place.line, place.character + typed + 1, asked)
                yield watch.milliseconds


def encoded_tokens() -> list[Figure]:
    """Count the prompt tokens that are encoded for each typed character."""
    text = LONG.read_text("utf-8")
    middle = Place(text, text.count("\n") // 2, 0, SESSION)
    with closing(LocalEngine()) as engine:
        counts = [_encoded(engine, before, after) for before, after in prefixes(middle)][1:]
    name = "tokens encoded for each typed character"
    return [*spread(name, counts, "tokens", 8), Figure(f"{name}, most", max(counts), "tokens")]


def _encoded(engine: LocalEngine, before: str, after: str) -> int:
    """Count the tokens of one fill, and pause after it, so that the worker may encode ahead."""
    request = FillRequest((before, after), ("",), FillOptions(single_line=True))
    *_, last = engine.drafts(request, lambda: False)
    time.sleep(BETWEEN_KEYS)
    return last.encoded_tokens


def worker() -> list[Figure]:
    """Measure how long the model takes to load in the background, and how much memory it needs."""
    watch = Stopwatch()
    with server() as client:
        client.await_model()
        figures = [Figure("server start to a loaded model", watch.seconds, "s", 4)]
        if model := children(client.process.pid):
            figures.append(Figure("memory of the server", resident_bytes(client.process.pid) / MIB, "MiB"))
            figures.append(Figure("memory of its worker", sum(map(resident_bytes, model)) / MIB, "MiB", 600))
    return figures
