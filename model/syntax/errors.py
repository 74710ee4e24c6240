"""Count syntax errors with some texts in the regions, by a syntax tree of the lines around them.

Only the statements at the margin around the regions are parsed, which takes a millisecond however long the file is. The
counts of two texts for the same place are compared; a file that is broken elsewhere, or is not Python, has as many
errors with one as with the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node, Parser

from dgemma_model.syntax.statements import PYTHON, last_statement, until_statement


def count_errors(root: Node) -> int:
    """Count the places that do not parse: ERROR and MISSING nodes."""
    count, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        count += node.is_error or node.is_missing
        if node.has_error:  # most of a file has none and is not walked
            waiting.extend(node.children)
    return count


class Surroundings:
    """The fixed text around some regions, as far as it matters for their syntax."""

    def __init__(self, segments: Sequence[str]) -> None:
        """Take over the segments before, between and behind the regions."""
        first, *between, last = segments
        self._segments = (last_statement(first), *between, until_statement(last))
        self._parser, self._known = Parser(PYTHON), dict[tuple[str, ...], int]()

    def errors(self, fills: Sequence[str]) -> int:
        """Count the places that do not parse with these texts in the regions."""
        key = tuple(fills)
        if key not in self._known:
            parts = [part for pair in zip(self._segments, fills, strict=False) for part in pair]
            text = "".join([*parts, self._segments[-1]])
            self._known[key] = count_errors(self._parser.parse(text.encode("utf-8", "replace")).root_node)
        return self._known[key]
