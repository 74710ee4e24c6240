"""The documentation and the body of the function around a cursor, to be filled together."""

from __future__ import annotations

from collections.abc import Sequence

from dgemma_lsp.text.languages import Documentation, Placement
from dgemma_lsp.text.line_breaks import newline_at
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.at_cursor import Answer, frames_at, nodes_around
from dgemma_lsp.text.regions.block import body_of, statements_of
from dgemma_lsp.text.regions.current_line import column, deeper, indentation, is_blank, line_around
from dgemma_lsp.text.regions.frame import Frame
from dgemma_lsp.text.source_code import SourceCode
from dgemma_lsp.text.syntax import Excerpt, Node


def docstring_and_body(code: SourceCode, cursor: int) -> tuple[Frame, ...]:
    """Return the documentation of the function around a cursor, which may be missing, and the function's body.

    Returns:
        Two frames; none where there is no function, or where its documentation cannot be told from other comments.
    """
    return frames_at(code, cursor, _documented)


def _documented(excerpt: Excerpt, cursor: int) -> Answer | None:
    documentation = excerpt.language.documentation
    if documentation is None:
        return None
    for node in nodes_around(excerpt, cursor):
        if node.kind in excerpt.language.functions and (body := body_of(excerpt, node, cursor)):
            if documentation.placement is Placement.BODY:
                frames = _documented_in_body(excerpt, body, cursor, documentation)
            else:
                frames = _documented_above(excerpt, node, body, cursor, documentation)
            return frames and Answer(node, frames)
    return None


def _documented_in_body(
    excerpt: Excerpt, body: Node, cursor: int, documentation: Documentation
) -> tuple[Frame, Frame] | None:
    text, start = excerpt.text, Region(body.start, body.start)
    new_line = newline_at(text, start) + _indentation_inside(text, body)
    statements = body.named
    if statements and statements[0].kind in excerpt.language.strings:
        return _with_docstring(statements, body, new_line)
    inside = statements_of(text, body, cursor)
    opening, closing = documentation.opening, documentation.closing
    if body.start < body.end:
        # The body may begin on the line of the colon.
        on_own_line = is_blank(line_around(text, body.start)[0])
        return Frame(start, ("" if on_own_line else new_line) + opening, closing + new_line), Frame(inside)
    if inside.start == body.start:
        return None
    return Frame(start, new_line + opening, closing), Frame(inside)


def _with_docstring(statements: Sequence[Node], body: Node, new_line: str) -> tuple[Frame, Frame]:
    docstring, *others = statements
    quotes = docstring.children
    text = Frame(Region(quotes[0].end, quotes[-1].start))
    if others:
        return text, Frame(Region(others[0].start, body.end))
    return text, Frame(Region(body.end, body.end), before=new_line)


def _documented_above(
    excerpt: Excerpt, function: Node, body: Node, cursor: int, documentation: Documentation
) -> tuple[Frame, Frame] | None:
    text = excerpt.text
    indented = indentation(text, function.start)
    at = function.start - column(text, function.start) + len(indented)
    above = len(text[:at].rstrip())
    if above and excerpt.is_in(above - 1, excerpt.language.comments):
        return None  # nobody can tell how much of that comment is documentation
    new_line = newline_at(text, Region(at, at)) + indented
    comment = Frame(Region(at, at), documentation.opening, documentation.closing + new_line)
    return comment, Frame(statements_of(text, body, cursor))


def _indentation_inside(text: str, body: Node) -> str:
    """Return the indentation of a body, which may begin on the line of its function."""
    outer = indentation(text, body.start)
    if body.start < body.end and column(text, body.start) == len(outer):
        return outer
    return deeper(outer)
