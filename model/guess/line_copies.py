"""Guess a region by copying a line of the document: what followed elsewhere behind the same text.

Code repeats itself. If the text before a region occurs elsewhere in the document, what follows there is a far better
guess than noise, and a denoiser can turn a guess into the answer: it keeps what fits and replaces what does not.
Training begins some canvases with such drafts (`train.data.examples`); in serving the encoder chooses between them and
what it has written itself (`encoder`). Pure functions on text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_LONGEST_MATCH = 200  # characters before the region that are searched for, the line above included
_SHORTEST_MATCH = 4
_WORDS = re.compile(r" *(?:\w+|\S)")
_WORDS_TRIED = 6
_REACH = 100_000  # characters before and behind the region that are searched


def draft(before: str, after: str) -> str | None:
    """Choose the likeliest of the `copies`; None if there is none."""
    return next(iter(copies(before, after, 1)), None)


def drafts(segments: Sequence[str]) -> list[str | None]:
    """Choose the draft of each region between ``segments``."""
    return [
        draft("".join(segments[: index + 1]), "".join(segments[index + 1 :]))
        for index in range(len(segments) - 1)
    ]


def copies(before: str, after: str, count: int) -> list[str]:
    """List what the document suggests for the place between ``before`` and ``after``, each up to the end of a line.

    The longer the end of ``before`` that occurs elsewhere (at most the line in question and the one above), the better
    is what follows there. Of equals the nearest one above comes first, then the nearest below. If the line goes on
    behind the region, a copy stops where that stands. At most ``count`` copies, all different.
    """
    line = before.rfind("\n") + 1
    above = before.rfind("\n", 0, max(0, line - 1)) + 1
    known = before[max(above, len(before) - _LONGEST_MATCH) :]
    rest = after.split("\n", 1)[0].strip()
    upper = before[max(0, line - _REACH) : line]
    lower = after[len(after.split("\n", 1)[0]) :][:_REACH]
    copied: dict[str, None] = {}  # a set that remembers the order
    length = _longest(known, upper, lower)
    while length >= _SHORTEST_MATCH and known[-length:].strip() and len(copied) < count:
        for text in _following(known[-length:], upper, lower):
            stop = text.find(rest) if rest else -1
            copied.setdefault(text if stop < 0 else text[:stop])
            if len(copied) == count:
                break
        length = min(length - 1, length * 3 // 4)
    return list(copied)


def rest_of_line(after: str) -> str:
    """Take what stands behind a region in its line, without blanks at the end."""
    return after.split("\n", 1)[0].rstrip()


def ending(line: str, least: int, rest: str) -> list[str]:
    """Make lines that end with ``rest`` of a guess: cut it off behind ``rest``, or append ``rest`` to its first words.

    Args:
        line: a guess at the whole line.
        least: how many of its first characters are certain.
        rest: what the line is known to end with; if it is empty, the guess itself is the only line.
    """
    at = line.rfind(rest, least)
    if at >= 0:
        return [line[: at + len(rest)]]
    ends = [match.end() for match in _WORDS.finditer(line) if match.end() >= least]
    return [line[:end] + rest for end in ends[:_WORDS_TRIED]]


def _longest(known: str, upper: str, lower: str) -> int:
    """Measure the longest end of ``known`` that occurs; if an end occurs, so do all shorter ones."""
    low, high = 0, len(known)
    while low < high:
        middle = (low + high + 1) // 2
        if known[-middle:] in upper or known[-middle:] in lower:
            low = middle
        else:
            high = middle - 1
    return low


def _following(match: str, upper: str, lower: str) -> Iterator[str]:
    """Yield the rests of the lines behind ``match``: upwards from the region, then downwards."""
    at = upper.rfind(match)
    while at >= 0:
        yield _rest_of_line(upper, at + len(match))
        at = upper.rfind(match, 0, at + len(match) - 1)
    at = lower.find(match)
    while at >= 0:
        yield _rest_of_line(lower, at + len(match))
        at = lower.find(match, at + 1)


def _rest_of_line(text: str, begin: int) -> str:
    end = text.find("\n", begin)
    return text[begin : len(text) if end < 0 else end]
