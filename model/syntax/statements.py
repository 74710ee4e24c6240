"""Where Python statements begin: at the margins of a text around regions, and where a long text may be cut."""

from __future__ import annotations

import re
from functools import lru_cache

import tree_sitter_python
from tree_sitter import Language, Parser

PYTHON = Language(tree_sitter_python.language())

FARTHEST = 12_000
"""Characters of a text before and behind the regions that are considered."""

_REMEMBERED = 64  # texts; from key to key a text is cut in the same place
# A statement that begins at the margin of its line: not a clause of an earlier one, no bracket, no comment.
_STATEMENT = re.compile(r"^(?!(?:el(?:se|if)|except|finally)\b)[A-Za-z_@]", re.MULTILINE)


def last_statement(before: str) -> str:
    """Keep what stands before a region from the last statement at the margin on, but no more than is considered."""
    near = before[-FARTHEST:]
    # The region's own line does not count: it may become anything.
    begins = [match.start() for match in _STATEMENT.finditer(near[: near.rfind("\n") + 1])]
    return near[begins[-1] :] if begins else near


def until_statement(behind: str) -> str:
    """Keep what stands behind a region up to the next statement at the margin, but no more than is considered."""
    near = behind[:FARTHEST]
    line = near.find("\n") + 1
    match = _STATEMENT.search(near, line) if line else None
    return near if match is None else near[: match.start()]


class Borders:
    """Finds where a text may be cut so that the rest begins with a statement. It remembers its last answers."""

    def __init__(self) -> None:
        self._next_statement = lru_cache(_REMEMBERED)(_next_statement)

    def after(self, text: str, at: int, reach: int) -> int:
        """Find the first such place from ``at`` on.

        Args:
            text: a file's text, perhaps without its end.
            at: a character offset.
            reach: how many characters from ``at`` may be searched.

        Returns:
            The start of a line in which a statement begins. If none is in reach, the start of the next line; in a line
            that is too long for that, ``at``.
        """
        near = max(0, at - FARTHEST)
        distance = self._next_statement(text[near : at + reach], at - near)
        line = text.find("\n", at, at + reach) + 1
        return at + distance if distance is not None else line or at


def _next_statement(text: str, at: int) -> int | None:
    """Count the characters from ``at`` to the first line in which a statement begins; None if there is none."""
    before = last_statement(text[:at])
    data, place = (before + text[at:]).encode("utf-8", "replace"), len(before.encode("utf-8", "replace"))
    first, waiting = len(data), [Parser(PYTHON).parse(data).root_node]
    while waiting:
        node = waiting.pop()
        if node.end_byte <= place or node.start_byte >= first:
            continue
        waiting += node.named_children
        decorated = node.parent is not None and node.parent.type == "decorated_definition"
        if node.type.endswith(("_statement", "_definition")) and not decorated:
            line = data.rfind(b"\n", 0, node.start_byte) + 1
            if line >= place and not data[line : node.start_byte].strip():
                first = min(first, line)
    return None if first == len(data) else len(data[place:first].decode("utf-8", "replace"))
