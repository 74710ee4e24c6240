"""Fit and measure proofreading: ``python -m dgemma_model.train.fit.proofread --model FOLDER``.

Mistakes are made on purpose: in a window of a file's lines a name is replaced by another name of the file, an operator
or a keyword by one that it is easily mistaken for, one at a time. The weights of the facts (`fill.facts`) are fitted by
logistic regression to windows of training files from the end of the order in which training reads them, which training
has not seen. Then, on held-out packages, it is counted how many hints the unharmed windows get, which decides the
threshold, and how often the mistake is found. ``--report`` writes that down.
"""

from __future__ import annotations

import argparse
import io
import json
import keyword
import math
import random
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy

from dgemma_model.fill.facts import LEXEME, Fact, Facts, Weights
from dgemma_model.fill.fitted import Fitted
from dgemma_model.fill.infiller import Infiller
from dgemma_model.fill.proofread import Page
from dgemma_model.network.checkpoint import BUNDLED
from dgemma_model.train.recipe import Recipe
from dgemma_model.train.stream import read_last

WINDOW = 60
"""Lines that are read at a time."""

LINES_PER_HINT = 200
"""Of unharmed code; the threshold is chosen for it."""

MISTAKES: Mapping[str, str] = MappingProxyType(
    {
        "==": "!=", "!=": "==", "<": ">", ">": "<", "<=": "<", ">=": ">", "+": "-", "-": "+", "*": "/", "/": "*",
        "+=": "-=", "-=": "+=", "and": "or", "or": "and", "True": "False", "False": "True", "is": "in", "in": "is",
        "break": "continue", "continue": "break", "if": "while", "while": "if", "None": "True", "return": "yield",
    }
)  # fmt: skip
"""What operators and keywords are mistaken for."""

PENALTY = 1.0
_ROUNDS = 30
_EACH_KIND = 2  # mistakes in a window


@dataclass(frozen=True, slots=True)
class Found:
    """A place where something may be wrong: its offset, its replacement and the facts."""

    at: int
    other: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Attributes:
        kind: "name", "operator" or "keyword".
        at: a character offset.
        right: what stood there.
        found: in its line, with the mistake in it.
        line: character offsets of the line.
    """

    kind: str
    at: int
    right: str
    found: list[Found]
    line: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Some lines of a file.

    Attributes:
        lines: how many of them have code.
        found: in the unharmed lines.
        mistakes: made one at a time.
    """

    lines: int
    found: list[Found]
    mistakes: list[Mistake]


# Reading


def quiet_parts(text: str) -> list[tuple[int, int]] | None:
    """Where strings and comments are; None for what is no Python."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT):
                (first, left), (last, right) = token.start, token.end
                found.append((starts[first - 1] + left, starts[last - 1] + right))
    except (tokenize.TokenError, SyntaxError, IndexError):
        return None
    return found


def spans(page: Page, start: int, end: int) -> list[tuple[int, int]]:
    """The lines with code between two offsets, without the blanks around them."""
    found, at = [], start
    for line in page.text[start:end].split("\n"):
        begin, stop = at + len(line) - len(line.lstrip()), at + len(line.rstrip())
        if begin < stop and not page.is_quiet(begin, stop):
            found.append((begin, stop))
        at += len(line) + 1
    return found


def read(infiller: Infiller, page: Page, start: int, end: int) -> list[Found]:
    """What may be wrong between two offsets."""
    words = page.words()
    return [
        Found(doubt.start, doubt.other, doubt.facts)
        for span in spans(page, start, end)
        for doubt in infiller.proofreader.doubts(page, words, *span)
    ]


def window(infiller: Infiller, text: str, rng: random.Random) -> Window | None:
    """A window of a file, with some mistakes; None for a file that cannot be used."""
    quiet = quiet_parts(text)
    lines = text.split("\n")
    if quiet is None or len(lines) < WINDOW // 2 or "\r" in text:
        return None
    page, first = Page(text, quiet), rng.randrange(max(1, len(lines) - WINDOW))
    start = sum(len(line) + 1 for line in lines[:first])
    end = start + sum(len(line) + 1 for line in lines[first : first + WINDOW]) - 1
    count = len(spans(page, start, end))
    found = read(infiller, page, start, min(end, len(text)))
    return Window(count, found, list(_mistakes(infiller, page, start, min(end, len(text)), rng)))


def _mistakes(infiller: Infiller, page: Page, start: int, end: int, rng: random.Random) -> Iterator[Mistake]:
    made = Counter[str]()
    names = sorted({word for word in LEXEME.findall(page.text) if _kind(word) == "name"})
    lexemes = list(LEXEME.finditer(page.text, start, end))
    for lexeme in rng.sample(lexemes, len(lexemes)):
        kind, wrong = _kind(lexeme[0]), _wrong(lexeme[0], names, rng)
        if made[kind] >= _EACH_KIND or wrong == lexeme[0] or page.is_quiet(*lexeme.span()):
            continue
        line = page.text.rfind("\n", 0, lexeme.start()) + 1
        if kind == "name" and re.match(r"\s*(async def|def|class|import|from)\b", page.text[line:]):
            continue
        harmed = page.text[: lexeme.start()] + wrong + page.text[lexeme.end() :]
        quiet, stop = quiet_parts(harmed), harmed.find("\n", lexeme.start())
        if quiet is None:
            continue
        made[kind] += 1
        stop = len(harmed) if stop < 0 else stop
        found = read(infiller, Page(harmed, quiet), line, stop)
        yield Mistake(kind, lexeme.start(), lexeme[0], found, (line, stop))


def _wrong(lexeme: str, names: Sequence[str], rng: random.Random) -> str:
    return rng.choice(names) if _kind(lexeme) == "name" else MISTAKES.get(lexeme, lexeme)


def _kind(lexeme: str) -> str:
    if keyword.iskeyword(lexeme):
        return "keyword"
    return "name" if lexeme[0].isalpha() or lexeme[0] == "_" else "operator"


# Fitting


def score(weights: Weights, facts: Facts) -> float:
    """The logarithm of the odds that something is wrong."""
    return sum(weights.get(name, 0.0) * value for name, value in facts.items())


def fit(windows: Sequence[Window]) -> Weights:
    """The weights under which mistakes are told best from what is right; nothing is learnt of a fact that is constant.

    Logistic regression with a quadratic penalty, by Newton's method.
    """
    rows: list[Facts] = []
    truths: list[float] = []
    for one in windows:
        right = _strongest(one.found)
        rows += [found.facts for found in right]
        truths += [0.0] * len(right)
        for mistake in one.mistakes:
            mended = [f.facts for f in mistake.found if (f.at, f.other) == (mistake.at, mistake.right)]
            rows += mended
            truths += [1.0] * len(mended)
    names = list(rows[0])
    table = numpy.array([[row[name] for name in names] for row in rows])
    scale = numpy.maximum(table.std(0), 1e-6)
    scale[names.index(Fact.ALWAYS)] = 1.0
    solved = _newton(table / scale, numpy.array(truths))
    return {name: round(float(value), 3) for name, value in zip(names, solved / scale, strict=True)}


def _strongest(found: Sequence[Found]) -> list[Found]:
    """One for each place: the one by which the line gains most."""
    best: dict[int, Found] = {}
    for one in found:
        if one.at not in best or _gain(one) > _gain(best[one.at]):
            best[one.at] = one
    return list(best.values())


def _gain(found: Found) -> float:
    return found.facts[Fact.SURPRISE] + found.facts[Fact.FROM_BEHIND]


def _newton(
    table: numpy.typing.NDArray[numpy.float64], truths: numpy.typing.NDArray[numpy.float64]
) -> numpy.typing.NDArray[numpy.float64]:
    solved = numpy.zeros(table.shape[1])
    for _ in range(_ROUNDS):
        guessed = 1 / (1 + numpy.exp(-(table @ solved).clip(-30, 30)))
        slope = table.T @ (guessed - truths) + PENALTY * solved
        curve = (table * (guessed * (1 - guessed))[:, None]).T @ table + PENALTY * numpy.eye(len(solved))
        solved = solved - numpy.linalg.solve(curve, slope)
    return solved


# Measuring


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured on held-out packages.

    Attributes:
        lines: with code, unharmed.
        threshold: the least confidence, in hundredths, with which those lines get at most one hint in `LINES_PER_HINT`.
        rows: of each kind: mistakes, share in the first place, in the first three, above the threshold, and mended by
            the quick fix of a hint above the threshold.
    """

    lines: int
    threshold: float
    rows: dict[str, tuple[int, float, float, float, float]]


def measure(windows: Sequence[Window], weights: Weights) -> Result:
    """Count hints in unharmed windows, and mistakes that are found; the place is that among all hints of the window."""
    lines = sum(one.lines for one in windows)
    allowed = lines // LINES_PER_HINT
    values = sorted((v for one in windows for v in _best(one.found, weights).values()), reverse=True)
    exact = 1 / (1 + math.exp(-values[allowed])) if len(values) > allowed else 0.0
    threshold = min(0.99, math.floor(100 * exact + 1) / 100)
    limit = math.log(threshold / (1 - threshold))
    kinds: dict[str, list[tuple[bool, bool, bool, bool]]] = {}
    for one in windows:
        right = _best(one.found, weights)
        for mistake in one.mistakes:
            seen = _judged(mistake, right, weights, limit)
            kinds.setdefault(mistake.kind, []).append(seen)
            kinds.setdefault("all", []).append(seen)
    rows = {kind: (len(seen), *map(_mean, zip(*seen, strict=True))) for kind, seen in sorted(kinds.items())}
    return Result(lines, threshold, rows)  # type: ignore[arg-type]


def _judged(
    mistake: Mistake, right: Mapping[int, float], weights: Weights, limit: float
) -> tuple[bool, bool, bool, bool]:
    mine = _best(mistake.found, weights)
    value = mine.pop(mistake.at, -30.0)
    # Of the line itself the hints with the mistake in it count.
    others = [*mine.values(), *(v for at, v in right.items() if not mistake.line[0] <= at < mistake.line[1])]
    place = sum(other >= value for other in others) + 1 if value > -30 else 99
    fixes = [(score(weights, f.facts), f.other) for f in mistake.found if f.at == mistake.at]
    mended = value >= limit and max(fixes)[1] == mistake.right
    return place == 1, place <= 3, value >= limit, mended


def _best(found: Sequence[Found], weights: Weights) -> dict[int, float]:
    best: dict[int, float] = {}
    for one in found:
        best[one.at] = max(best.get(one.at, -30.0), score(weights, one.facts))
    return best


def _mean(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def report(result: Result) -> str:
    """As Markdown."""
    head = (
        f"On {result.lines:,} unharmed lines of held-out packages, in windows of {WINDOW}, there is at most one hint\n"
        f"in {LINES_PER_HINT} lines from a confidence of {result.threshold:.2f} on, which is the default. With one\n"
        "mistake in a window:"
    )
    rows = [
        "| mistakes | number | the first hint | among the first three | above the default | and mended |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {kind} | {count} | {first:.0%} | {three:.0%} | {above:.0%} | {mended:.0%} |"
            for kind, (count, first, three, above, mended) in result.rows.items()
        ),
    ]
    return "\n".join(["# Proofreading", "", head, "", *rows, ""])


# Command line


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.fit.proofread", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus"))
    parser.add_argument("--fit", type=int, default=0, metavar="WINDOWS", help="fit anew; else only measure")
    parser.add_argument("--measure", type=int, default=150, metavar="WINDOWS")
    parser.add_argument("--report", type=Path, help="write the measurement there")
    arguments = parser.parse_args(argv)
    infiller = Infiller.load(arguments.model)
    weights = Fitted.of_checkpoint(arguments.model).proofreading
    if arguments.fit:
        unread = read_last(arguments.corpus / "train.jsonl", Recipe().seed, 4 * arguments.fit)
        weights = fit(_windows(infiller, [text for _, text in unread], arguments.fit))
        replace(Fitted.of_checkpoint(arguments.model), proofreading=weights).write(arguments.model)
        print(json.dumps(weights, indent=4))
    if weights is None:
        parser.error(f"{arguments.model} was never fitted for proofreading; use --fit.")
    lines = (arguments.corpus / "held_out.jsonl").read_text("utf-8").splitlines()
    held_out = [json.loads(line)["text"] for line in lines]
    said = report(measure(_windows(infiller, held_out, arguments.measure), weights))
    print(said)
    if arguments.report:
        arguments.report.write_text(said, "utf-8")


def _windows(infiller: Infiller, texts: Sequence[str], count: int) -> list[Window]:
    rng = random.Random(0)
    found: list[Window] = []
    for text in rng.sample(list(texts), len(texts)):
        if len(found) < count and (one := window(infiller, text, rng)) is not None:
            found.append(one)
            print(f"{len(found)} windows", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
