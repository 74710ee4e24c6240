"""``python -m bench.cuts`` measures where a long text around a region is best cut off, and prints a table.

The same places of held-out packages are filled with prefixes and suffixes that are cut in different ways, all within
the budget of tokens that the checkpoint was trained with. Likelihoods show smaller differences than exact matches do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, pstdev
from typing import Any
from unittest.mock import patch

from dgemma_lsp.text.languages import languages
from dgemma_lsp.text.surroundings import headers
from dgemma_model.fill.infiller import Infiller
from dgemma_model.layouts import infill
from dgemma_model.protocol import FillOptions
from dgemma_model.syntax.statements import Borders
from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train.evaluate.cases import Case, Kind, draw, read_files
from dgemma_model.train.evaluate.scores import last_draft

KINDS = (Kind.REST_OF_LINE, Kind.STATEMENT, Kind.EXPRESSION)
_HEADERS = 96  # tokens of all headers together

Cut = Callable[[str, Tokenizer, int], list[int]]
"""A way to cut a text, called as `infill.prefix_tokens` and `infill.suffix_tokens` are."""


def prefix_by_lines(text: str, tokenizer: Tokenizer, budget: int) -> list[int]:
    """Cut as the product does, but without looking for statements."""
    return infill.prefix_tokens(text, tokenizer, budget, _LineBorders())


class _LineBorders(Borders):
    """The starts of lines, whether a statement begins there or not."""

    def after(self, text: str, at: int, reach: int) -> int:
        return text.find("\n", at, at + reach) + 1 or at


def prefix_by_statements(text: str, tokenizer: Tokenizer, budget: int) -> list[int]:
    """Cut as the product does."""
    return infill.prefix_tokens(text, tokenizer, budget, Borders())


def prefix_under_headers(text: str, tokenizer: Tokenizer, budget: int) -> list[int]:
    """Cut as the product does, below the headers of the classes and functions around the text that is kept."""
    tokens = prefix_by_statements(text, tokenizer, budget)
    start = len(text) - len(tokenizer.decode_lossy(tokens))
    lines = headers(text, start, languages()["python"].code_starts) if start > 0 else []
    encoded = [tokenizer.encode(line.of(text)) for line in lines]
    while sum(map(len, encoded)) > _HEADERS:
        encoded = encoded[1:]
    above = [token for header in encoded for token in header]
    return [*above, *prefix_by_statements(text, tokenizer, budget - len(above))]


def suffix_by_lines(text: str, tokenizer: Tokenizer, budget: int) -> list[int]:
    """Cut as the product does, but leave out the line that the budget ends in."""
    tokens = tokenizer.encode(text[: budget * infill._CHARACTERS_PER_TOKEN])
    if len(tokens) <= budget:
        return tokens
    ends = (n for n in range(budget, budget // 2, -1) if tokenizer.token_bytes(tokens[n])[:1] == b"\n")
    return tokens[: next(ends, budget)]


CUTS: Mapping[str, tuple[Cut, Cut]] = {
    "prefix by lines": (prefix_by_lines, infill.suffix_tokens),
    "prefix by statements": (prefix_by_statements, infill.suffix_tokens),
    "prefix by statements, suffix by lines": (prefix_by_statements, suffix_by_lines),
    "under headers, suffix by lines": (prefix_under_headers, suffix_by_lines),
}


@dataclass(slots=True)
class Score:
    """The results of one way to cut: the log-likelihoods of the truths, and which fills were right."""

    likely: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)


@contextmanager
def cutting(prefix: Cut, suffix: Cut) -> Iterator[None]:
    # The product's function calls itself by its name in the module.
    own: dict[str, Any] = {"prefix_tokens": infill.prefix_tokens, "suffix_tokens": infill.suffix_tokens}

    def restored(cut: Cut) -> Cut:
        def run(text: str, tokenizer: Tokenizer, budget: int, *_: Borders) -> list[int]:
            with patch.multiple(infill, **own):
                return cut(text, tokenizer, budget)

        return run

    with patch.multiple(infill, prefix_tokens=restored(prefix), suffix_tokens=restored(suffix)):
        yield


def measure(infiller: Infiller, case: Case, score: Score) -> None:
    healed = case.masked.healed()
    truth = infiller.tokenizer.encode(healed.stems[0] + case.truths[0])
    prompt, opening, *_ = infiller.prompts.open(healed, case.kind.single_line)
    score.likely += infiller.encoder.log_likelihoods(prompt, opening, [truth])
    fills = last_draft(infiller, case, FillOptions()).alternatives[0]
    score.right.append(all(case.right([fill.text for fill in fills])))


def rows(kind: Kind, scores: Mapping[str, Score]) -> Iterator[str]:
    first = next(iter(scores.values()))
    for name, score in scores.items():
        more = [one - other for one, other in zip(score.likely, first.likely, strict=True)]
        error = pstdev(more) / len(more) ** 0.5
        better = sum(one > other for one, other in zip(score.right, first.right, strict=True))
        worse = sum(one < other for one, other in zip(score.right, first.right, strict=True))
        yield (
            f"| {kind} | {name} | {mean(score.right):.1%} | {better} | {worse} | {mean(more):+.3f} ± {error:.3f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cuts", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path(".cache/corpus/held_out.jsonl"))
    parser.add_argument("--count", type=int, default=400)
    arguments = parser.parse_args()
    infiller, files = Infiller.load(), read_files(arguments.corpus)
    print("| region | cut | exact match | right only so | right only with the first | nats of the truth |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for kind in KINDS:
        scores = {name: Score() for name in CUTS}
        for case in draw(files, kind, arguments.count, seed=2):
            for name, cuts in CUTS.items():
                with cutting(*cuts):
                    measure(infiller, case, scores[name])
        print("\n".join(rows(kind, scores)), flush=True)


if __name__ == "__main__":
    main()
