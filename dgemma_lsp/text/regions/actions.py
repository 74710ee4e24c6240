"""What the user may ask for at a cursor or with a selection, and the regions to be filled for it."""

from __future__ import annotations

from enum import Enum

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.arguments import arguments_region
from dgemma_lsp.text.regions.at_cursor import enclosing_function
from dgemma_lsp.text.regions.block import on_lines_of_its_own, unfinished_block
from dgemma_lsp.text.regions.documentation import docstring_and_body
from dgemma_lsp.text.regions.frame import Frame
from dgemma_lsp.text.regions.holes import has_holes, holes
from dgemma_lsp.text.regions.selection import selection_region
from dgemma_lsp.text.source_code import SourceCode


class Action(Enum):
    """What the user may ask for, in the words that they see."""

    REWRITE = "Rewrite selection"
    REWRITE_GENTLY = "Rewrite selection gently"
    REWRITE_ANEW = "Rewrite selection from scratch"
    INSTRUCT = "Rewrite selection with an instruction…"
    FILL_FILE = "Fill all holes in this file"
    FILL_FUNCTION = "Fill all holes in this function"
    COMPLETE_BLOCK = "Complete this block"
    SUGGEST_ARGUMENTS = "Suggest arguments"
    DOCUMENT = "Write docstring and body"


def offered(code: SourceCode, selected: Region) -> list[Action]:
    """Return the actions that make sense where the user is.

    Args:
        code: the document.
        selected: the selection; empty at a cursor.
    """
    return [action for action in Action if _makes_sense(action, code, selected)]


def frames(action: Action, code: SourceCode, selected: Region) -> tuple[Frame, ...]:
    """Return what is to be filled for an action, in document order; nothing where it makes no sense."""
    cursor = selected.start
    match action:
        case Action.REWRITE | Action.REWRITE_GENTLY | Action.REWRITE_ANEW:
            return _frame(selection_region(code.text, selected.start, selected.end))
        case Action.FILL_FILE:
            return tuple(map(Frame, holes(code)))
        case Action.FILL_FUNCTION:
            function = enclosing_function(code, cursor)
            return tuple(map(Frame, holes(code, function))) if function else ()
        case Action.COMPLETE_BLOCK:
            block = unfinished_block(code, cursor)
            return (on_lines_of_its_own(code.text, block),) if block else ()
        case Action.SUGGEST_ARGUMENTS:
            return _frame(arguments_region(code, cursor))
        case Action.DOCUMENT:
            return docstring_and_body(code, cursor)
        case Action.INSTRUCT:  # no engine follows instructions yet
            return ()


def _makes_sense(action: Action, code: SourceCode, selected: Region) -> bool:
    if action is Action.FILL_FILE:
        return has_holes(code)
    # A selection means exactly what is selected.
    at_cursor = action in (Action.COMPLETE_BLOCK, Action.SUGGEST_ARGUMENTS, Action.DOCUMENT)
    if at_cursor and selected.start < selected.end:
        return False
    return bool(frames(action, code, selected))


def _frame(region: Region | None) -> tuple[Frame, ...]:
    return (Frame(region),) if region else ()
