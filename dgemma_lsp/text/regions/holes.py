"""The placeholders of a text: markers, and what stands for a missing body in its language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from dgemma_lsp.text.masked import Region, outermost
from dgemma_lsp.text.regions.fences import fences
from dgemma_lsp.text.source_code import SourceCode
from dgemma_lsp.text.syntax import Excerpt, Markers

MOST_HOLES = 16
"""How many holes are filled together; more would not fit into a canvas."""


def holes(code: SourceCode, within: Region | None = None) -> list[Region]:
    """Return the first `MOST_HOLES` placeholders, in document order and without overlap.

    Args:
        code: in an unknown language, only markers are placeholders.
        within: where to look; None means everywhere.
    """
    return list(islice(_holes(code, within), MOST_HOLES))


def has_holes(code: SourceCode) -> bool:
    """Return whether there is any placeholder, without looking for more."""
    return next(_holes(code), None) is not None


def _holes(code: SourceCode, within: Region | None = None) -> Iterator[Region]:
    within = within or Region(0, len(code.text))
    words = (*code.markers, *(code.language.hole_words if code.language else ()))
    if not words:
        return
    hints = _any_of(words)
    at = within.start
    # A long text is parsed from hint to hint, and no further than the caller wants to know.
    while hint := hints.search(code.text, at, within.end):
        searched, candidates = _holes_near(code, hint.start())
        ahead = Region(at, within.end)
        last = at
        for hole in outermost(candidate for candidate in candidates if ahead.contains(candidate)):
            yield hole
            last = hole.end
        at = max(searched, hint.end(), last)


def _holes_near(code: SourceCode, offset: int) -> tuple[int, list[Region]]:
    """Return how far the text around an offset was searched, and the placeholders there, in no order."""
    excerpt = code.near(offset)
    if excerpt is None:
        whole = Region(0, len(code.text))
        return whole.end, _markers(code.text, whole, code.markers)
    return excerpt.body.end, [
        *_markers(code.text, excerpt.body, code.markers),
        *_placeholders(excerpt),
        *_holes_in_fences(code, excerpt),
    ]


def _markers(text: str, within: Region, markers: Markers) -> list[Region]:
    if not markers:
        return []
    return [Region(*match.span()) for match in _any_of(markers).finditer(text, within.start, within.end)]


def _placeholders(excerpt: Excerpt) -> list[Region]:
    """Return what stands for a missing body in the excerpt's language, except where that is intended."""
    kept = [node.region for name, node in excerpt.captures(excerpt.language.kept) if name == "kept"]
    marked = [node.region for name, node in excerpt.captures(excerpt.language.holes) if name == "hole"]
    return [hole for hole in marked if not any(region.contains(hole) for region in kept)]


def _holes_in_fences(code: SourceCode, excerpt: Excerpt) -> Iterator[Region]:
    for region, language in fences(excerpt):
        yield from (hole.shifted(region.start) for hole in holes(code.embedded(region, language)))


def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, words)))
