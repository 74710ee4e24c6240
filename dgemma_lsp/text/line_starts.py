"""Where the lines of a text begin, kept up to date edit by edit.

To search a long document for line breaks at every key would take longer than everything else a key costs. So the
starts behind the last edit are not computed again: one number says how far they are off. When the next edit comes,
only the starts between the two edits are corrected.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from dgemma_lsp.text.edit import Edit
from dgemma_lsp.text.line_breaks import LINE_BREAK


class LineStarts:
    """The starts of the lines of one text."""

    def __init__(self, text: str) -> None:
        self._starts = _starts(text)
        # The starts from this line on are off by the shift.
        self._gap = len(self._starts)
        self._shift = 0

    def __len__(self) -> int:
        return len(self._starts)

    def start(self, line: int) -> int:
        """Return where a line begins."""
        return self._starts[line] + (self._shift if line >= self._gap else 0)

    def at(self, offset: int) -> int:
        """Return the line that contains an offset."""
        if self._gap < len(self._starts) and offset >= self.start(self._gap):
            return bisect_right(self._starts, offset - self._shift, lo=self._gap) - 1
        return bisect_right(self._starts, offset, hi=self._gap) - 1

    def follow(self, edit: Edit, text: str) -> None:
        """Become the line starts of ``text``, which is the old text after the edit."""
        # The edit may have split or joined a CRLF at either of its ends.
        first, last = self.at(max(0, edit.start - 1)), self.at(edit.end + 1)
        begin, is_last = self.start(first), last + 1 == len(self._starts)
        end = len(text) if is_last else self.start(last + 1) + edit.growth
        starts = [line_break.end() for line_break in LINE_BREAK.finditer(text, begin, end)]
        if not is_last:
            starts.pop()  # the start of the next line, which is there already
        self._move_gap(last + 1)
        self._starts[first + 1 : last + 1] = starts
        self._gap = first + 1 + len(starts)
        self._shift += edit.growth

    def _move_gap(self, to: int) -> None:
        for line in range(self._gap, to):
            self._starts[line] += self._shift
        for line in range(to, self._gap):
            self._starts[line] -= self._shift
        self._gap = to


def _starts(text: str) -> list[int]:
    if "\r" in text:
        return [0, *(line_break.end() for line_break in LINE_BREAK.finditer(text))]
    *whole, _ = text.split("\n")  # takes a third of the time
    return [0, *(end + line for line, end in enumerate(accumulate(map(len, whole)), 1))]
