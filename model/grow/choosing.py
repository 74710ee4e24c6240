"""Choose the tokens for code: count them in the listed packages, and order them by what leaving them out would cost.

``make vocabulary`` writes ``code_tokens.txt`` for the bundled model's tokenizer, and prints for some sizes how many
more tokens held-out files of each language take. Nothing of this is needed to grow a model.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from dgemma_model.grow import bundled, ranking, vocabulary
from dgemma_model.grow.gguf_source import open_gguf
from dgemma_model.grow.source import Json, Special
from dgemma_model.grow.texts import packages, texts
from dgemma_model.grow.vocabulary import Merges

_STEPS = (8192, 16_384, 24_576, 32_768, 40_960, 49_152, 65_536)
"""Sizes at which the list is cut into steps; a size between two is filled up in the order of the tokenizer's merges."""

_MEASURED = (32_768, 40_960, 49_152)


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of each language in counted packages, and texts of held-out ones."""

    counted: Mapping[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    held_out: Mapping[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of_packages(cls, tokenizer: Json, cache: Path) -> Counts:
        """Read all listed packages, which are fetched where they are missing."""
        counts = cls()
        for package in packages():
            for language, found in texts(package.fetch(cache)).items():
                if package.held_out:
                    counts.held_out[language].extend(found)
                else:
                    counts.counted[language].update(ranking.count(tokenizer, found))
        return counts

    def usefulness(self) -> dict[int, float]:
        """How useful each token is over all languages; a language counts by the square root of its size."""
        useful: dict[int, float] = defaultdict(float)
        for counts in self.counted.values():
            weight = 1 / math.sqrt(counts.total())
            for token, count in counts.items():
                useful[token] += weight * count
        return useful


def by_cost(merges: Merges, useful: Mapping[int, float]) -> list[int]:
    """Tokens, the most useful first: the reverse of taking out, again and again, the one that costs least.

    A token that is taken out is written as the two that it was merged from, and each is then used as often more. Only
    tokens that no other is merged from any more are taken out, so that every beginning of the list is closed.
    """
    uses = {token: useful.get(token, 0.0) for token in merges.ids.values()}
    builds = Counter(part for token in uses for part in merges.parts(token))
    needed, taken = merges.needed(), []
    waiting = [(uses[token], -token) for token in uses if not builds[token] and token not in needed]
    heapq.heapify(waiting)
    while waiting:
        _, negative = heapq.heappop(waiting)
        taken.append(-negative)
        for part in merges.parts(-negative):
            uses[part] += uses[-negative]
            builds[part] -= 1
            if not builds[part] and part not in needed:
                heapq.heappush(waiting, (uses[part], -part))
    return taken[::-1]


def steps(merges: Merges, order: Sequence[int]) -> Iterator[Sequence[int]]:
    """The beginning of an order in the steps that the list keeps."""
    bounds = [0, *(size - len(merges.needed()) - 1 for size in _STEPS)]
    for start, end in pairwise(bounds):
        yield order[start:end]


def inflation(
    tokenizer: Json, size: int, order: Iterable[int], held_out: Mapping[str, list[str]]
) -> dict[str, float]:
    """By language, how many more tokens the texts take with a vocabulary of that size; 0.01 is one percent."""
    kept = vocabulary.most_useful(tokenizer, size, order)
    small = vocabulary.keep(tokenizer, kept, Special(None, (), None)).tokenizer
    return {
        language: _length(small, found) / _length(tokenizer, found) - 1
        for language, found in sorted(held_out.items())
    }


def _length(tokenizer: Json, found: Sequence[str]) -> int:
    return ranking.count(tokenizer, found).total()


def _table(columns: Mapping[int, Mapping[str, float]]) -> Iterator[str]:
    yield "| language | " + " | ".join(f"{size:,} tokens" for size in columns) + " |"
    yield "| --- |" + " ---: |" * len(columns)
    for language in next(iter(columns.values())):
        yield (
            f"| {language} | " + " | ".join(f"{column[language]:+.2%}" for column in columns.values()) + " |"
        )


def main() -> Iterator[str]:
    """Choose, write the list, and tell what the sizes cost."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.grow.choosing", description=__doc__)
    parser.add_argument(
        "--weights", type=Path, required=True, help="where the bundled model's source is kept"
    )
    parser.add_argument("--cache", type=Path, required=True, help="where packages are kept")
    options = parser.parse_args()
    tokenizer = open_gguf(bundled.source(bundled.read_recipe(), options.weights)).tokenizer
    merges, counts = Merges(tokenizer), Counts.of_packages(tokenizer, options.cache)
    order = by_cost(merges, counts.usefulness())
    ranking.LIST.write_text(ranking.write_list(tokenizer, steps(merges, order)), "ascii")
    yield from _table({size: inflation(tokenizer, size, order, counts.held_out) for size in _MEASURED})


if __name__ == "__main__":
    for line in main():
        print(line)
