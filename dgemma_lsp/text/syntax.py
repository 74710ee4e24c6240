"""Text → syntax nodes. Offsets are characters of the document, never bytes.

Any text has a tree. Where the text is wrong, nodes are `broken`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

from dgemma_lsp.text.languages import Language, languages
from dgemma_lsp.text.masked import Region

if TYPE_CHECKING:
    import tree_sitter

Markers = tuple[str, ...]
"""What users write where something is to be filled in."""

_CHECKPOINT = 1024

_LONE_CR = re.compile(r"\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a syntax tree.

    Attributes:
        start: where its text begins in the document.
        end: where its text ends, exclusive.
    """

    start: int
    end: int
    _node: tree_sitter.Node
    _excerpt: Excerpt

    @property
    def kind(self) -> str:
        """What the grammar calls it."""
        return self._node.type

    @property
    def missing(self) -> bool:
        """Whether the text lacks it, and the parser added it."""
        return self._node.is_missing

    @property
    def broken(self) -> bool:
        """Whether it, or anything in it, does not parse."""
        return self._node.has_error

    @property
    def region(self) -> Region:
        return Region(self.start, self.end)

    @property
    def parent(self) -> Node | None:
        parent = self._node.parent
        return parent and self._excerpt.wrap(parent)

    @property
    def children(self) -> list[Node]:
        """All children, brackets and keywords included."""
        return [self._excerpt.wrap(child) for child in self._node.children]

    @property
    def named(self) -> list[Node]:
        """The children without brackets, keywords and the like."""
        return [self._excerpt.wrap(child) for child in self._node.named_children]

    @property
    def interior(self) -> Region:
        """What lies between its brackets, or between its keywords; all of it if it has neither."""
        children = self.children or [self]
        first, last = children[0], children[-1]
        start = first.end if first.kind in ("(", "[", "{", "do", "then") else self.start
        closed = last.kind in (")", "]", "}", "end", "done") and not last.missing
        return Region(start, max(start, last.start if closed else self.end))


class Excerpt:
    """Parts of a text, joined and parsed.

    Args:
        text: the whole document.
        parts: parts of it, in order. The last one surrounds the place that is asked about, the others are headers.
        language: what to parse it as.
        markers: what stands for something to be filled in; the parser reads a value in its place.
    """

    def __init__(
        self, text: str, parts: tuple[Region, ...], language: Language, markers: Markers = ()
    ) -> None:
        self.text = text
        self.language = language
        self.body = parts[-1]
        self.whole = len(self.body.of(text)) == len(text)
        self._source = _parseable("".join(part.of(text) for part in parts), language, markers)
        self._bytes = self._source.encode("utf-8", "replace")
        self._shifts = [(start, part.start - start) for start, part in _joined(parts)]
        self._tree = _parser(language.name).parse(self._bytes)

    @property
    def root(self) -> Node:
        return self.wrap(self._tree.root_node)

    def holds(self, node: Node) -> bool:
        """Return whether a node certainly ends where it seems to, and not only because the excerpt does."""
        return self.body.end == len(self.text) or self.text[node.end : self.body.end].strip() != ""

    def at(self, offset: int) -> Node:
        """Return the smallest named node that contains, begins at or ends at a place in the last part."""
        byte = self._byte(offset)
        smallest = self._tree.root_node.named_descendant_for_byte_range(byte, byte)
        return self.wrap(smallest or self._tree.root_node)

    def is_prose(self, offset: int) -> bool:
        """Return whether a character of the last part is in a string or a comment."""
        return self.is_in(offset, self.language.prose)

    def is_in(self, offset: int, kinds: frozenset[str]) -> bool:
        """Return whether a character of the last part is in a node of one of some kinds."""
        node: Node | None = self.at(offset)
        while node is not None and not (node.kind in kinds and node.start <= offset < node.end):
            node = node.parent
        return node is not None

    def captures(self, query: str) -> Iterator[tuple[str, Node]]:
        """Return what a query of the language captures, in no particular order: names and nodes."""
        from tree_sitter import QueryCursor

        if query:
            captured = QueryCursor(_query(self.language.name, query)).captures(self._tree.root_node)
            yield from ((name, self.wrap(node)) for name, nodes in captured.items() for node in nodes)

    def wrap(self, node: tree_sitter.Node) -> Node:
        start, end = self._offset(node.start_byte, is_end=False), self._offset(node.end_byte, is_end=True)
        # In some grammars a comment includes the CR of its line's CRLF.
        end -= self.text[end - 1 : end + 1] == "\r\n"
        return Node(start, max(start, end), node, self)

    def _offset(self, byte: int, *, is_end: bool) -> int:
        at = self._character(byte)
        # Where two parts meet, a node starts in the second one and ends in the first.
        find = bisect_left if is_end else bisect_right
        index = max(0, find(self._shifts, at, key=lambda pair: pair[0]) - 1)
        return at + self._shifts[index][1]

    def _byte(self, offset: int) -> int:
        at = offset - self._shifts[-1][1]
        if len(self._bytes) == len(self._source):
            return at
        index = min(at // _CHECKPOINT, len(self._checkpoints) - 1)
        return self._checkpoints[index] + len(self._encoded(index * _CHECKPOINT, at))

    def _character(self, byte: int) -> int:
        if len(self._bytes) == len(self._source):
            return byte
        index = bisect_right(self._checkpoints, byte) - 1
        inside = self._bytes[self._checkpoints[index] : byte]
        return index * _CHECKPOINT + len(inside.decode("utf-8", "replace"))

    @cached_property
    def _checkpoints(self) -> list[int]:
        """[block of characters] the block's first byte. Characters inside a block are counted on demand."""
        checkpoints = [0]
        for end in range(_CHECKPOINT, len(self._source), _CHECKPOINT):
            checkpoints.append(checkpoints[-1] + len(self._encoded(end - _CHECKPOINT, end)))
        return checkpoints

    def _encoded(self, start: int, end: int) -> bytes:
        return self._source[start:end].encode("utf-8", "replace")


def _joined(parts: tuple[Region, ...]) -> Iterator[tuple[int, Region]]:
    """Return where each part begins when they are joined."""
    start = 0
    for part in parts:
        yield start, part
        start += part.end - part.start


def _parseable(source: str, language: Language, markers: Markers) -> str:
    """Return a text of the same length, in which the grammar can read the markers and every line break."""
    for marker in sorted(markers, key=len, reverse=True):  # one may be part of another
        if marker in source and not _is_prose(marker, language.name):
            source = source.replace(marker, re.sub(r"[^\r\n]", language.stand_in, marker))
    return _LONE_CR.sub("\n", source) if "\r" in source else source


@cache
def _is_prose(marker: str, language: str) -> bool:
    """Return whether a marker is a comment or a string, which the grammar can read as it is."""
    node = _parser(language).parse(marker.encode("utf-8", "replace")).root_node
    while not node.has_error and node.named_child_count == 1:
        node = node.named_children[0]
        if node.type in languages()[language].prose:
            return True
    return False


@cache
def grammar(name: str) -> tree_sitter.Language:
    """Return a grammar; it is loaded when it is first used."""
    from tree_sitter_language_pack import get_language

    return get_language(cast(Any, name))


def _parser(name: str) -> tree_sitter.Parser:
    from tree_sitter import Parser

    return Parser(grammar(name))


@cache
def _query(name: str, query: str) -> tree_sitter.Query:
    from tree_sitter import Query

    return Query(grammar(name), query)
