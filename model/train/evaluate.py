"""Measure a checkpoint on held-out files: ``python -m dgemma_model.train.evaluate``.

Regions are drawn from whole packages that were never trained on, the same ones for every checkpoint (seeded), as many
from each package, so that a large package does not decide. Four baselines answer the same regions: an empty fill, the
rest of the most similar line of the file, a bigram back-off model of the training corpus, and the draft that the canvas
begins with.
"""

from __future__ import annotations

import argparse
import difflib
import json
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy
import torch

from dgemma_model.drafting import drafts
from dgemma_model.infill import FillOptions, Infiller
from dgemma_model.layout import MaskedText
from dgemma_model.load import BUNDLED
from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train.examples import Cutter, Span
from dgemma_model.train.train import keep_freed_memory

_LONGEST = 120  # characters of a truth; longer lines are rare and mostly prose


class Kind(StrEnum):
    """What is cut out."""

    REST_OF_LINE = "rest of line"
    WHOLE_LINE = "whole line"
    TWO_REGIONS = "two rests of line at once"


@dataclass(frozen=True, slots=True)
class Case:
    """Regions to fill, and what stood there."""

    kind: Kind
    package: str
    text: str
    spans: tuple[Span, ...]

    @property
    def truths(self) -> tuple[str, ...]:
        """What stood in the regions."""
        return tuple(self.text[start:end] for start, end in self.spans)

    @property
    def masked(self) -> MaskedText:
        """The regions, emptied."""
        starts = [0, *(end for _, end in self.spans)]
        ends = [*(start for start, _ in self.spans), len(self.text)]
        segments = tuple(self.text[a:b] for a, b in zip(starts, ends, strict=True))
        return MaskedText(segments, ("",) * len(self.spans))


@dataclass(slots=True)
class Score:
    """Means over the regions of one kind."""

    regions: int
    exact: float
    similarity: float
    milliseconds: float = 0.0
    steps: float = 0.0


Answer = Callable[[Case], Sequence[str]]


def cases(corpus: Path, kind: Kind, count: int, seed: int = 0) -> Iterator[Case]:
    """``count`` cases of one kind, the packages taking turns."""
    rng = random.Random(f"{seed} {kind}")
    cutter = Cutter(rng)
    files: dict[str, list[str]] = defaultdict(list)
    with corpus.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            files[entry["package"]].append(entry["text"])
    packages = sorted(files)
    found = 0
    while found < count:
        package = packages[found % len(packages)]
        text = rng.choice(files[package])
        spans = _cut(cutter, kind, text, rng)
        if all(start < end <= start + _LONGEST and text[start:end].strip() for start, end in spans):
            found += 1
            yield Case(kind, package, text, spans)


def _cut(cutter: Cutter, kind: Kind, text: str, rng: random.Random) -> tuple[Span, ...]:
    first = cutter.rest_of_line(text, rng.randrange(len(text)))
    if kind is Kind.WHOLE_LINE:
        start, end = cutter.line(text, first[0])
        return ((start + len(text[start:end]) - len(text[start:end].lstrip()), end),)
    if kind is Kind.REST_OF_LINE or first[1] + 2 >= len(text):
        return (first,)
    second = cutter.rest_of_line(text, min(len(text) - 1, first[1] + 1 + rng.randrange(200)))
    return (first, second) if second[0] > first[1] else (first,)


def empty(case: Case) -> Sequence[str]:
    """Baseline: nothing."""
    return [""] * len(case.spans)


def most_similar_line(case: Case) -> Sequence[str]:
    """Baseline: the rest of that line of the file that begins most like the region's; the nearest one above wins."""
    return [_similar(case.text, start) for start, _ in case.spans]


def _similar(text: str, start: int) -> str:
    line_start = text.rfind("\n", 0, start) + 1
    typed = text[line_start:start].lstrip()
    number = text.count("\n", 0, start)
    lines = [line.strip() for line in text.split("\n")]
    others = [(index, line) for index, line in enumerate(lines) if index != number and line]
    if not others:
        return ""
    _, best = max(
        others, key=lambda other: (_shared(typed, other[1]), other[0] < number, -abs(number - other[0]))
    )
    return best[_shared(typed, best) :]


def _shared(first: str, second: str) -> int:
    pairs = zip(first, second, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def draft_alone(case: Case) -> Sequence[str]:
    """What the canvas begins with, as it is: what the denoiser adds is the difference to this."""
    return [found or "" for found in drafts(case.masked.segments)]


class Bigrams:
    """Baseline: the likeliest next token after the last one, over and over, until the line ends."""

    def __init__(self, tokenizer: Tokenizer, texts: Iterable[str]) -> None:
        size = tokenizer.vocab_size
        counts = numpy.zeros(size * size, dtype=numpy.int32)
        for text in texts:
            ids = numpy.array(tokenizer.encode(text), dtype=numpy.int64)
            numpy.add.at(counts, ids[:-1] * size + ids[1:], 1)
        table = counts.reshape(size, size)
        unigram = int(table.sum(0).argmax())
        self._next = numpy.where(table.any(1), table.argmax(1), unigram)
        self._tokenizer = tokenizer

    def __call__(self, case: Case) -> Sequence[str]:
        """The answer to each region."""
        return [self._continue(case.text[:start]) for start, _ in case.spans]

    def _continue(self, prefix: str) -> str:
        token = (self._tokenizer.encode(prefix[-200:]) or [self._tokenizer.bos_id])[-1]
        tokens: list[int] = []
        while len(tokens) < 24:
            token = int(self._next[token])
            if b"\n" in self._tokenizer.token_bytes(token):
                break
            tokens.append(token)
        return self._tokenizer.decode_lossy(tokens)


def corpus_texts(corpus: Path, megabytes: float) -> Iterator[str]:
    """Training texts, in the file's (shuffled) order, up to an amount."""
    left = megabytes * 1e6
    with corpus.open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            yield text
            left -= len(text)
            if left < 0:
                return


@dataclass(slots=True)
class Timing:
    """What the model took, case by case."""

    milliseconds: list[float]
    steps: list[int]


class Model:
    """Answers by the checkpoint, with its confidence in each answer."""

    def __init__(self, infiller: Infiller, options: FillOptions) -> None:
        self._infiller, self._options = infiller, options
        self.timing = Timing([], [])
        self.confidences: list[float] = []

    def __call__(self, case: Case) -> Sequence[str]:
        """The answer to each region."""
        begun = time.perf_counter()
        *_, draft = self._infiller.drafts(case.masked, self._options, lambda: False)
        self.timing.milliseconds.append(1000 * (time.perf_counter() - begun))
        self.timing.steps.append(draft.step)
        self.confidences.append(draft.alternatives[0][0].confidence)
        return [fill.text for fill in draft.alternatives[0]]


def score(cases_: Sequence[Case], answers: Sequence[Sequence[str]]) -> Score:
    """Exact match of a region (white space at its end aside), and similarity as difflib's ratio."""
    pairs = [
        (truth.rstrip(), answer.rstrip())
        for case, texts in zip(cases_, answers, strict=True)
        for truth, answer in zip(case.truths, texts, strict=True)
    ]
    exact = statistics.fmean(truth == answer for truth, answer in pairs)
    similar = statistics.fmean(difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() for a, b in pairs)
    return Score(len(pairs), round(exact, 4), round(similar, 4))


def coverage(confidences: Sequence[float], right: Sequence[bool], precision: float) -> tuple[float, float]:
    """The lowest confidence above which ``precision`` of the answers are right, and the share of answers above it."""
    ordered = sorted(zip(confidences, right, strict=True), reverse=True)
    best, hits = (1.0, 0.0), 0
    for count, (confidence, hit) in enumerate(ordered, 1):
        hits += hit
        if hits / count >= precision and count >= 5:
            best = (confidence, count / len(ordered))
    return best


def evaluate(
    infiller: Infiller, held_out: Path, baselines: dict[str, Answer], count: int, options: FillOptions
) -> dict:  # type: ignore[type-arg]
    """All kinds, the model and the baselines: a dictionary for metrics.json."""
    report: dict[str, object] = {}
    for kind in Kind:
        drawn = list(cases(held_out, kind, count))
        rows: dict[str, object] = {
            name: asdict(score(drawn, [a(c) for c in drawn])) for name, a in baselines.items()
        }
        model = Model(infiller, options)
        answers = [model(case) for case in drawn]
        own = score(drawn, answers)
        own.milliseconds = round(statistics.median(model.timing.milliseconds), 1)
        own.steps = round(statistics.fmean(model.timing.steps), 2)
        rows["model"] = asdict(own)
        right = [a[0].rstrip() == c.truths[0].rstrip() for a, c in zip(answers, drawn, strict=True)]
        threshold, share = coverage(model.confidences, right, 0.6)
        rows["at 60 % precision"] = {"threshold": round(threshold, 4), "coverage": round(share, 4)}
        report[str(kind)] = rows
        print(f"{kind}: {json.dumps(rows)}", file=sys.stderr, flush=True)
    return report


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus"))
    parser.add_argument("--count", type=int, default=600, help="cases of each kind")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--bigram-megabytes", type=float, default=40.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="metrics.json to write")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    infiller = Infiller.load(arguments.model)
    texts = corpus_texts(arguments.corpus / "train.jsonl", arguments.bigram_megabytes)
    baselines: dict[str, Answer] = {
        "empty": empty,
        "most similar line": most_similar_line,
        "bigram back-off": Bigrams(infiller.tokenizer, texts),
        "draft alone": draft_alone,
    }
    options = FillOptions(steps=arguments.steps)
    report = evaluate(infiller, arguments.corpus / "held_out.jsonl", baselines, arguments.count, options)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    else:
        print(json.dumps(report, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
