"""Which parts of a long text say what lies around a place, so that the rest need not be parsed.

The parts are the headers of the classes and functions around the place, and all text within reach of it. Without a
parser, only the indentation and the words at the start of a line tell where a part may begin and end.
"""

from __future__ import annotations

import re
from functools import cache

from dgemma_lsp.text.masked import Region

REACH = 12_000
"""How many characters on each side of a place are parsed at first. Both sides together take about 2 ms."""

_FIRST_WORD = re.compile(r"^[ \t]*(?=[\w@#])", re.MULTILINE)
_INDENTATION = re.compile(r"[ \t]*")


def surroundings(
    text: str, focus: Region, code_starts: tuple[str, ...], reach: int = REACH
) -> tuple[Region, ...]:
    """Return the parts of a text that say what lies around a place: the headers around it, then the text within reach.

    Args:
        text: the whole document.
        focus: the place; it lies in the last part.
        code_starts: words that begin a line of code; see `Language`.
        reach: how many characters on each side are wanted.
    """
    if len(text) <= 2 * reach:
        return (Region(0, len(text)),)
    start = _start(text, focus.start, reach, code_starts)
    return (*headers(text, start, code_starts), Region(start, _end(text, focus.end, reach, code_starts)))


def headers(text: str, start: int, code_starts: tuple[str, ...]) -> list[Region]:
    """Return the lines above ``start`` that are less and less indented: they open the classes and functions around it.

    Args:
        text: the whole document.
        start: where a line begins.
        code_starts: words that begin a line of code; see `Language`.
    """
    lines: list[Region] = []
    limit, end = _indentation(text, start), start
    while limit > 0 and end > 0:
        line = text.rfind("\n", 0, end - 1) + 1
        width = _indentation(text, line)
        first = text[line + width]
        if width < limit and not first.isspace():
            # The rest of the header is above a line with "{" or "):", and has the same indentation.
            continues = first in "{)"
            limit = width + continues
            if continues or not code_starts or text.startswith(code_starts, line + width):
                lines.append(Region(line, end))
        end = line
    return lines[::-1]


def _start(text: str, focus: int, reach: int, code_starts: tuple[str, ...]) -> int:
    """Return where the first of the least indented lines within reach begins. It is hardly ever in a string."""
    if focus <= reach:
        return 0
    line = text.rfind("\n", 0, focus) + 1
    before = _code_lines(text, max(0, line - reach), line, code_starts)
    return min(before, key=_width).start() if before else line


def _end(text: str, focus: int, reach: int, code_starts: tuple[str, ...]) -> int:
    """Return the end of the text before the last of the least indented lines within reach."""
    line = text.find("\n", focus) + 1
    if not line or len(text) - focus <= reach:
        return len(text)
    after = _code_lines(text, line, line + reach, code_starts)
    return min(reversed(after), key=_width).start() if after else line


def _code_lines(text: str, start: int, end: int, code_starts: tuple[str, ...]) -> list[re.Match[str]]:
    """Return the indentations of lines that seem to begin something, as far as that can be told without a parser."""
    certain = list(_code_start(code_starts).finditer(text, start, end)) if code_starts else []
    return certain or list(_FIRST_WORD.finditer(text, start, end))


@cache
def _code_start(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*(?={'|'.join(map(re.escape, words))})", re.MULTILINE)


def _width(indentation: re.Match[str]) -> int:
    return indentation.end() - indentation.start()


def _indentation(text: str, line: int) -> int:
    blanks = _INDENTATION.match(text, line)
    return _width(blanks) if blanks else 0
