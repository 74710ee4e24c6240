"""Read the brackets and quotes of Python text, without parsing it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

CLOSERS: Mapping[str, str] = MappingProxyType({"(": ")", "[": "]", "{": "}"})
"""The closing bracket of each opening one."""

OPENERS: Mapping[str, str] = MappingProxyType({closer: opener for opener, closer in CLOSERS.items()})
"""The opening bracket of each closing one."""

_TOKEN = re.compile(r"""\"{3}|'{3}|\\.|[\"'()\[\]{}\n#]""")
_LINE_TOKEN = re.compile(r"""\\.|[\"'()\[\]{}]""")
_COMMENT_END = "\n"


class Sign(NamedTuple):
    """A bracket outside of strings and comments, or the quotes with which a string begins or ends.

    Attributes:
        at: a character offset.
        text: one bracket, one quote or three quotes.
    """

    at: int
    text: str

    @property
    def is_quote(self) -> bool:
        return self.text[0] in "\"'"


def signs(text: str) -> Iterator[Sign]:
    """Read the brackets and quotes that count. A string with single quotes ends with its line at the latest."""
    return _read(_TOKEN, text)


def line_signs(line: str) -> Iterator[Sign]:
    """Read those of a line that is still being written: it has no comments, and three quotes are three signs."""
    return _read(_LINE_TOKEN, line)


def _read(token: re.Pattern[str], text: str) -> Iterator[Sign]:
    within = ""  # the sign that ends the string or comment
    for match in token.finditer(text):
        sign = match[0]
        if sign == "\n":
            within = within if len(within) == 3 else ""
        elif within:
            if sign == within:
                within = ""
                yield Sign(match.start(), sign)
        elif sign[0] in "\"'":
            within = sign
            yield Sign(match.start(), sign)
        elif sign == "#":
            within = _COMMENT_END
        elif sign in CLOSERS or sign in OPENERS:
            yield Sign(match.start(), sign)
