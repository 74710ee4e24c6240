"""Counts the syntax errors of a Python text."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language


def python_syntax_errors(text: str) -> int:
    """Return how many places of a Python text do not parse: tree-sitter's ERROR and MISSING nodes."""
    from tree_sitter import Parser

    errors, waiting = 0, [Parser(_python()).parse(text.encode("utf-8", "replace")).root_node]
    while waiting:
        node = waiting.pop()
        errors += node.is_error or node.is_missing
        if node.has_error:  # most of a text has none, and is not visited
            waiting.extend(node.children)
    return errors


@cache
def _python() -> Language:
    import tree_sitter_python
    from tree_sitter import Language

    return Language(tree_sitter_python.language())
