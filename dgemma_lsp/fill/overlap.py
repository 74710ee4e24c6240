"""Cuts off what a fill repeats of the text behind its region."""

from __future__ import annotations

import re
from collections.abc import Mapping

_END_SIGN = re.compile(r"[:,;][ \t]*(\n|\Z)")
_CLOSERS = re.compile(r"""(?=.*[)\]}"'])[)\]}"':;,. ]+""")

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


def without_overlap(before: str, fill: str, present: str, after: str) -> str:
    """Return the fill without a tail that repeats the start of ``after``.

    A tail is cut in three cases: it contains a whole line of ``after``; it consists of closing brackets and quotes
    without partners; or it is the sign that ends the line. A tail that ``present`` has too is kept, because that is
    how this text is written.

    Args:
        before: everything before the region.
        fill: the text for the region.
        present: the region's present text.
        after: the fixed text behind the region.
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
    closing = [size for size in tails if _CLOSERS.fullmatch(after[:size])]
    # Of equally good cuts the longest one is taken: it comes first in `tails`.
    best = min(closing, key=imbalance.__getitem__, default=0)
    if imbalance[best] < imbalance[0]:
        return fill[:-best]
    return fill[:-1] if 1 in tails and _END_SIGN.match(after) else fill


def _has_whole_line(filled: str, after: str, size: int) -> bool:
    """Return whether the last ``size`` characters of ``filled``, which start ``after``, hold a line with a word."""
    at_line_start = filled[: len(filled) - size].endswith("\n") or size == len(filled)
    at_line_end = after[:size].endswith("\n") or after[size : size + 1] == "\n"
    first = 0 if at_line_start else after.find("\n", 0, size) + 1
    whole = at_line_end and (at_line_start or first > 0)
    return whole and re.search(r"\w", after[first:size]) is not None


def _imbalance(text: str) -> int:
    """Return how many brackets and quotes have no partner.

    Strings and comments are recognised as in Python. In other languages the number may be wrong. But it is only ever
    compared between two versions of one text, and the same mistake is made in both.
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
