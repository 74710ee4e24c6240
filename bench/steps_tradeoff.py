"""``python -m bench.steps_tradeoff`` measures what denoising steps gain and cost, on held-out rests of lines.

It needs the corpus (``make corpus``). The regions are the same for every number of steps. One thread is used unless
OMP_NUM_THREADS says otherwise. ``--record`` writes ``results/steps-tradeoff.{md,png}``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from bench.drawing import Panel, draw
from bench.figures import described, this_machine
from bench.files import RESULTS
from dgemma_model.fill.infiller import Infiller
from dgemma_model.network.folder import BUNDLED
from dgemma_model.protocol import FillOptions
from dgemma_model.train.evaluate.cases import Case, Kind, read_files
from dgemma_model.train.evaluate.cases import draw as draw_cases
from dgemma_model.train.evaluate.scores import MODEL, Score, measure

STEPS = (1, 2, 3, 4, 6, 8)


def scores(infiller: Infiller, cases: Sequence[Case]) -> list[Score]:
    """Score the same cases with each number of steps."""
    measure(infiller, FillOptions(), {}, Kind.REST_OF_LINE, cases)  # the tokens of the files are cached
    return [
        measure(infiller, FillOptions(steps=steps), {}, Kind.REST_OF_LINE, cases).scores[MODEL]
        for steps in STEPS
    ]


def page(found: Sequence[Score], machine: str) -> str:
    """Write the whole of ``results/steps-tradeoff.md``."""
    rows = [
        f"| {steps} | {one.steps:.1f} | {one.exact:.1%} | {one.similarity:.1%} | {one.milliseconds:.0f} |"
        for steps, one in zip(STEPS, found, strict=True)
    ]
    head = "| steps at most | steps taken | exact match | similarity | ms |"
    title = (
        f"# What denoising steps bring\n\n{found[0].regions} held-out rests of lines, each cold; {machine}."
    )
    return "\n".join([f"{title}\n", head, "| ---: | ---: | ---: | ---: | ---: |", *rows]) + "\n"


def panels(found: Sequence[Score]) -> list[Panel]:
    """Draw right answers and time over the steps."""
    exact = {
        "exact match": [100 * one.exact for one in found],
        "similarity": [100 * one.similarity for one in found],
    }
    times = {"a cold fill": [one.milliseconds for one in found]}
    axis = "denoising steps at most"
    return [
        Panel("What steps bring", axis, "%", STEPS, exact, logarithmic=False),
        Panel("What steps take", axis, "ms", STEPS, times, logarithmic=False),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.steps_tradeoff", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus/held_out.jsonl"))
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    machine = described(this_machine())
    cases = list(draw_cases(read_files(arguments.corpus), Kind.REST_OF_LINE, arguments.count))
    found = scores(Infiller.load(arguments.model), cases)
    print(page(found, machine))
    if arguments.record:
        (RESULTS / "steps-tradeoff.md").write_text(page(found, machine), "utf-8")
        draw(panels(found), RESULTS / "steps-tradeoff.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
