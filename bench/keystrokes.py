"""A user who completes lines of a file: where the cursor goes, and what is typed there. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SHORTEST = 24
"""The characters, without indentation, of the shortest line that is worth completing."""

BETWEEN_KEYS = 0.05
"""Seconds from an answer to the next key of somebody who types fast."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line whose rest has been removed, and what the user types there.

    Attributes:
        text: the whole document, without the rest of the line.
        line: the line's number, counted from 0.
        character: where the line ends now.
        typed: the first characters of what was removed.
    """

    text: str
    line: int
    character: int
    typed: str


def places(text: str, count: int, typed: int) -> list[Place]:
    """Choose ``count`` places, spread evenly over the long lines of a text."""
    lines = text.splitlines()
    long = [index for index, line in enumerate(lines) if len(line.strip()) >= SHORTEST]
    if len(long) < count:
        raise ValueError(f"The text has {len(long)} long lines, not {count}.")
    return [_cut(lines, long[number * len(long) // count], typed) for number in range(count)]


def prefixes(place: Place) -> Iterator[tuple[str, str]]:
    """Yield the texts before and after the cursor, before the first keystroke and after each."""
    ends = [index for index, character in enumerate(place.text) if character == "\n"]
    cursor = ends[place.line]
    for length in range(len(place.typed) + 1):
        yield place.text[:cursor] + place.typed[:length], place.text[cursor:]


def _cut(lines: list[str], index: int, typed: int) -> Place:
    line = lines[index]
    character = len(line) - len(line.lstrip()) + SHORTEST // 3
    kept = [*lines[:index], line[:character], *lines[index + 1 :]]
    return Place("\n".join(kept) + "\n", index, character, line[character : character + typed])
