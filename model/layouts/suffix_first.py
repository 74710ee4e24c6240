"""How a document becomes the prompt of a grown checkpoint: suffix first, with the marks that its base knows.

    <|fim_prefix|><|fim_suffix|> text behind the region <|fim_middle|> text before it → the missing text

The base learnt to go on behind ``<|fim_middle|>``. The text before the region stands there, so that typing only
appends, and what was computed for the text behind stays. That the network writes from a place in the text, not from a
mark, helps it as well: no training was needed for this order.

Pieces of context, if the budget has room for them, come in front, as the base knows the files of a repository. This
module knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dgemma_model.errors import ModelError
from dgemma_model.protocol import ContextPiece

LAYOUT_KEY = "suffix_first"
"""Section of a checkpoint's config.json that holds the budget."""

PREFIX, SUFFIX, MIDDLE = "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"
REPOSITORY, FILE = "<|repo_name|>", "<|file_sep|>"

Encode = Callable[[str], list[int]]

_CHARACTERS_PER_TOKEN = 8  # a text of n tokens is hardly ever longer
_ANCHOR = 512  # characters: the prefix begins near a multiple of this, so that its beginning rarely moves


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens that a prompt may spend.

    Together they are so few that a prompt of a new place is computed within half a second on two cores.

    Attributes:
        prefix: before the region.
        suffix: behind the region.
        context: for all pieces of context together.
    """

    prefix: int = 192
    suffix: int = 64
    context: int = 0


@dataclass(frozen=True, slots=True)
class Marks:
    """The base's own special tokens, by id; those for context may be missing."""

    prefix: int
    suffix: int
    middle: int
    repository: int | None = None
    file: int | None = None

    @staticmethod
    def find(special: Callable[[str], int | None]) -> Marks:
        """Find them by their names.

        Raises:
            ModelError: the base was not trained to fill in the middle.
        """
        prefix, suffix, middle = special(PREFIX), special(SUFFIX), special(MIDDLE)
        if prefix is None or suffix is None or middle is None:
            raise ModelError(
                "The model's base was not trained to fill regions: its tokenizer lacks the marks for that; "
                "grow one that has them, such as Qwen2.5-Coder."
            )
        return Marks(prefix, suffix, middle, special(REPOSITORY), special(FILE))


@dataclass(frozen=True, slots=True)
class SuffixFirst:
    """The layout of one checkpoint."""

    marks: Marks
    encode: Encode
    budget: Budget = Budget()

    def prompt(self, before: str, below: str, context: Sequence[ContextPiece] = ()) -> list[int]:
        """Lay out a prompt, behind which the network writes.

        Args:
            before: the text before the region, up to where a token begins.
            below: the text behind it.
            context: pieces of other texts, the most useful first.
        """
        marks = self.marks
        return [
            *self._context(context),
            *(marks.prefix, marks.suffix),
            *self._suffix(below),
            marks.middle,
            *self._prefix(before),
        ]

    def _suffix(self, text: str) -> list[int]:
        return self.encode(text[: self.budget.suffix * _CHARACTERS_PER_TOKEN])[: self.budget.suffix]

    def _prefix(self, text: str) -> list[int]:
        """Encode the end of a text, from a line's beginning that rarely moves as the text grows.

        A text over the budget loses whole quarters of it, for the same reason.
        """
        budget = self.budget.prefix
        earliest = max(0, len(text) - max(budget * _CHARACTERS_PER_TOKEN, 2 * _ANCHOR))
        lines = text[_line_from(text, -(-earliest // _ANCHOR) * _ANCHOR) :].splitlines(keepends=True)
        surplus = sum(len(self.encode(line)) for line in lines) - budget
        if surplus > 0:
            quarter = max(1, budget // 4)
            lines = self._without(lines, -(-surplus // quarter) * quarter)
        return self.encode("".join(lines))[-budget:]

    def _without(self, lines: list[str], surplus: int) -> list[str]:
        """Leave out lines at the beginning that have at least so many tokens; the last one stays."""
        for index, line in enumerate(lines[:-1]):
            if surplus <= 0:
                return lines[index:]
            surplus -= len(self.encode(line))
        return lines[-1:]

    def _context(self, pieces: Sequence[ContextPiece]) -> list[int]:
        """Lay out as many pieces as there is room for, the most useful one nearest to the document."""
        repository, file = self.marks.repository, self.marks.file
        room = self.budget.context
        if repository is None or file is None or not room or not pieces:
            return []
        laid_out: list[int] = []
        for piece in pieces:
            tokens = [file, *self.encode(f"{piece.path or 'file'}\n"), *self.encode(piece.text)]
            laid_out = tokens[: room - len(laid_out)] + laid_out
            if len(laid_out) >= room:
                break
        return [repository, *self.encode("project"), *laid_out, file]


def _line_from(text: str, at: int) -> int:
    """The first beginning of a line from a place on; the place itself if no line begins behind it."""
    if at == 0:
        return 0
    return text.find("\n", at - 1) + 1 or at
