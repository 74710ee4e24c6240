"""Text in another language, such as a fenced code block in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.source_code import SourceCode
from dgemma_lsp.text.syntax import Excerpt


def fences(excerpt: Excerpt) -> Iterator[tuple[Region, str]]:
    """Return the texts in other languages, and the name that each language has there."""
    language = excerpt.language
    for kind in language.fences:
        for _, fence in excerpt.captures(f"({kind}) @fence"):
            inside = {node.kind: node for child in fence.named for node in (child, *child.named)}
            name, content = inside.get(language.fence_language), inside.get(language.fence_text)
            if name and content:
                yield content.region, name.region.of(excerpt.text)


def innermost_code(code: SourceCode, cursor: int) -> tuple[SourceCode, int]:
    """Return the code that a cursor is in, and where it begins: a fence's content, or all of it outside the fences."""
    if code.language is None or not code.language.fences:
        return code, 0
    excerpt = code.near(cursor)
    for region, language in fences(excerpt) if excerpt else ():
        if region.start <= cursor <= region.end:
            return code.embedded(region, language), region.start
    return SourceCode(code.text, None, code.markers), 0
