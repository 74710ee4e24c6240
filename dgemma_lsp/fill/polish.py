"""From a raw fill to a text that may be shown.

Two things in a raw fill are corrected: what it repeats of the text behind its region, and blanks at the ends of its
lines. Everything else stays as the model wrote it, and is accepted or rejected as a whole.
"""

from __future__ import annotations

import re

from dgemma_lsp.fill.overlap import without_overlap
from dgemma_lsp.text.line_breaks import to_lf


def polished(fill: str, before: str, present: str, after: str) -> str:
    """Return the text that a raw fill stands for, with LF line endings.

    Args:
        fill: the engine's text, with any line endings; the other arguments have LF.
        before: everything before the region.
        present: the region's present text; a fill that repeats it is left alone.
        after: the fixed text behind the region, up to the next region. At the end of a document it ends in a newline.
    """
    text = to_lf(fill)
    if text == present:
        return present
    return without_overlap(before, trim_line_ends(text, after), present, after)


def trim_line_ends(fill: str, after: str) -> str:
    """Return the fill without blanks at the ends of its lines.

    On its last line, blanks are cut only if the document's line ends there too; otherwise they separate two words.
    """
    trimmed = re.sub(r"[ \t]+(?=\n)", "", fill)
    return trimmed.rstrip(" \t") if after.startswith("\n") else trimmed
