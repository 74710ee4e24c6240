"""``python -m bench.quantized FOLDER``: what passes of a quantised network take here, in milliseconds.

Medians of several runs. On a busy machine only ratios of one run mean anything; ``--threads 1`` and the CPU time beside
the median show what other programs add.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dgemma_model.network.open_quantized import open_network

PROMPT = 256
BLOCKS = (1, 2, 4, 8, 16, 32)
RUNS = 9


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.quantized", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, help="of a quantised checkpoint")
    parser.add_argument("--threads", type=int, help="as many as there are cores where nothing is said")
    arguments = parser.parse_args()
    start = time.perf_counter()
    network = open_network(arguments.folder, arguments.threads)
    print(f"opened in {1000 * (time.perf_counter() - start):.0f} ms, runs as {network.kind}")
    ids = np.random.default_rng(0).integers(0, network.shape.vocabulary, PROMPT, np.int32)
    prompt = network.prompt()

    def cold() -> None:
        prompt.truncate(0)
        network.extend(prompt, ids, last=1)

    print(f"prompt of {PROMPT} tokens, cold: {_measured(cold)}")
    for count in BLOCKS:
        states = network.run(prompt, ids[:count])
        passed = _measured(lambda count=count: network.run(prompt, ids[:count]))  # type: ignore[misc]
        ranked = _measured(lambda states=states: network.rank(states))  # type: ignore[misc]
        print(f"{count} tokens behind it: {passed}; their likeliest successors: {ranked}")


def _measured(work: Callable[[], object]) -> str:
    taken, used = [], []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        taken.append(time.perf_counter() - wall)
        used.append(time.process_time() - cpu)
    return f"{1000 * statistics.median(taken):.1f} ms ({1000 * statistics.median(used):.1f} ms of CPU time)"


if __name__ == "__main__":
    main()
