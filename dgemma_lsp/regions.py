"""Where the user is → the region that may change.

Pure functions on text. A completion is always an *insertion point*: the model sees what stands behind the cursor, so it
need not write it again, and nothing there can be lost or doubled. A selection is what the user has marked, less the
blanks around it, so that indentation and line breaks stay as they are whatever the model writes.
"""

from __future__ import annotations

from enum import Enum

from dgemma_lsp.masked import Region


class Silence(Enum):
    """Why there is no region at a cursor."""

    IN_WORD = "the cursor is inside of a word"
    IN_INDENTATION = "the cursor is inside of the indentation of a line that is there already"


def completion_region(text: str, cursor: int) -> Region | Silence:
    """The insertion point for what could come next at a cursor, or why none should.

    Args:
        text: the document.
        cursor: a character offset.
    """
    if text[cursor - 1 : cursor + 1] == "\r\n":
        cursor -= 1
    before, after = _line_around(text, cursor)
    if _is_word(before[-1:]) and _is_word(after[:1]):
        return Silence.IN_WORD
    if _is_blank(before) and after[:1].isspace() and not _is_blank(after):
        return Silence.IN_INDENTATION
    return Region(cursor, cursor)


def selection_region(text: str, start: int, end: int) -> Region | None:
    """The region of a selection without the blanks around it; None when nothing is left.

    Args:
        text: the document.
        start: a character offset.
        end: a character offset, not before ``start``.
    """
    selected = text[start:end]
    if _is_blank(selected):
        return None
    start += len(selected) - len(selected.lstrip())
    end -= len(selected) - len(selected.rstrip())
    return Region(start, end)


def stays_in_line(text: str, region: Region) -> bool:
    """Whether a region is to be filled with no more than a line: where one stands now, or a line is being written.

    On an empty line behind a colon a whole block may follow.
    """
    inside = text[region.start : region.end]
    if "\n" in inside or "\r" in inside:
        return False
    before, after = _line_around(text, region.start)
    if not _is_blank(before) or not _is_blank(after):
        return True
    return not text[: region.start].rstrip().endswith(":")


def _line_around(text: str, cursor: int) -> tuple[str, str]:
    """The cursor's line before and behind the cursor, without its line break."""
    start = max(text.rfind("\n", 0, cursor), text.rfind("\r", 0, cursor)) + 1
    ends = [found for line_break in "\r\n" if (found := text.find(line_break, cursor)) >= 0]
    return text[start:cursor], text[cursor : min(ends, default=len(text))]


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_blank(text: str) -> bool:
    return not text or text.isspace()
