"""The rows of a corpus, without end and in an order that survives a restart."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from dgemma_model.tokenizer import Tokenizer
from dgemma_model.train.data.examples import Batch, Cutter, Row, RowMaker, Shape, collate, take
from dgemma_model.train.recipe import Recipe


class Stream:
    """Endless rows from a corpus, in a seeded order that survives a restart.

    Attributes:
        files: how many the group has read of that order; each of its members reads one of the next ``members``.
    """

    def __init__(
        self,
        corpus: Path,
        tokenizer: Tokenizer,
        recipe: Recipe,
        shape: Shape,
        member: int = 0,
        members: int = 1,
    ) -> None:
        self._lines = _offsets(corpus)
        self._corpus, self._tokenizer, self._recipe, self._shape = corpus, tokenizer, recipe, shape
        self._member, self._members = member, members
        self.files = 0

    def restart(self, seed: int) -> None:
        """Draw the rows that follow from another place of the corpus."""
        self.files = seed % len(self._lines)

    def batches(self) -> Iterator[Batch]:
        """Batches of rows, shuffled among some hundred files."""
        pool: list[Row] = []
        rng = random.Random(f"{self._recipe.seed} {self.files + self._member}")
        for row in self._rows(rng):
            pool.append(row)
            if len(pool) >= 64 * self._recipe.rows:
                rng.shuffle(pool)
                yield collate(take(pool, self._recipe.rows), self._shape, self._tokenizer.pad_id)

    def _rows(self, rng: random.Random) -> Iterator[Row]:
        cutter = Cutter(rng)
        maker = RowMaker(self._tokenizer, self._shape, rng)
        for text in self.texts():
            for spans in cutter.cuts(text, 1 + len(text) // self._recipe.characters_per_row):
                row = maker.row(text, spans)
                if row is not None:
                    yield row

    def texts(self) -> Iterator[str]:
        """The files that this member reads."""
        with self._corpus.open("rb") as file:
            while True:
                epoch, index = divmod(self.files + self._member, len(self._lines))
                order = _order(self._lines, self._recipe.seed, epoch)
                file.seek(order[index])
                text = json.loads(file.readline())["text"]
                self.files += self._members
                yield text


def read_last(corpus: Path, seed: int, count: int) -> list[tuple[str, str]]:
    """Package and text of the files that training reads last in its first epoch."""
    with corpus.open("rb") as file:
        found = []
        for offset in _order(_offsets(corpus), seed, 0)[-count:]:
            file.seek(offset)
            entry = json.loads(file.readline())
            found.append((entry["package"], entry["text"]))
        return found


def _order(lines: list[int], seed: int, epoch: int) -> list[int]:
    return random.Random(f"{seed} epoch {epoch}").sample(lines, len(lines))


def _offsets(path: Path) -> list[int]:
    offsets, here = [], 0
    with path.open("rb") as file:
        for line in file:
            offsets.append(here)
            here += len(line)
    return offsets
