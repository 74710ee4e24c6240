"""Choose where a text ends that stands inside a line.

A base writes to the end of the line: it does not stop in the middle by itself. So every place in what it wrote where
the known rest of the line might go on is tried, and the whole line tells by its likelihood which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dgemma_model.fill.kept_prompts import Kept
from dgemma_model.network.quantized import Floats, QuantizedNetwork, ancestry, depths

MOST_ENDS = 24
"""Places that are tried."""
MOST_NODES = 224
"""Tokens that are run for that in one pass."""

_REST = 40  # characters of the rest of the line that are looked at
_LEXEME = re.compile(r" *(?:\w+|[^\w\s])")


def possible_ends(line: str, least: int, rest: str) -> list[int]:
    """List the lengths that a text may have: up to the end of each word and sign, or to where the rest begins.

    Args:
        line: what was written.
        least: the text is longer than that.
        rest: what stands behind it.
    """
    ends = {match.end() for match in _LEXEME.finditer(line)}
    ends |= {match.start() for match in re.finditer(re.escape(rest[:1]), line)} if rest else set()
    return sorted(end for end in ends if end > least and line[least:end].strip())[:MOST_ENDS]


@dataclass(slots=True)
class Tree:
    """Texts that share their beginnings.

    Attributes:
        tokens: of each node.
        parents: the node before each one; -1 behind the prompt.
        leaves: the last node of each text.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, ids: Sequence[int]) -> None:
        """Add a text of at least one token."""
        node = -1
        for token in ids:
            node = self._child(node, token)
        self.leaves.append(node)

    def _child(self, parent: int, token: int) -> int:
        if (parent, token) not in self._children:
            self._children[parent, token] = len(self.tokens)
            self.tokens.append(token)
            self.parents.append(parent)
        return self._children[parent, token]

    def children(self) -> Mapping[int, list[int]]:
        """The nodes that follow each node."""
        found: dict[int, list[int]] = {}
        for node, parent in enumerate(self.parents):
            found.setdefault(parent, []).append(node)
        return found


def tree_of_ends(line: str, ends: Sequence[int], rest: str, encode: Callable[[str], list[int]]) -> Tree:
    """The whole line for each end, as far as there is room for them."""
    behind = rest[:_REST] + ("\n" if len(rest) <= _REST else "")
    tree = Tree()
    for end in ends:
        tree.add(encode(line[:end] + behind))
        if len(tree.tokens) > MOST_NODES:
            break
    return tree


def likelihoods(network: QuantizedNetwork, kept: Kept, state: Floats, tree: Tree) -> list[float]:
    """The log-likelihood of each text of a tree behind a prompt, in nats.

    Args:
        network: what runs.
        kept: the prompt; it stays as it is.
        state: of its last token [1, hidden].
        tree: the texts.
    """
    at = kept.prompt.length + depths(tree.parents)
    states = network.run(kept.prompt, tree.tokens, positions=at, seen=ancestry(tree.parents))
    children = tree.children()
    width = max(map(len, children.values()))
    asked = np.zeros((len(tree.tokens) + 1, width), np.int32)  # a row for the prompt, then one for each node
    for parent, nodes in children.items():
        asked[parent + 1, : len(nodes)] = [tree.tokens[node] for node in nodes]
    found = network.rank(np.concatenate([state, states]), best=1, asked=asked).asked_likelihood
    total = np.zeros(len(tree.tokens))
    for node, parent in enumerate(tree.parents):
        own = found[parent + 1, children[parent].index(node)]
        total[node] = own + (total[parent] if parent >= 0 else 0)
    return [float(total[leaf]) for leaf in tree.leaves]
