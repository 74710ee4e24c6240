"""``--span START:END`` as regions.

A span is one or two points with a colon between them:

    point   meaning as START                  meaning as END
    12      the start of line 12              the end of line 12, before its line ending
    12:5    before column 5 of line 12        the same: columns are counted from 1, and END is exclusive
    @340    before byte 340 of the file       the same: bytes are counted from 0

So ``10:12`` is lines 10 to 12, ``3:5:3:9`` is columns 5 to 8 of line 3, ``@10:@20`` is ten bytes, and ``@10:3:4``,
``3:4:@20``, ``2:@20`` and ``@10:3`` mix the kinds. A point may stand alone: ``12`` is the whole line 12, and ``@340``
is an insertion point. Two plain numbers are always two lines. Three are refused, because ``3:5:7`` could mean 3:5 to
line 7, or line 3 to 5:7. A column counts characters, a tab as one; the column after the last character is the end of
the line. A text that ends in a newline has one more, empty line after it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dgemma_lsp.cli.textfile import TextFile
from dgemma_lsp.text.line_breaks import LINE_BREAK
from dgemma_lsp.text.masked import Region, RegionError

_FORMS: Mapping[str, tuple[int, int]] = {
    "N": (0, 1),
    "N:N": (1, 1),
    "N:N:N:N": (2, 2),
    "@": (0, 1),
    "@:@": (1, 1),
    "@:N": (1, 1),
    "@:N:N": (1, 2),
    "N:@": (1, 1),
    "N:N:@": (2, 1),
}
"""How many numbers START and END take, by the shape of the span. A START of 0 means that one point is both."""


def parse_spans(specs: Sequence[str], file: TextFile) -> tuple[Region, ...]:
    """Return the regions of several spans, in document order.

    Raises:
        RegionError: a span cannot be read or lies outside the file, or two of them overlap.
    """
    named = sorted(((parse_span(spec, file), spec) for spec in specs), key=lambda pair: pair[0])
    for (before, first), (after, second) in pairwise(named):
        if after.start < before.end or after == before:
            raise RegionError(f"The spans {first} and {second} overlap.")
    return tuple(region for region, _ in named)


def parse_span(spec: str, file: TextFile) -> Region:
    """Return the region that a span names (see the module's docstring for the grammar).

    Raises:
        RegionError: the span cannot be read, ends before it starts, or lies outside the file.
    """
    start, end = _points(spec)
    lines = _lines(file.text)
    first = start.offset(spec, file, lines, as_end=False)
    last = end.offset(spec, file, lines, as_end=True)
    if last < first:
        raise RegionError(f"The span {spec} ends before it starts.")
    return Region(first, last)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and column of a character offset as a span counts them: from 1."""
    line, start = 1, 0
    for match in LINE_BREAK.finditer(text, 0, offset):
        line, start = line + 1, match.end()
    return line, offset - start + 1


@dataclass(frozen=True, slots=True)
class _Point:
    """A line, a line and a column, or a byte, as the user wrote it."""

    numbers: tuple[int, ...]
    is_byte: bool

    def offset(self, spec: str, file: TextFile, lines: list[tuple[int, int]], as_end: bool) -> int:
        if self.is_byte:
            return file.character_at(self.numbers[0])
        start, end = _line(self.numbers[0], spec, lines)
        if len(self.numbers) == 1:
            return end if as_end else start
        if not 1 <= self.numbers[1] <= end - start + 1:
            raise RegionError(
                f"The span {spec} names column {self.numbers[1]}, but line {self.numbers[0]} has the columns "
                f"1 to {end - start + 1}."
            )
        return start + self.numbers[1] - 1


def _points(spec: str) -> tuple[_Point, _Point]:
    parts = spec.split(":")
    # Twelve digits are enough for any file, and int() refuses thousands of them with a message of its own.
    if not all(re.fullmatch(r"@?[0-9]{1,12}", part) for part in parts):
        raise RegionError(f"The span {spec!r} is not START:END with line, line:column or @byte on each side.")
    shape = ":".join("@" if part.startswith("@") else "N" for part in parts)
    if shape == "N:N:N":
        raise RegionError(
            f"The span {spec} is ambiguous; give both ends as line:column, or both as lines only."
        )
    if shape not in _FORMS:
        raise RegionError(f"The span {spec} has too many numbers, or an @ where a column belongs.")
    starts, ends = _FORMS[shape]
    return _point(parts[:starts] or parts), _point(parts[-ends:])


def _point(parts: list[str]) -> _Point:
    return _Point(tuple(int(part.lstrip("@")) for part in parts), parts[0].startswith("@"))


def _lines(text: str) -> list[tuple[int, int]]:
    """Return where each line starts, and where it ends before its line ending."""
    # Not str.splitlines: form feeds and U+2028 end no line in an editor.
    breaks = list(LINE_BREAK.finditer(text))
    starts = [0, *(line_break.end() for line_break in breaks)]
    ends = [*(line_break.start() for line_break in breaks), len(text)]
    return list(zip(starts, ends, strict=True))


def _line(number: int, spec: str, lines: list[tuple[int, int]]) -> tuple[int, int]:
    if number < 1:
        raise RegionError(f"The span {spec} names line 0, but lines are counted from 1.")
    if number > len(lines):
        raise RegionError(f"The span {spec} names line {number}, but the last line is {len(lines)}.")
    return lines[number - 1]
