"""The arguments of the call around a cursor."""

from __future__ import annotations

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.at_cursor import Answer, nodes_around, region_at
from dgemma_lsp.text.regions.frame import Frame
from dgemma_lsp.text.regions.selection import selection_region
from dgemma_lsp.text.source_code import SourceCode
from dgemma_lsp.text.syntax import Excerpt


def arguments_region(code: SourceCode, cursor: int) -> Region | None:
    """Return what is between the parentheses of the call whose arguments the cursor is in."""
    return region_at(code, cursor, _arguments)


def _arguments(excerpt: Excerpt, cursor: int) -> Answer | None:
    for node in nodes_around(excerpt, cursor):
        if node.kind in excerpt.language.prose and node.start < cursor < node.end:
            return None
        if node.kind in excerpt.language.arguments and excerpt.text[node.start] == "(":
            inside = node.interior
            if inside.start <= cursor <= inside.end:
                region = selection_region(excerpt.text, inside.start, inside.end)
                return Answer(node, (Frame(region or Region(cursor, cursor)),))
    return None
