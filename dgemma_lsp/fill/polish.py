"""From a raw fill to a text that may be shown, or to the reason why not. Pure functions on text.

Two things about a raw fill are set right: what it repeats of the text behind its region, and blanks at the ends of its
lines. Everything else is kept as the model wrote it, or rejected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from dgemma_lsp.text.line_breaks import to_lf

if TYPE_CHECKING:
    from tree_sitter import Language, Node


class Rejection(Enum):
    """Why a candidate must not be shown."""

    INCOMPLETE = "incomplete"
    EMPTY = "empty"
    UNCHANGED = "unchanged"
    UNENCODABLE = "unencodable"
    LOW_CONFIDENCE = "low confidence"
    UNPARSEABLE = "unparseable"
    DUPLICATE = "duplicate"


def polished(fill: str, before: str, present: str, after: str) -> str:
    """The text that a raw fill stands for.

    All arguments have LF line endings, but for ``fill``, and so has the result.

    Args:
        fill: as the engine gave it.
        before: everything in front of the region.
        present: what stands in the region now; a fill that repeats it is left alone.
        after: the fixed text behind the region, up to the next region; with a newline where the document ends.
    """
    text = to_lf(fill)
    if text == present:
        return present
    trimmed = trim_line_ends(text, after)
    return without_overlap(before, trimmed, present, after)


def trim_line_ends(fill: str, after: str) -> str:
    """The fill without blanks at the ends of its lines.

    The last line counts only when it ends with the fill; else its blanks stand between two words.
    """
    trimmed = re.sub(r"[ \t]+(?=\n)", "", fill)
    return trimmed.rstrip(" \t") if after.startswith("\n") else trimmed


def without_overlap(before: str, fill: str, present: str, after: str) -> str:
    """The fill without a tail that repeats the start of ``after``.

    A tail is cut when it holds a whole line of ``after``, when it is made of closing brackets and quotes that have no
    partner, or when it is the sign that ends the line; a tail that ``present`` has too is how this text is written.
    """
    tails = [
        size
        for size in range(min(len(fill), len(after)), 0, -1)
        if fill.endswith(after[:size]) and not present.endswith(after[:size])
    ]
    if not tails:
        return fill
    imbalance = {size: _imbalance(before + fill[: len(fill) - size] + after) for size in (0, *tails)}
    for size in tails:
        if _has_whole_line(before + fill, after, size) and imbalance[size] <= imbalance[0]:
            return fill[:-size]
    closing = [size for size in tails if _CLOSING.fullmatch(after[:size])]
    # Of equally good cuts the longest: `tails` is in that order.
    best = min(closing, key=imbalance.__getitem__, default=0)
    if imbalance[best] < imbalance[0]:
        return fill[:-best]
    return fill[:-1] if 1 in tails and _LAST_SIGN.match(after) else fill


def _has_whole_line(filled: str, after: str, size: int) -> bool:
    """Whether the last ``size`` characters of ``filled``, which start ``after``, hold a whole line with a word."""
    at_line_start = filled[: len(filled) - size].endswith("\n") or size == len(filled)
    at_line_end = after[:size].endswith("\n") or after[size : size + 1] == "\n"
    first = 0 if at_line_start else after.find("\n", 0, size) + 1
    whole = at_line_end and (at_line_start or first > 0)
    return whole and re.search(r"\w", after[first:size]) is not None


_LAST_SIGN = re.compile(r"[:,;][ \t]*(\n|\Z)")
_CLOSING = re.compile(r"""(?=.*[)\]}"'])[)\]}"':;,. ]+""")

_LEXEME = re.compile(
    r"""
    (?P<skipped> \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
               | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | \#[^\n]* )
    | (?P<stray> \"{3} | '{3} | ["'] )
    | (?P<opening> [(\[{] )
    | (?P<closing> [)\]}] )
    """,
    re.VERBOSE | re.DOTALL,
)
_PARTNER: Mapping[str, str] = {")": "(", "]": "[", "}": "{"}


def _imbalance(text: str) -> int:
    """How many brackets and quotes have no partner.

    Strings and comments are told apart as in Python. In other languages the number may be wrong, but here it is only
    ever compared between two versions of one text, where the same mistake is made twice.
    """
    alone = 0
    pending: list[str] = []
    for lexeme in _LEXEME.finditer(text):
        if lexeme["opening"]:
            pending.append(lexeme[0])
        elif lexeme["closing"] and pending and pending[-1] == _PARTNER[lexeme[0]]:
            pending.pop()
        elif not lexeme["skipped"]:
            alone += 1
    return alone + len(pending)


def python_syntax_errors(text: str) -> int:
    """How many places of a Python text do not parse: tree-sitter's ERROR and MISSING nodes."""
    from tree_sitter import Parser

    tree = Parser(_python()).parse(text.encode("utf-8", "replace"))
    return sum(1 for node in _broken(tree.root_node) if node.is_error or node.is_missing)


def _broken(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        # Whole functions without an error are skipped here; what is left is small, and recursion could be deep.
        if node.has_error or node.is_missing:
            yield node
            waiting.extend(node.children)


@cache
def _python() -> Language:
    import tree_sitter_python
    from tree_sitter import Language

    return Language(tree_sitter_python.language())
