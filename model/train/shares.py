"""Fit how far the document is trusted beside the encoder: ``python -m dgemma_model.train.shares --model FOLDER``.

Prints `writing.SHARES` for a checkpoint. Each token of some regions comes either from the encoder or from copying, with
a probability that depends on the length of the longest match; expectation maximisation (Dempster et al., 1977) finds
the one under which the regions are likeliest. The regions are rests of lines of training files from the end of the
order in which training reads them, so that neither training nor the evaluation has seen them.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from dgemma_model.copying import LONGEST
from dgemma_model.infill import Infiller
from dgemma_model.load import BUNDLED
from dgemma_model.train.cases import Case, Kind, draw
from dgemma_model.train.train import Recipe, read_last
from dgemma_model.writing import Comparison, Shares

_ROUNDS = 60
_PRIOR = 20.0  # tokens with the share of the next shorter match that each share starts with


def fit(comparisons: Iterable[Comparison]) -> Shares:
    """The shares of copying, for longest matches of 0, 1, … `LONGEST` tokens, under which the tokens are likeliest."""
    groups: list[list[Comparison]] = [[] for _ in range(LONGEST + 1)]
    for one in comparisons:
        groups[one.length].append(one)
    shares = [0.0]
    for group in groups[1:]:
        shares.append(_share(group, shares[-1]))
    return tuple(round(share, 3) for share in shares)


def _share(group: Sequence[Comparison], before: float) -> float:
    share = 0.5
    for _ in range(_ROUNDS):
        copied = sum(_copied(one, share) for one in group)
        share = (copied + _PRIOR * before) / (len(group) + _PRIOR)
    return share


def _copied(one: Comparison, share: float) -> float:
    """How likely it is that a token was copied."""
    both = share * one.copying + (1 - share) * one.encoder
    return share * one.copying / both if both else 0.0


def compare(infiller: Infiller, case: Case) -> list[Comparison]:
    """Every token of a case's first region."""
    healed = case.masked.healed()
    prompt, opening, _ = infiller.open(healed, single_line=True)
    text = infiller.tokenizer.encode(healed.begun[0] + case.truths[0])
    return infiller.compare(prompt, opening, text)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.shares", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus/train.jsonl"))
    parser.add_argument("--count", type=int, default=1000, help="regions")
    arguments = parser.parse_args(argv)
    infiller = Infiller.load(arguments.model)
    texts = read_last(arguments.corpus, Recipe().seed, arguments.count)
    files = {"unread": random.Random(0).sample(texts, len(texts))}
    found: list[Comparison] = []
    for number, case in enumerate(draw(files, Kind.REST_OF_LINE, arguments.count), 1):
        found += compare(infiller, case)
        if number % 100 == 0:
            print(f"{number} regions, {len(found)} tokens", file=sys.stderr)
    print(fit(found))


if __name__ == "__main__":
    main()
