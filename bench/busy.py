"""``python -m bench.busy`` compares warm completions over LSP while something burns a core with undisturbed ones.

Both take turns, place by place, so that whatever else the machine does slows both. The worker computes with its default
number of threads, which leaves one core free.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median

from bench.figures import Figure, spread, table
from bench.files import LONG
from bench.keystrokes import BETWEEN_KEYS, places
from bench.processes import server
from bench.report import introduce_machine
from bench.warm import KEYSTROKES, served
from tools.drivers.processes import children, computing_threads

PLACES = 12


def measure(count: int) -> list[Figure]:
    """Measure both times, and count the threads that the worker computed with."""
    times: dict[bool, list[float]] = {False: [], True: []}
    with server() as client:
        client.await_model()
        (worker,) = children(client.process.pid)
        for place in places(LONG.read_text("utf-8"), count, KEYSTROKES):
            for burning, company in ((False, nullcontext), (True, competitor)):
                with company():
                    times[burning] += served(client, place, asked=False)
        threads = computing_threads(worker)
    return [
        *spread("warm completion, undisturbed", times[False], "ms"),
        *spread("warm completion while something burns a core", times[True], "ms"),
        Figure("that is", median(times[True]) / median(times[False]), "times", 2.5),
        Figure(
            "threads that the worker computed with", threads, "threads", max(1, (os.cpu_count() or 2) - 1)
        ),
    ]


@contextmanager
def competitor() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that burns one core."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    time.sleep(BETWEEN_KEYS)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.busy", description=__doc__, allow_abbrev=False)
    parser.add_argument("--places", type=int, default=PLACES)
    arguments = parser.parse_args()
    os.environ.pop("OMP_NUM_THREADS", None)  # it would override the worker's default
    introduce_machine()
    print(table(measure(arguments.places)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
