"""Which of some texts leave a Python file parseable, by a syntax tree of the lines around them.

Only the statements at the margin around the regions are parsed: a millisecond, however long the file. Errors are
counted, and compared between texts for the same place; a file that is broken elsewhere, or is no Python, has as many
with each of them. Pure functions on text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import tree_sitter_python
from tree_sitter import Language, Node, Parser

PYTHON = Language(tree_sitter_python.language())

_FARTHEST = 12_000  # characters before and behind the regions that are looked at
# A line at the margin with which a statement begins: no clause of one that began before, no bracket, no comment.
_STATEMENT = re.compile(r"^(?!(?:el(?:se|if)|except|finally)\b)[A-Za-z_@]", re.MULTILINE)
_OPENING, _CLOSING = "([{", ")]}"
_HEADER = re.compile(r"\s*(?:async\s+)?(?:def|class|if|elif|else|for|while|with|try|except|finally)\b")


def count_errors(root: Node) -> int:
    """How many places do not parse: ERROR and MISSING nodes."""
    count, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        count += node.is_error or node.is_missing
        if node.has_error:  # most of a file has none, and is not walked
            waiting.extend(node.children)
    return count


class Surroundings:
    """The fixed text around some regions, as far as it matters for their syntax."""

    def __init__(self, segments: Sequence[str]) -> None:
        """Take over the segments before, between and behind the regions."""
        first, *between, last = segments
        self._segments = (_beginning(first), *between, _ending(last))
        self._parser, self._known = Parser(PYTHON), dict[tuple[str, ...], int]()

    def errors(self, fills: Sequence[str]) -> int:
        """How many places do not parse with these texts in the regions."""
        key = tuple(fills)
        if key not in self._known:
            parts = [part for pair in zip(self._segments, fills, strict=False) for part in pair]
            text = "".join([*parts, self._segments[-1]])
            self._known[key] = count_errors(self._parser.parse(text.encode("utf-8", "replace")).root_node)
        return self._known[key]


def border(text: str, at: int, reach: int) -> int:
    """Where a text may be cut so that the rest begins with a statement: the first place from ``at`` on.

    Args:
        text: of a file, perhaps cut off at its end.
        at: a character offset.
        reach: how far from there may be looked.

    Returns:
        The beginning of a line with which a statement begins; where none does in reach, of the next line; ``at`` in a
        line that is too long.
    """
    near = max(0, at - _FARTHEST)
    found = _next_statement(text[near : at + reach], at - near)
    line = text.find("\n", at, at + reach) + 1
    return at + found if found is not None else line or at


@lru_cache(maxsize=64)  # from key to key a text is cut in the same place
def _next_statement(text: str, at: int) -> int | None:
    """How far behind a place the first line begins with which a statement begins; None where there is none."""
    before = _beginning(text[:at])
    data, place = (before + text[at:]).encode("utf-8", "replace"), len(before.encode("utf-8", "replace"))
    found, waiting = len(data), [Parser(PYTHON).parse(data).root_node]
    while waiting:
        node = waiting.pop()
        if node.end_byte <= place or node.start_byte >= found:
            continue
        waiting += node.named_children
        decorated = node.parent is not None and node.parent.type == "decorated_definition"
        if node.type.endswith(("_statement", "_definition")) and not decorated:
            line = data.rfind(b"\n", 0, node.start_byte) + 1
            if line >= place and not data[line : node.start_byte].strip():
                found = min(found, line)
    return None if found == len(data) else len(data[place:found].decode("utf-8", "replace"))


def _beginning(before: str) -> str:
    near = before[-_FARTHEST:]
    begins = [match.start() for match in _STATEMENT.finditer(near[: near.rfind("\n") + 1])]
    # The region's own line does not count, it may become anything.
    return near[begins[-1] :] if begins else near


def _ending(behind: str) -> str:
    near = behind[:_FARTHEST]
    line = near.find("\n") + 1
    match = _STATEMENT.search(near, line) if line else None
    return near if match is None else near[: match.start()]


def repairs(line: str, least: int, rest: str) -> list[str]:
    """What may be meant by a line that does not parse: with signs that lack, or without those too many.

    Args:
        line: with the guess in it; what stands behind the region excluded.
        least: characters of the line that stay.
        rest: what stands behind the region in the line.
    """
    signs = _Signs.of(line, least)
    header = _HEADER.match(line) is not None
    closers = "".join(_CLOSING[_OPENING.index(line[at])] for at in reversed(signs.open))
    kept = closers.removesuffix(rest.rstrip(":,")) if rest else closers
    found = [line[: signs.excess] + signs.quote + kept]
    if rest:
        return [text for text in dict.fromkeys(found) if text != line]
    if header and not found[0].rstrip().endswith(":"):
        found.insert(0, found[0] + ":")
    if not header and line.endswith(":") and len(line) > least:
        found.append(line[:-1])
    if signs.open and signs.open[0] >= least:
        found.append(line[: signs.open[0]].rstrip())
    return [text for text in dict.fromkeys(found) if text != line and len(text) >= least]


@dataclass(frozen=True, slots=True)
class _Signs:
    """Where brackets of a line are left open; a quote that is; and where the first bracket too many stands."""

    open: tuple[int, ...]
    quote: str
    excess: int

    @classmethod
    def of(cls, line: str, least: int) -> _Signs:
        """Read a line up to a bracket too many behind its first ``least`` characters."""
        open_: list[int] = []
        quote = ""
        for index, sign in enumerate(line):
            if quote:
                quote = "" if sign == quote and line[index - 1] != "\\" else quote
            elif sign in "\"'":
                quote = sign
            elif sign in _OPENING:
                open_.append(index)
            elif sign in _CLOSING:
                if open_ and _OPENING.index(line[open_[-1]]) == _CLOSING.index(sign):
                    open_.pop()
                elif index >= least:
                    return cls(tuple(open_), "", index)
        return cls(tuple(open_), quote, len(line))
