"""``python -m bench.curves`` measures how the time of a warm fill grows, with the bundled model on one thread.

A fill is warm when the user continues to type where the last fill was. ``--record`` writes
``results/curves.{json,md,png}``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from statistics import median

import torch

from bench.drawing import Panel, Values, draw
from bench.figures import described, this_machine
from bench.files import LONG, RESULTS
from bench.keystrokes import places
from bench.lean import milliseconds, passes
from bench.lsp import Client
from bench.phases import Phases
from bench.processes import server
from bench.warm import KEYSTROKES, PLACES, Typed, in_files_of, served, sized, timed, with_regions
from dgemma_model.fill.infiller import Infiller
from dgemma_model.network.best_runner import best_runner
from dgemma_model.network.checkpoint import load
from dgemma_model.network.folder import BUNDLED
from dgemma_model.protocol import FillOptions

LINES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
LINES_SERVED = (10, 300, 3_000, 10_000, 100_000)
CONTEXTS = (128, 256, 512, 1_024, 2_048, 4_096)
REGIONS = (1, 2, 4, 8, 16)
ALTERNATIVES = (1, 2, 4, 8)
ROUNDS = 15
RUNS = 2


@dataclass(frozen=True, slots=True)
class Curve:
    """Milliseconds as a function of something that grows.

    Attributes:
        title: the heading.
        x: the name of what grows.
        xs: its values.
        lines: medians by name; None where nothing was measured.
        why: what bends the curve.
        phases: for each x, where the mean fill's milliseconds went; empty where no fill was measured.
        passes: for each x, how often the network ran for a fill; empty where no fill was measured.
    """

    title: str
    x: str
    xs: Sequence[int]
    lines: Mapping[str, Values]
    why: str
    phases: Sequence[Mapping[str, float]] = field(default=())
    passes: Sequence[Mapping[str, float]] = field(default=())


def by_lines() -> Curve:
    """Grow the file; the cursor is in its middle."""
    alone, watched = _fills([(in_files_of(lines), FillOptions(single_line=True)) for lines in LINES])
    lines = {"the model alone": alone, **_served()}
    return _curve("Lines of the file", "lines", LINES, lines, WHY["lines"], watched)


def by_context() -> Curve:
    """Grow the prompt."""
    runner = best_runner(load(BUNDLED))
    names = {"step": "a step of 32 slots", "one more": "one more token", "cold": "the prompt, cold"}
    lines: dict[str, list[float]] = {name: [] for name in names.values()}
    for context in CONTEXTS:
        for what, run in passes(runner, context).items():
            lines[names[what.partition(":")[0]]].append(median(milliseconds(run) for _ in range(ROUNDS)))
    return Curve("Tokens of the prompt", "tokens", CONTEXTS, lines, WHY["context"])


def by_regions() -> Curve:
    """Add regions to one canvas."""
    alone, watched = _fills([(with_regions(count), FillOptions(single_line=True)) for count in REGIONS])
    return _curve("Regions in one canvas", "regions", REGIONS, {"a fill": alone}, WHY["regions"], watched)


def by_alternatives() -> Curve:
    """Add fills that are denoised side by side."""
    typed = in_files_of(300)
    every = [(typed, FillOptions(single_line=True, alternatives=count)) for count in ALTERNATIVES]
    alone, watched = _fills(every)
    lines = {"a fill": alone}
    return _curve(
        "Alternatives in one batch", "alternatives", ALTERNATIVES, lines, WHY["alternatives"], watched
    )


CURVES: Mapping[str, Callable[[], Curve]] = {
    "lines": by_lines,
    "context": by_context,
    "regions": by_regions,
    "alternatives": by_alternatives,
}

WHY: Mapping[str, str] = {
    "lines": (
        "The model looks no further than 60,000 characters up and 30,000 down, so that beyond 3,000 lines it takes no "
        "longer; up to there more of the document is looked up for what may be copied, which is most of the rest. What "
        "the server adds grows from 4 ms at 300 lines to 9 at 3,000 and 50 at 100,000, although it parses and sends "
        "only what lies around the place: the document itself is then a text of 4 MB, which an edit makes anew."
    ),
    "context": (
        "The linear layers take the same whatever stands before, and only attention grows: it is a tenth of a step "
        "over 1,024 tokens and half of one over 4,096. A cold prompt bends upwards where attention, which grows with "
        "the square, takes over: four times the tokens take seven times as long from 1,024 on."
    ),
    "regions": (
        "A fill grows with its slots and with the steps that the least sure region wants, 2 passes for one region and "
        "8 for sixteen, whose canvas may be widened once; scores, and beliefs for the next step, grow with both."
    ),
    "alternatives": (
        "Guessing is done once for all; from one to two the steps double, since the first alternative settles in two "
        "and drawn ones need all four; then the slots decide."
    ),
}
"""What profiling has shown about each curve."""


def _fills(asked: Sequence[tuple[Sequence[Typed], FillOptions]]) -> tuple[list[float], list[Phases]]:
    infiller = Infiller.load()
    infiller.warm_up()
    # Whatever else runs can only slow a run down; the runs take turns, so that each has a quiet time.
    runs = [[timed(infiller, typed, options) for typed, options in asked] for _ in range(RUNS)]
    best = [min(each, key=itemgetter(0)) for each in zip(*runs, strict=True)]
    return [time for time, _ in best], [phases for _, phases in best]


def _curve(
    title: str, x: str, xs: Sequence[int], lines: Mapping[str, Values], why: str, watched: Sequence[Phases]
) -> Curve:
    return Curve(
        title, x, xs, lines, why, [each.means() for each in watched], [each.calls() for each in watched]
    )


def _served() -> Mapping[str, Values]:
    """Measure completions of the server: automatic ones while the user types, and those that the user asks for."""
    names = {False: "the server, automatic", True: "the server, asked for"}
    found: dict[str, dict[int, float]] = {name: {} for name in names.values()}
    with server() as client:
        client.await_model()
        for lines in LINES_SERVED:
            for asked, name in names.items():
                found[name][lines] = median(_completions(client, lines, asked))
    return {name: [values.get(lines) for lines in LINES] for name, values in found.items()}


def _completions(client: Client, lines: int, asked: bool) -> Iterator[float]:
    for cut in places(LONG.read_text("utf-8"), PLACES, KEYSTROKES):
        yield from served(client, sized(cut, lines), asked)


def table(curve: Curve) -> str:
    """Write Markdown: a table of the medians, and for fills one of where their time went."""
    medians = _rows([curve.x, *curve.lines], [curve.xs, *curve.lines.values()])
    return f"{medians}\n\n{_phases(curve)}" if curve.phases else medians


def _phases(curve: Curve) -> str:
    """Write the mean milliseconds of the phases that matter, and how often the network ran in each."""
    shown = [name for name in curve.phases[0] if max(each[name] for each in curve.phases) >= 1]
    columns = [
        [_phase(ms[name], passes.get(name)) for ms, passes in zip(curve.phases, curve.passes, strict=True)]
        for name in shown
    ]
    return _rows([curve.x, *shown], [curve.xs, *columns])


def _phase(milliseconds: float, passes: float | None) -> str:
    return _time(milliseconds) + ("" if passes is None else f" ({passes:.1f})")


def _rows(head: Sequence[str], columns: Sequence[Sequence[float | str | None]]) -> str:
    first, *others = columns
    body = [
        [f"{x:,}", *(value if isinstance(value, str) else _time(value) for value in row)]
        for x, *row in zip(first, *others, strict=True)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---:"] * len(head), *body])


def _time(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def page(curves: Sequence[Curve], machine: str) -> str:
    """Write the whole of ``results/curves.md``."""
    sections = [f"## {curve.title}\n\n{curve.why}\n\n{table(curve)}" for curve in curves]
    return "\n\n".join([f"# How a warm fill's time grows\n\n{INTRODUCTION}\n\n{machine}.", *sections]) + "\n"


INTRODUCTION = f"""\
Medians in ms of `python -m bench.curves`: {PLACES} places of a file of 300 lines, {KEYSTROKES} keystrokes at each, the
cache warm, the better of {RUNS} runs; larger files have the standard library's code around it. The second table of a
section says where the time of a fill went on average and, in brackets, how often the network ran for it. The picture
is `curves.png`."""


def record(curves: Mapping[str, Curve]) -> None:
    """Write the results over the last ones."""
    machine = this_machine()
    RESULTS.mkdir(exist_ok=True)
    kept = {"machine": asdict(machine), "curves": {name: asdict(curve) for name, curve in curves.items()}}
    (RESULTS / "curves.json").write_text(json.dumps(kept, indent=1, default=float) + "\n", "utf-8")
    (RESULTS / "curves.md").write_text(page(list(curves.values()), described(machine)), "utf-8")
    draw([_panel(curve) for curve in curves.values()], RESULTS / "curves.png")


def _panel(curve: Curve) -> Panel:
    return Panel(curve.title, curve.x, "ms", curve.xs, curve.lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.curves", description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", action="append", choices=list(CURVES), help="may be given several times")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the server that is started
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    curves: dict[str, Curve] = {}
    for name in arguments.only or CURVES:
        curves[name] = CURVES[name]()
        print(f"{curves[name].title}\n\n{table(curves[name])}\n", flush=True)
    if arguments.record:
        record(curves)
    return 0


if __name__ == "__main__":
    sys.exit(main())
