"""Questions about the syntax around a cursor, asked again with more of the text until the answer is certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.current_line import column, is_blank, line_around
from dgemma_lsp.text.regions.fences import innermost_code
from dgemma_lsp.text.regions.frame import Frame
from dgemma_lsp.text.source_code import SourceCode
from dgemma_lsp.text.syntax import Excerpt, Node


@dataclass(frozen=True, slots=True)
class Answer:
    """Frames to be filled, and the node they were found by."""

    node: Node
    frames: tuple[Frame, ...]


Question = Callable[[Excerpt, int], Answer | None]
"""What to look for in an excerpt, around a cursor."""


def frames_at(code: SourceCode, cursor: int, question: Question) -> tuple[Frame, ...]:
    """Return the frames that answer a question about a cursor; none if there is no answer."""
    inner, start = innermost_code(code, cursor)
    answer = _certain_answer(inner, cursor - start, question)
    return tuple(frame.shifted(start) for frame in answer.frames) if answer else ()


def region_at(code: SourceCode, cursor: int, question: Question) -> Region | None:
    """Return the region of the first frame that answers a question about a cursor."""
    return next((frame.region for frame in frames_at(code, cursor, question)), None)


def enclosing_function(code: SourceCode, cursor: int) -> Region | None:
    """Return the innermost function around a cursor."""
    return region_at(code, cursor, _function)


def nodes_around(excerpt: Excerpt, cursor: int) -> Iterator[Node]:
    """Return the nodes around a cursor, innermost first."""
    anchor, limit = _anchor(excerpt, cursor)
    node: Node | None = excerpt.at(anchor)
    while node is not None:
        # Blocks that end by indentation end before an empty line, whose indentation tells which of them it continues.
        if node.end >= cursor or column(excerpt.text, node.start) < limit:
            yield node
        node = node.parent


def _certain_answer(code: SourceCode, cursor: int, question: Question) -> Answer | None:
    for turn, excerpt in enumerate(code.excerpts(Region(cursor, cursor))):
        answer = question(excerpt, cursor)
        # If something does not parse, the excerpt may begin in a bad place: one larger excerpt is worth a try.
        doubtful = turn == 0 and not excerpt.whole and (answer.node if answer else excerpt.root).broken
        if not doubtful and (answer is None or excerpt.holds(answer.node)):
            return answer
    return None


def _function(excerpt: Excerpt, cursor: int) -> Answer | None:
    for node in nodes_around(excerpt, cursor):
        if node.kind in excerpt.language.functions:
            return Answer(node, (Frame(node.region),))
    return None


def _anchor(excerpt: Excerpt, cursor: int) -> tuple[int, int]:
    """Return the character that stands for a cursor, and the column that nodes must begin before if they have ended."""
    text, anywhere = excerpt.text, len(excerpt.text)
    before, after = line_around(text, cursor)
    if not is_blank(before + after):
        # After the last word of a line the user is still in what ends there.
        if not is_blank(before) and (is_blank(after) or not before[-1].isspace()):
            return len(text[:cursor].rstrip()) - 1, anywhere
        return cursor + (len(after) - len(after.lstrip()) if is_blank(before) else 0), anywhere
    if not excerpt.language.indented:
        return cursor, anywhere
    return max(0, len(text[:cursor].rstrip()) - 1), len(before)
