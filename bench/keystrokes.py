"""A user who completes lines of a file: where the cursor goes, and what is typed there. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SHORTEST = 24
"""Characters of a line that is worth completing, without its indentation."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of which the rest is gone, and what the user types instead.

    Attributes:
        text: the whole document without the rest of the line.
        line: counted from 0.
        character: where the line ends now.
        typed: the characters that stood there.
    """

    text: str
    line: int
    character: int
    typed: str


def places(text: str, count: int, typed: int) -> list[Place]:
    """``count`` places, spread evenly over the long lines of ``text``."""
    lines = text.splitlines()
    long = [index for index, line in enumerate(lines) if len(line.strip()) >= SHORTEST]
    if len(long) < count:
        raise ValueError(f"The text has {len(long)} long lines, not {count}.")
    return [_cut(lines, long[number * len(long) // count], typed) for number in range(count)]


def prefixes(place: Place) -> Iterator[tuple[str, str]]:
    """The text before and behind the cursor, before the first keystroke and after each."""
    ends = [index for index, character in enumerate(place.text) if character == "\n"]
    cursor = ends[place.line]
    for length in range(len(place.typed) + 1):
        yield place.text[:cursor] + place.typed[:length], place.text[cursor:]


def _cut(lines: list[str], index: int, typed: int) -> Place:
    line = lines[index]
    character = len(line) - len(line.lstrip()) + SHORTEST // 3
    kept = [*lines[:index], line[:character], *lines[index + 1 :]]
    return Place("\n".join(kept) + "\n", index, character, line[character : character + typed])
