"""Whole texts as trees, and all nodes of a tree."""

from __future__ import annotations

from collections.abc import Iterator

from dgemma_lsp.text.languages import Language, languages
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.syntax import Excerpt, Node

PYTHON = languages()["python"]


def whole(text: str, language: Language = PYTHON) -> Excerpt:
    return Excerpt(text, (Region(0, len(text)),), language)


def nodes(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        yield (node := waiting.pop())
        waiting += node.children
