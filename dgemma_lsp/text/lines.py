"""Where the lines of a text begin, kept up to date edit by edit; and what becomes of a region when text is edited.

Looking for all line ends of a long document at each key would take longer than everything else that a key costs. So
the beginnings behind the last edit are not counted anew: one number says by how much they are off, and only those
between that edit and the next one are put right. Pure functions on text and offsets.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from dgemma_lsp.text.masked import Region

LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Edit:
    """A piece of text was put in place of another one.

    Attributes:
        start: of what was replaced.
        end: behind it.
        length: of what stands there now.
    """

    start: int
    end: int
    length: int

    @classmethod
    def between(cls, before: str, after: str) -> Edit:
        """The edit that leads from one text to another: what lies between what they begin and end with alike."""
        start = _common(before, after)
        most = min(len(before), len(after)) - start
        tail = _common_end(before, after, most)
        return cls(start, len(before) - tail, len(after) - tail - start)

    def moved(self, region: Region) -> Region | None:
        """The region after the edit; None when something in it, or where it is empty, was edited."""
        by = self.length - (self.end - self.start)
        if region.start == region.end == self.start == self.end:
            return None
        if self.end <= region.start:
            return Region(region.start + by, region.end + by)
        return region if region.end <= self.start else None


class Lines:
    """The beginnings of the lines of one text."""

    def __init__(self, text: str) -> None:
        self._starts = _starts(text)
        # Those from here on are off by so much.
        self._gap = len(self._starts)
        self._shift = 0

    def __len__(self) -> int:
        return len(self._starts)

    def start(self, line: int) -> int:
        """Where a line begins."""
        return self._starts[line] + (self._shift if line >= self._gap else 0)

    def at(self, offset: int) -> int:
        """The line that an offset is in."""
        if self._gap < len(self._starts) and offset >= self.start(self._gap):
            return bisect_right(self._starts, offset - self._shift, lo=self._gap) - 1
        return bisect_right(self._starts, offset, hi=self._gap) - 1

    def follow(self, edit: Edit, text: str) -> None:
        """Become the lines of ``text``, which is what an edit has made of the one before."""
        # A line break may have been taken apart, or put together, at either end of the edit.
        first, last = self.at(max(0, edit.start - 1)), self.at(edit.end + 1)
        by = edit.length - (edit.end - edit.start)
        begin, is_last = self.start(first), last + 1 == len(self._starts)
        end = len(text) if is_last else self.start(last + 1) + by
        found = [one.end() for one in LINE_BREAK.finditer(text, begin, end)]
        if not is_last:
            found.pop()  # the beginning of the line behind, which is there already
        self._move_gap(last + 1)
        self._starts[first + 1 : last + 1] = found
        self._gap = first + 1 + len(found)
        self._shift += by

    def _move_gap(self, to: int) -> None:
        for line in range(self._gap, to):
            self._starts[line] += self._shift
        for line in range(to, self._gap):
            self._starts[line] -= self._shift
        self._gap = to


def _starts(text: str) -> list[int]:
    if "\r" in text:
        return [0, *(line_break.end() for line_break in LINE_BREAK.finditer(text))]
    *whole, _ = text.split("\n")  # a third of the time
    return [0, *(end + line for line, end in enumerate(accumulate(map(len, whole)), 1))]


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _common_end(one: str, other: str, most: int) -> int:
    """How many characters two texts end with alike, at most."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        same = one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]
        low, high = (middle, high) if same else (low, middle - 1)
    return low
