"""A first canvas from the document itself: what followed the last time the text read like this.

Code repeats itself. Where the text before a region occurs elsewhere in the document, what stands there is a guess far
better than noise, and a denoiser is made for turning a guess into the answer: it keeps what fits and replaces what
does not. Training begins some canvases with such drafts (`train.examples`), serving begins with one where there is one.
Pure functions on text.
"""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST_MATCH = 200  # characters before the region that are looked up, the line before its own included
_SHORTEST_MATCH = 4
_REACH = 100_000  # characters before and behind the region that are searched


def draft(before: str, after: str) -> str | None:
    """What the document suggests for the place between ``before`` and ``after``, to the end of a line; None: nothing.

    The longest end of ``before`` (at most the line in question and the one above) that occurs elsewhere decides; of
    several occurrences the nearest one above. Where the line goes on behind the region, the draft stops there too.
    """
    line = before.rfind("\n") + 1
    above = before.rfind("\n", 0, max(0, line - 1)) + 1
    known = before[max(above, len(before) - _LONGEST_MATCH) :]
    rest_of_line = after.split("\n", 1)[0].strip()
    upper = before[max(0, line - _REACH) : line]
    lower = after[len(after.split("\n", 1)[0]) :][:_REACH]
    length = _longest(known, upper, lower)
    if length < _SHORTEST_MATCH or not known[-length:].strip():
        return None
    found = _following(known[-length:], upper, lower)
    stop = found.find(rest_of_line) if rest_of_line else -1
    return found if stop < 0 else found[:stop]


def drafts(segments: Sequence[str]) -> list[str | None]:
    """The draft of each region between ``segments``."""
    return [
        draft("".join(segments[: index + 1]), "".join(segments[index + 1 :]))
        for index in range(len(segments) - 1)
    ]


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


def _following(match: str, upper: str, lower: str) -> str:
    at = upper.rfind(match)
    text, at = (upper, at) if at >= 0 else (lower, lower.find(match))
    begin = at + len(match)
    end = text.find("\n", begin)
    return text[begin : len(text) if end < 0 else end]
