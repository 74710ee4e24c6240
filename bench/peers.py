"""``make bench-peers`` compares the bundled model with small autoregressive ones on the same held-out regions.

Gemma-3-270M and SmolLM2-135M in four bits run in llama.cpp (`peer_worker`, in an environment of its own). They see the
text before the hole, write to the end of the line, and are cut where the text after the hole begins, as drafts are.
With --ranked they also write seven answers, and the one that makes the text after it likeliest counts; that takes them
many seconds. All have the same number of threads, and all are timed with their prompt in the cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import torch

from bench.figures import described
from bench.processes import Stopwatch
from bench.report import introduce_machine
from dgemma_model.fill.infiller import Infiller
from dgemma_model.network.folder import BUNDLED
from dgemma_model.protocol import FillOptions
from dgemma_model.train.evaluate.baselines import stop_in_time
from dgemma_model.train.evaluate.cases import Case, Kind, draw, read_files
from dgemma_model.train.evaluate.scores import last_draft

KINDS = (Kind.REST_OF_LINE, Kind.MID_IDENTIFIER, Kind.EXPRESSION, Kind.ARGUMENT_LIST)
PEERS = {"gemma": "Gemma-3-270M", "smollm2": "SmolLM2-135M"}
OURS = "the bundled model"
BEHIND = 200
"""The characters after the hole whose likelihood ranks answers."""

Answers = dict[str, tuple[str, float]]
"""The answers to one case, and their milliseconds, by who gave them."""


class Peer:
    """Another model, in a process of its own."""

    def __init__(self, python: Path, name: str, threads: int, ranked: bool) -> None:
        self._ranked = ranked
        command = [str(python), "-m", "bench.peer_worker", name, "--threads", str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._name = PEERS[name]
        self._receive()

    def __call__(self, case: Case, seed: int) -> Answers:
        """Answer a case: plainly, and if asked also ranked by the text after the hole."""
        (start, end), text = case.spans[0], case.text
        assert self._process.stdin is not None
        request = {
            "prefix": text[:start],
            "suffix": text[end : end + BEHIND],
            "seed": seed,
            "ranked": self._ranked,
        }
        print(json.dumps(request), file=self._process.stdin, flush=True)
        said = self._receive()
        answers = {self._name: (cut(said["plain"], case), said["milliseconds"])}
        if self._ranked:
            ranked = cut(said["ranked"], case), said["ranked milliseconds"]
            answers[f"{self._name}, ranked by the suffix"] = ranked
        return answers

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._name} has ended; `make bench-peers` sets its environment up.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


class Ours:
    """The bundled model with its default settings."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._infiller = Infiller.load(BUNDLED)

    def __call__(self, case: Case, seed: int) -> Answers:
        """Answer a case twice; the second time counts, as the prompt is then in the cache, as it is for the others."""
        for _ in range(2):
            watch = Stopwatch()
            draft = last_draft(self._infiller, case, FillOptions(seed=seed))
            milliseconds = watch.milliseconds
        return {OURS: (draft.alternatives[0][0].text, milliseconds)}


def cut(answer: str, case: Case) -> str:
    """Cut an answer where the text after the hole begins on its line."""
    return stop_in_time(answer, case.text, case.spans[0][1])


def compare(cases: Sequence[Case], answerers: Sequence[Any]) -> dict[str, dict[str, float]]:
    """Return everybody's share of exact answers and median time."""
    right: dict[str, list[bool]] = {}
    times: dict[str, list[float]] = {}
    for seed, case in enumerate(cases):
        for answerer in answerers:
            for name, (answer, milliseconds) in answerer(case, seed).items():
                right.setdefault(name, []).append(all(case.right([answer])))
                times.setdefault(name, []).append(milliseconds)
        print(f"{case.kind} {seed + 1}/{len(cases)}", file=sys.stderr, end="\r", flush=True)
    return {
        name: {
            "cases": len(right[name]),
            "exact": round(statistics.fmean(right[name]), 4),
            "milliseconds": round(statistics.median(times[name]), 1),
        }
        for name in right
    }


def table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Write a row for everybody, with two columns for each kind of region."""
    kinds = list(found)
    names = list(found[kinds[0]])
    head = " | ".join(f"{kind}, exact | ms" for kind in kinds)
    rows = [f"| | {head} |", "| --- |" + " ---: | ---: |" * len(kinds)]
    for name in names:
        cells = (
            f"{100 * found[k][name]['exact']:.1f} % | {found[k][name]['milliseconds']:.0f}" for k in kinds
        )
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _drawn(corpus: Path, kinds: Sequence[Kind], count: int) -> Iterator[tuple[Kind, list[Case]]]:
    files = read_files(corpus / "held_out.jsonl")
    for kind in kinds:
        yield kind, list(draw(files, kind, count))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--python", type=Path, default=Path(".cache/peers/bin/python"), help="of their environment"
    )
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus"))
    parser.add_argument("--count", type=int, default=100, help="cases of each kind")
    parser.add_argument("--kinds", type=Kind, nargs="+", default=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument(
        "--ranked", action="store_true", help="rank seven answers of the others by what follows, too"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="file of the results, as JSON")
    arguments = parser.parse_args()
    if not arguments.python.exists():
        raise SystemExit(
            f"There is no {arguments.python}; `make bench-peers` sets the peers' environment up."
        )
    machine = introduce_machine()
    found: dict[str, dict[str, dict[str, float]]] = {}
    with ExitStack() as stack:
        peers = [
            stack.enter_context(closing(Peer(arguments.python, name, arguments.threads, arguments.ranked)))
            for name in PEERS
        ]
        answerers = [Ours(arguments.threads), *peers]
        for kind, cases in _drawn(arguments.corpus, arguments.kinds, arguments.count):
            found[str(kind)] = compare(cases, answerers)
    print(table(found))
    if arguments.out:
        report = {"machine": described(machine), "kinds": found}
        arguments.out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
