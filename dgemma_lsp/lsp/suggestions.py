"""What has been suggested lately, so that whoever types or takes over a part of it need not wait for the model.

A suggestion is kept as the document that it leads to. As long as the user is on the way there, what is left of it is
what the document still lacks at the cursor; that is true of every way of typing, of deleting back, of taking over a
word or a line, and of a bracket that the editor has closed. Where the user has left the way there is nothing.

Pure functions on text; knows nothing of the protocol, and of no engine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

MOST_KEPT = 8
"""Of each document: enough to delete back through the last words."""

_PIECE = 1 << 15


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What may come next at one place of a document.

    Attributes:
        text: the document without it.
        at: a character offset in ``text``.
        texts: what may stand there, the best first; each in the document's line endings.
        asked: somebody has asked for it, so these are all there are.
    """

    text: str
    at: int
    texts: tuple[str, ...]
    asked: bool = False

    def result(self, choice: int) -> tuple[str, int]:
        """The document with one of the texts taken over, and the cursor behind it."""
        new = self.texts[choice]
        return self.text[: self.at] + new + self.text[self.at :], self.at + len(new)

    def rest(self, choice: int, text: str, cursor: int) -> str:
        """What a document lacks at its cursor to be as if one of the texts had been taken over; "" off the way there.

        Args:
            choice: which of the texts.
            text: the document now.
            cursor: a character offset in ``text``.
        """
        new, at = self.texts[choice], self.at
        left = len(self.text) + len(new) - len(text)
        # Most of what is asked about is far away, and need not be compared.
        if left <= 0 or not at <= cursor <= at + len(new):
            return ""
        # The document that the text leads to is never put together: it may be long, and this happens at each key.
        typed, behind = cursor - at, min(cursor + left - at, len(new))
        lacking, tail = new[typed:behind], new[behind:]
        skipped = left - len(lacking)
        follows = cursor + len(tail)
        arrives = (
            text.startswith(new[:typed], at)
            and text.startswith(tail, cursor)
            and len(text) - follows == len(self.text) - at - skipped
            and _same(text, follows, self.text, at + skipped, len(text) - follows)
            and _same(text, 0, self.text, 0, at)
        )
        return lacking + self.text[at : at + skipped] if arrives else ""


def _same(one: str, start: int, other: str, begin: int, length: int) -> bool:
    """Whether two long texts are the same for so many characters, compared in pieces that fit into a cache."""
    pieces = ((done, min(_PIECE, length - done)) for done in range(0, length, _PIECE))
    return all(
        one[start + done : start + done + size] == other[begin + done : begin + done + size]
        for done, size in pieces
    )


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a suggestion.

    Attributes:
        text: not blank.
        number: of the suggestion, for `Suggestions.result`.
        choice: which of its texts.
    """

    text: str
    number: int
    choice: int


class Suggestions:
    """The last suggestions of each document."""

    def __init__(self) -> None:
        self._numbers = count()
        self._newest = -1
        self._kept: dict[str, deque[tuple[int, Suggestion]]] = {}

    def remember(self, uri: str, suggestion: Suggestion) -> list[Rest]:
        """Keep a suggestion; returns what is left of it, which is all."""
        kept = self._kept.setdefault(uri, deque(maxlen=MOST_KEPT))
        kept.append((next(self._numbers), suggestion))
        return list(_rests(*kept[-1], suggestion.text, suggestion.at))

    def rests(self, uri: str, text: str, cursor: int, asked: bool) -> list[Rest]:
        """What is left of the newest suggestion that the user is still on the way to, the best first.

        Args:
            uri: of the document.
            text: the document now.
            cursor: a character offset in it.
            asked: whoever asks wants all there are, which only a suggestion that was asked for has.
        """
        for number, suggestion in reversed(self._kept.get(uri, ())):
            if (suggestion.asked or not asked) and (found := list(_rests(number, suggestion, text, cursor))):
                return found
        return []

    def result(self, uri: str, number: int, choice: int) -> tuple[str, int] | None:
        """The document with a suggestion taken over, and the cursor behind it; None when it is forgotten."""
        for known, suggestion in self._kept.get(uri, ()):
            if known == number and 0 <= choice < len(suggestion.texts):
                return suggestion.result(choice)
        return None

    def text(self, uri: str, number: int, choice: int) -> str:
        """What a suggestion says; "" when it is forgotten."""
        kept = dict(self._kept.get(uri, ()))
        return kept[number].texts[choice] if number in kept and 0 <= choice < len(kept[number].texts) else ""

    def is_new(self, number: int) -> bool:
        """Whether nobody has asked this of the suggestion, or of a later one, before."""
        new = number > self._newest
        self._newest = max(self._newest, number)
        return new

    def forget(self, uri: str) -> None:
        self._kept.pop(uri, None)


def _rests(number: int, suggestion: Suggestion, text: str, cursor: int) -> Iterator[Rest]:
    for choice in range(len(suggestion.texts)):
        rest = suggestion.rest(choice, text, cursor)
        if rest.strip():
            yield Rest(rest, number, choice)
