"""What has been suggested lately, so that a user who types it or accepts a part of it need not wait for the model.

A suggestion is kept as the document that it leads to. As long as the user is on the way there, what is left of it is
what the document still lacks at the cursor. That holds for every way of typing, for deleting back, for accepting a word
or a line, and for a bracket that the editor has closed. Once the user has left the way, nothing is left.

This module works on texts. It knows nothing about the protocol or about engines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

MOST_KEPT = 8
"""How many suggestions of a document are kept: enough for deleting back through the last words."""

_PIECE = 1 << 15
"""How many characters are compared at once: few enough to fit into a cache."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What may come next at a cursor.

    Attributes:
        text: the document without the suggestion.
        at: the cursor, a character offset in ``text``.
        texts: what may be inserted there, the best first, with the document's line endings.
        asked: whether the user has asked for it, so that these are all the texts there are.
    """

    text: str
    at: int
    texts: tuple[str, ...]
    asked: bool = False

    def result(self, choice: int) -> tuple[str, int]:
        """Return the document with one of the texts inserted, and the cursor behind it."""
        new = self.texts[choice]
        return self.text[: self.at] + new + self.text[self.at :], self.at + len(new)

    def rest(self, choice: int, text: str, cursor: int) -> str:
        """Return what a document lacks at its cursor to be as if one of the texts had been inserted.

        Args:
            choice: the number of the text.
            text: the document now.
            cursor: a character offset in ``text``.

        Returns:
            "" if the document is not on the way there.
        """
        new, at = self.texts[choice], self.at
        left = len(self.text) + len(new) - len(text)
        # Most cursors are far away, so that nothing need be compared.
        if left <= 0 or not at <= cursor <= at + len(new):
            return ""
        # The document that the text leads to is never put together: it may be long, and this runs at every key.
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


def _same(first: str, first_start: int, second: str, second_start: int, length: int) -> bool:
    """Whether two long texts agree for so many characters from their starts on."""
    pieces = ((done, min(_PIECE, length - done)) for done in range(0, length, _PIECE))
    return all(
        first[first_start + done : first_start + done + size]
        == second[second_start + done : second_start + done + size]
        for done, size in pieces
    )


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a suggestion.

    Attributes:
        text: what is left; it is not blank.
        number: the suggestion's number, for `Suggestions.result`.
        choice: the number of the text in it.
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
        """Keep a suggestion, and return what is left of it, which is all."""
        kept = self._kept.setdefault(uri, deque(maxlen=MOST_KEPT))
        kept.append((next(self._numbers), suggestion))
        return list(_rests(*kept[-1], suggestion.text, suggestion.at))

    def rests(self, uri: str, text: str, cursor: int, asked: bool) -> list[Rest]:
        """Return what is left of the newest suggestion that the user is still on the way to, the best first.

        Args:
            uri: the document.
            text: its text now.
            cursor: a character offset in ``text``.
            asked: whether the user wants all texts there are, which only a suggestion that was asked for has.
        """
        for number, suggestion in reversed(self._kept.get(uri, ())):
            if (suggestion.asked or not asked) and (rests := list(_rests(number, suggestion, text, cursor))):
                return rests
        return []

    def result(self, uri: str, number: int, choice: int) -> tuple[str, int] | None:
        """Return the document with a suggestion inserted, and the cursor behind it; None if it is forgotten."""
        for known, suggestion in self._kept.get(uri, ()):
            if known == number and 0 <= choice < len(suggestion.texts):
                return suggestion.result(choice)
        return None

    def text(self, uri: str, number: int, choice: int) -> str:
        """Return the text of a suggestion, or "" if it is forgotten."""
        kept = dict(self._kept.get(uri, ()))
        return kept[number].texts[choice] if number in kept and 0 <= choice < len(kept[number].texts) else ""

    def is_new(self, number: int) -> bool:
        """Whether this is the first question about the suggestion, and nobody has asked about a later one."""
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
