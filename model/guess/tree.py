"""Texts as a tree, so that what they begin with is read only once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


class Tree:
    """Texts that begin alike; each token of a common beginning is one node.

    Attributes:
        tokens: of the nodes; the root is the first.
        parents: of the nodes, which stand before them; -1 for the root.
        depths: of the nodes.
    """

    def __init__(self, root: int) -> None:
        self.tokens, self.parents, self.depths = [root], [-1], [0]
        self._children: dict[tuple[int, int], int] = {}

    @property
    def edges(self) -> Iterator[tuple[int, int]]:
        """The token and the parent of each node but the root."""
        return zip(self.tokens[1:], self.parents[1:], strict=True)

    def add(self, text: Sequence[int]) -> list[int]:
        """Add a text; returns its nodes, the root first."""
        path = [0]
        for token in text:
            if (path[-1], token) not in self._children:
                self._children[path[-1], token] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(path[-1])
                self.depths.append(len(path))
            path.append(self._children[path[-1], token])
        return path
