"""Line breaks: which there are, and which ones a fill should have."""

from __future__ import annotations

import re

from dgemma_lsp.text.masked import Region

LINE_BREAK = re.compile(r"\r\n|\r|\n")
"""As editors see it. `str.splitlines` also ends lines at form feeds, at U+2028 and at others that end none."""


def to_lf(text: str) -> str:
    """Return the text with every line break as LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def in_document_newlines(fill: str, text: str, region: Region) -> str:
    """Return a fill with LF line breaks in those that a document has at a region; see `newline_at`."""
    return fill.replace("\n", newline_at(text, region))


def newline_at(text: str, region: Region) -> str:
    """Return the line break to write in a region: the first one in it, else the nearest one around it, else LF."""
    if inside := LINE_BREAK.search(text, region.start, region.end):
        return inside[0]
    # Only the last line before the region matters: a search from the front would read the whole file.
    if (at := max(text.rfind("\n", 0, region.start), text.rfind("\r", 0, region.start))) >= 0:
        return "\r\n" if text[at - 1 : at + 1] == "\r\n" else text[at]
    following = LINE_BREAK.search(text, region.end)
    return following[0] if following else "\n"
