"""``python -m bench.tradeoff``: what denoising steps bring, on held-out rests of lines.

Needs the corpus (``make corpus``). Every row is the same regions; the milliseconds are medians of one run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from bench.figures import described, this_machine
from dgemma_model.infill import FillOptions, Infiller
from dgemma_model.train.cases import Kind, draw, read_files
from dgemma_model.train.evaluate import measure
from dgemma_model.train.plots import MODEL
from dgemma_model.train.train import keep_freed_memory

STEPS = (1, 2, 3, 4, 6, 8)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.tradeoff", description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus"))
    parser.add_argument("--count", type=int, default=150)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    infiller = Infiller.load(arguments.model)
    files = read_files(arguments.corpus / "held_out.jsonl")
    print(described(this_machine()), "\n")
    print("| kind | steps at most | steps taken | exact match | similarity | ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for kind in (Kind.REST_OF_LINE, Kind.TWO_REGIONS):
        cases = list(draw(files, kind, arguments.count))
        for steps in STEPS:
            score = measure(infiller, FillOptions(steps=steps), {}, kind, cases).scores[MODEL]
            print(
                f"| {kind} | {steps} | {score.steps:.1f} | {score.exact:.1%} | {score.similarity:.1%} "
                f"| {score.milliseconds:.0f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
