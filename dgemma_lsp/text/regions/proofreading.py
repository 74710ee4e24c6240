"""What is to be proofread: the lines of a text that are not all strings and comments."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from dgemma_lsp.text.masked import Region, outermost
from dgemma_lsp.text.source_code import SourceCode


def prose_regions(code: SourceCode) -> list[Region]:
    """Return strings and comments, in document order and without overlap; nothing in an unknown language."""
    if code.language is None:
        return []
    query = " ".join(f"({kind}) @prose" for kind in sorted(code.language.prose))
    *_, whole = code.excerpts(Region(0, len(code.text)))
    return list(outermost(node.region for _, node in whole.captures(query)))


def lines_to_read(text: str, prose: Sequence[Region]) -> list[Region]:
    """Return the lines, without the blanks around them, that are not all prose.

    Args:
        text: with LF line endings.
        prose: in document order and without overlap.
    """
    starts = [region.start for region in prose]
    lines = []
    for match in re.finditer(r"[^\s\n](?:[^\n]*[^\s\n])?", text):
        line = Region(*match.span())
        around = bisect_right(starts, line.start) - 1
        if around < 0 or prose[around].end < line.end:
            lines.append(line)
    return lines
