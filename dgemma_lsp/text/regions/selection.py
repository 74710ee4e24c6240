"""A cursor or a selection → the region that may change, told from the text alone.

A completion is always an *insertion point*. The model sees what is behind the cursor, so it need not write that again,
and nothing there can be lost or doubled. A selection loses the blanks around it, so indentation and line breaks stay
as they are, whatever the model writes.
"""

from __future__ import annotations

from enum import Enum

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.current_line import is_blank, line_around


class Silence(Enum):
    """Why there is nothing to complete at a cursor."""

    IN_WORD = "the cursor is inside a word"
    IN_INDENTATION = "the cursor is inside the indentation of a line that has text"


def completion_region(text: str, cursor: int) -> Region | Silence:
    """Return the insertion point for what could come next at a cursor, or why nothing should.

    Args:
        text: the whole document.
        cursor: a character offset.
    """
    if text[cursor - 1 : cursor + 1] == "\r\n":
        cursor -= 1
    before, after = line_around(text, cursor)
    if _is_word(before[-1:]) and _is_word(after[:1]):
        return Silence.IN_WORD
    if is_blank(before) and after[:1].isspace() and not is_blank(after):
        return Silence.IN_INDENTATION
    return Region(cursor, cursor)


def selection_region(text: str, start: int, end: int) -> Region | None:
    """Return the region of a selection, without the blanks around it; None if nothing else is selected.

    Args:
        text: the whole document.
        start: a character offset.
        end: a character offset, not before ``start``.
    """
    selected = text[start:end]
    if is_blank(selected):
        return None
    start += len(selected) - len(selected.lstrip())
    end -= len(selected) - len(selected.rstrip())
    return Region(start, end)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
