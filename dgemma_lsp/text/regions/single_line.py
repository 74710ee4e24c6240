"""Whether a region may be filled with one line only, or with a whole block."""

from __future__ import annotations

import re
from functools import cache

from dgemma_lsp.text.languages import default_marker
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.current_line import is_blank, line_around
from dgemma_lsp.text.source_code import SourceCode


def stays_in_line(code: SourceCode, region: Region) -> bool:
    """Return whether the fill of a region must stay within its line.

    A region inside a line of code gets one line. A region alone on its line may get a block in two cases: the code
    before it ends in a colon or a brace (which must not be part of a string or a comment), or it holds a placeholder.
    """
    inside = region.of(code.text)
    if "\n" in inside or "\r" in inside:
        return False
    before, after = line_around(code.text, region.start)[0], line_around(code.text, region.end)[1]
    if not is_blank(before) or not is_blank(after.removeprefix(";")):
        return True
    if inside:
        return inside not in code.markers and not _placeholder().search(inside)
    return not _opens_block(code, len(code.text[: region.start].rstrip()) - 1)


def _opens_block(code: SourceCode, last: int) -> bool:
    """Return whether a character of code makes a block possible; -1 means there is none."""
    if code.text[last : last + 1] not in (":", "{"):
        return False
    excerpt = code.near(last)
    return excerpt is None or not excerpt.is_prose(last)


@cache
def _placeholder() -> re.Pattern[str]:
    """Return a placeholder in any language, with nothing else."""
    return re.compile(
        rf"^(\.\.\.|pass|{re.escape(default_marker())})$|not (yet )?implemented|NotImplemented|UnsupportedOperation"
        r"|todo!|unimplemented!|TODO|FIXME",
        re.IGNORECASE,
    )
