"""The block around a cursor: the body of a function, class or other statement, and what it lacks."""

from __future__ import annotations

from dgemma_lsp.text.line_breaks import newline_at
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.at_cursor import Answer, nodes_around, region_at
from dgemma_lsp.text.regions.current_line import (
    deeper,
    indentation,
    is_blank,
    is_on_blank_line,
    line_around,
)
from dgemma_lsp.text.regions.frame import Frame
from dgemma_lsp.text.regions.holes import holes
from dgemma_lsp.text.regions.selection import selection_region
from dgemma_lsp.text.source_code import SourceCode
from dgemma_lsp.text.syntax import Excerpt, Node


def block_region(code: SourceCode, cursor: int) -> Region | None:
    """Return the body of the innermost statement around a cursor that has one; an insertion point if it is empty."""
    return region_at(code, cursor, _block)


def unfinished_block(code: SourceCode, cursor: int) -> Region | None:
    """Return what the block at a cursor lacks: all of it, its only placeholder, or more statements at an empty line.

    Statements that are there already stay.
    """
    block = block_region(code, cursor)
    if block is None or is_blank(block.of(code.text)):
        return block
    inside = holes(code, block)
    if len(inside) == 1:
        return inside[0]
    return Region(cursor, cursor) if is_on_blank_line(code.text, cursor) else None


def on_lines_of_its_own(text: str, block: Region) -> Frame:
    """Return a block as a frame. An empty block after a colon or between braces gets a line of its own."""
    before, after = line_around(text, block.start)
    closed = after.lstrip().startswith("}")
    begins = before.rstrip().endswith((":", "{")) and (is_blank(after) or closed)
    if block.start < block.end or not begins:
        return Frame(block)
    newline, outer = newline_at(text, block), indentation(text, block.start)
    return Frame(block, newline + deeper(outer), newline + outer if closed else "")


def body_of(excerpt: Excerpt, statement: Node, cursor: int) -> Node | None:
    """Return the block of a statement; of several blocks the one around the cursor, else the first."""
    blocks = [node for node in statement.named if node.kind in excerpt.language.blocks]
    around = [node for node in blocks if node.start <= cursor <= node.end]
    return next(iter(around or blocks), None)


def statements_of(text: str, block: Node, cursor: int) -> Region:
    """Return the statements of a block without the blanks around them; an insertion point if there are none."""
    inside = block.interior
    return selection_region(text, inside.start, inside.end) or _insertion_point(text, inside, cursor)


def _block(excerpt: Excerpt, cursor: int) -> Answer | None:
    for node in nodes_around(excerpt, cursor):
        if node.kind in excerpt.language.functions | excerpt.language.statements:
            if body := body_of(excerpt, node, cursor):
                return Answer(node, (Frame(statements_of(excerpt.text, body, cursor)),))
            # Some grammars have no node for a body without statements.
            if is_on_blank_line(excerpt.text, cursor) and node.start < cursor < node.end:
                return Answer(node, (Frame(Region(cursor, cursor)),))
    return None


def _insertion_point(text: str, blank: Region, cursor: int) -> Region:
    """Return where to write in an empty block: at the cursor if it is inside, else on the first empty line."""
    follows = blank.start <= cursor and is_blank(text[blank.start : cursor])
    if follows and (cursor <= blank.end or is_on_blank_line(text, cursor)):
        return Region(cursor, cursor)
    first, last = text.find("\n", blank.start, blank.end), text.rfind("\n", blank.start, blank.end)
    at = last - (text[last - 1] == "\r") if first < last else blank.start
    return Region(at, at)
