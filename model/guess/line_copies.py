"""First guesses from the document itself: what followed where the text reads like this.

Code repeats itself. Where the text before a region occurs elsewhere in the document, what stands there is a guess far
better than noise, and a denoiser is made for turning a guess into the answer: it keeps what fits and replaces what
does not. Training begins some canvases with such drafts (`train.examples`), serving lets the encoder choose among them
and one that it wrote itself (`writing`). Pure functions on text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_LONGEST_MATCH = 200  # characters before the region that are looked up, the line before its own included
_SHORTEST_MATCH = 4
_WORDS = re.compile(r" *(?:\w+|\S)")
_WORDS_TRIED = 6
_REACH = 100_000  # characters before and behind the region that are searched


def draft(before: str, after: str) -> str | None:
    """The likeliest of the `copies`; None: there is none."""
    return next(iter(copies(before, after, 1)), None)


def drafts(segments: Sequence[str]) -> list[str | None]:
    """The draft of each region between ``segments``."""
    return [
        draft("".join(segments[: index + 1]), "".join(segments[index + 1 :]))
        for index in range(len(segments) - 1)
    ]


def copies(before: str, after: str, count: int) -> list[str]:
    """What the document suggests for the place between ``before`` and ``after``, each to the end of a line.

    The longer an end of ``before`` (at most the line in question and the one above) that occurs elsewhere, the better
    what follows there; of equals the nearest one above comes first, then the nearest below. Where the line goes on
    behind the region, a copy stops there too. At most ``count``, all different.
    """
    line = before.rfind("\n") + 1
    above = before.rfind("\n", 0, max(0, line - 1)) + 1
    known = before[max(above, len(before) - _LONGEST_MATCH) :]
    rest = after.split("\n", 1)[0].strip()
    upper = before[max(0, line - _REACH) : line]
    lower = after[len(after.split("\n", 1)[0]) :][:_REACH]
    found: dict[str, None] = {}  # a set that remembers the order
    length = _longest(known, upper, lower)
    while length >= _SHORTEST_MATCH and known[-length:].strip() and len(found) < count:
        for text in _following(known[-length:], upper, lower):
            stop = text.find(rest) if rest else -1
            found.setdefault(text if stop < 0 else text[:stop])
            if len(found) == count:
                break
        length = min(length - 1, length * 3 // 4)
    return list(found)


def rest_of_line(after: str) -> str:
    """What stands behind a region in its line, without blanks at the end."""
    return after.split("\n", 1)[0].rstrip()


def ending(line: str, least: int, rest: str) -> list[str]:
    """Lines that end with ``rest``, made of a guess at a line: cut off behind it, or, where it is not, at some word.

    Args:
        line: a guess.
        least: characters of it that are certain.
        rest: what the line is known to end with; the guess itself is all there is where that is nothing.
    """
    at = line.rfind(rest, least)
    if at >= 0:
        return [line[: at + len(rest)]]
    ends = [match.end() for match in _WORDS.finditer(line) if match.end() >= least]
    return [line[:end] + rest for end in ends[:_WORDS_TRIED]]


def _longest(known: str, upper: str, lower: str) -> int:
    """Length of the longest end of ``known`` that occurs; a shorter end of one that occurs occurs too."""
    low, high = 0, len(known)
    while low < high:
        middle = (low + high + 1) // 2
        if known[-middle:] in upper or known[-middle:] in lower:
            low = middle
        else:
            high = middle - 1
    return low


def _following(match: str, upper: str, lower: str) -> Iterator[str]:
    """The rests of the lines behind ``match``: upwards from the region, then downwards."""
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
