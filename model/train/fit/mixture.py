"""Fit how far document and corpus are trusted: ``python -m dgemma_model.train.fit.mixture --model FOLDER``.

Writes into a checkpoint's `fitted.json` the coefficients under which some regions are likeliest (maximum likelihood
with a small penalty, by L-BFGS). The regions are rests of lines of training files from the end of the order in which
training reads them, in packages whose n-grams are left out of the counts for this: of what has been counted itself,
counts know too much. Neither the evaluation's files nor the calibration's are used.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from dgemma_model.fill.fitted import Fitted
from dgemma_model.fill.infiller import Infiller
from dgemma_model.guess.encoder import Comparison
from dgemma_model.guess.mixture import Mixture, features
from dgemma_model.guess.ngrams import NGrams
from dgemma_model.network.folder import BUNDLED, TOKENIZER
from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train.evaluate.cases import Case, Files, Kind, draw
from dgemma_model.train.fit import ngrams
from dgemma_model.train.recipe import Recipe
from dgemma_model.train.stream import read_last

FITTED_ON = frozenset(
    {
        "aiohttp",
        "attrs",
        "dask",
        "django",
        "filelock",
        "httpx2",
        "huggingface-hub",
        "ipython",
        "pip",
        "pluggy",
    }
    | {"pydantic", "pygls", "pygments", "pyyaml", "setuptools", "sphinx", "twisted", "werkzeug"}
)
"""Packages of different kinds, an eighth of the first corpus."""

_ROUNDS = 300
_PENALTY = 1e-4  # nats a token for each weight's square
_IMPOSSIBLE = 1e-9


def fit(comparisons: Sequence[Comparison], counted: bool = True) -> Mixture:
    """The mixture under which the tokens are likeliest.

    Args:
        counted: whether counts take part.
    """
    known = torch.tensor([features(one.evidence) for one in comparisons])  # [tokens, features]
    chances = torch.tensor([one.probabilities for one in comparisons])  # [tokens, 3]
    nothing = torch.tensor([one.evidence.match == 0 for one in comparisons])
    weights = torch.zeros(2, known.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        copying, counting = known @ weights[0], known @ weights[1]
        copying = copying.masked_fill(nothing, -torch.inf)
        counting = counting if counted else torch.full_like(counting, -torch.inf)
        shares = torch.stack([torch.zeros_like(copying), copying, counting], 1).softmax(1)
        likely = (shares * chances).sum(1).clamp_min(_IMPOSSIBLE)
        total: Tensor = -likely.log().mean() + _PENALTY * weights.square().sum()
        total.backward()
        return total

    search.step(loss)
    copying, counting = (tuple(round(w, 3) for w in row) for row in weights.tolist())
    return Mixture(copying, counting if counted else None)


def bits(mixture: Mixture, comparisons: Sequence[Comparison]) -> float:
    """A token's information under a mixture, on average."""
    chances = torch.tensor([mixture(one.evidence).dot(one.probabilities) for one in comparisons])
    return float(-chances.clamp_min(_IMPOSSIBLE).log2().mean())


def compare(infiller: Infiller, case: Case) -> list[Comparison]:
    """Every token of a case's first region."""
    healed = case.masked.healed()
    opened = infiller.prompts.open(healed, single_line=True)
    text = infiller.tokenizer.encode(healed.stems[0] + case.truths[0].rstrip())
    return infiller.encoder.compare(opened.prompt, opened.opening, text)


def unread(corpus: Path, count: int) -> Files:
    """What training reads last of the packages that the mixture is fitted on."""
    files: dict[str, list[str]] = defaultdict(list)
    for package, text in read_last(corpus, Recipe().seed, count):
        if package in FITTED_ON:
            files[package].append(text)
    return files


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.fit.mixture", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus/train.jsonl"))
    parser.add_argument("--count", type=int, default=1000, help="regions")
    parser.add_argument("--last", type=int, default=2000, help="files from the end of an epoch")
    parser.add_argument(
        "--counts", type=Path, default=Path(".cache/fitting.safetensors"), help="made where it is missing"
    )
    arguments = parser.parse_args(argv)
    if not arguments.counts.exists():
        print("Counting the corpus without the packages that are fitted on.", file=sys.stderr)
        ngrams.make(arguments.corpus, arguments.model / TOKENIZER, arguments.counts, without=FITTED_ON)
    vocabulary = Tokenizer.from_file(arguments.model / TOKENIZER).vocab_size
    infiller = Infiller.load(arguments.model, ngrams=NGrams.from_file(arguments.counts, vocabulary))
    files = unread(arguments.corpus, arguments.last)
    found: list[Comparison] = []
    for number, case in enumerate(draw(files, Kind.REST_OF_LINE, arguments.count), 1):
        found += compare(infiller, case)
        if number % 100 == 0:
            print(f"{number} regions, {len(found)} tokens", file=sys.stderr, flush=True)
    mixture = fit(found)
    replace(Fitted.of_checkpoint(arguments.model), mixture=mixture).write(arguments.model)
    print(
        f"{bits(fit(found, counted=False), found):.3f} bits a token without counts, {bits(mixture, found):.3f} with"
    )


if __name__ == "__main__":
    main()
