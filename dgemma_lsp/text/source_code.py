"""A text in a language, parsed as far as somebody asks about it.

A long text is not parsed whole. Excerpts are parsed around the place in question, under the headers of the classes and
functions around it. They grow as long as the caller wants more.
"""

from __future__ import annotations

from collections.abc import Iterator

from dgemma_lsp.text import languages
from dgemma_lsp.text.languages import Language
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.surroundings import REACH, surroundings
from dgemma_lsp.text.syntax import Excerpt, Markers

_MOST_EXCERPTS = 8


class SourceCode:
    """A text in a language. It keeps its last excerpts, because questions about one place come in groups.

    Args:
        text: the whole document.
        language: what editors call the language. If it is unknown, there are no excerpts.
        markers: what the user writes where something is to be filled in; None means the default marker.
    """

    def __init__(self, text: str, language: str | None, markers: Markers | None = None) -> None:
        self.text = text
        self.language: Language | None = languages.find(language)
        self.markers = (languages.default_marker(),) if markers is None else markers
        self._excerpts: dict[tuple[Region, ...], Excerpt] = {}

    def excerpts(self, focus: Region) -> Iterator[Excerpt]:
        """Return excerpts around a place, each larger than the one before. The last one is the whole text."""
        if self.language is None:
            return
        reach = REACH
        while True:
            excerpt = self._excerpt(surroundings(self.text, focus, self.language.code_starts, reach))
            yield excerpt
            if excerpt.whole:
                return
            reach *= 4

    def near(self, offset: int) -> Excerpt | None:
        """Return the smallest excerpt around a place; None in an unknown language."""
        return next(self.excerpts(Region(offset, offset)), None)

    def embedded(self, region: Region, language: str | None) -> SourceCode:
        """Return a part of the text, in a language of its own."""
        return SourceCode(region.of(self.text), language, self.markers)

    def _excerpt(self, parts: tuple[Region, ...]) -> Excerpt:
        if parts not in self._excerpts:
            assert self.language is not None, "text in an unknown language is not parsed"
            while len(self._excerpts) >= _MOST_EXCERPTS:
                del self._excerpts[next(iter(self._excerpts))]
            self._excerpts[parts] = Excerpt(self.text, parts, self.language, self.markers)
        return self._excerpts[parts]
