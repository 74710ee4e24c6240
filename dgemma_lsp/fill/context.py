"""What else the model should see: pieces of other open documents that are like the place where it fills.

Of what was tried only this helps (see bench/results/context.md): where names are defined, and what was edited last,
tells a model that copies little that pieces with the same names do not tell it. Documents edited last come first.

Pure functions on text. Whoever calls them leaves out documents that are excluded: this module does not know of any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

BUDGET = 12_000
"""Characters of other documents that go with a request: about 3,000 tokens."""

NEAR = 1_200
"""Characters before the cursor that tell what is being written, and half as many behind."""

_CHUNK = 1_200
_LONGEST_DOCUMENT = 200_000
_NAME = re.compile(r"[^\W\d]\w{2,}")
_BLANK_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Place:
    """What stands around a cursor: names say best what a piece of code is about."""

    names: frozenset[str]

    @classmethod
    def at(cls, text: str, cursor: int) -> Place:
        return cls(_names(text[max(0, cursor - NEAR) : cursor + NEAR // 2]))


def gathered(text: str, cursor: int, others: Sequence[str]) -> tuple[str, ...]:
    """What may be of use at a cursor, of the texts of other documents; those that matter most first."""
    return within(BUDGET, similar(Place.at(text, cursor), others))


def similar(place: Place, texts: Iterable[str]) -> Iterator[str]:
    """Pieces of some texts that share names with a place, the most alike first."""
    rated = []
    for text in texts:
        for chunk, names in chunks(text):
            shared = len(place.names & names)
            if shared:
                rated.append((shared / len(place.names | names), chunk))
    rated.sort(key=_first, reverse=True)
    return (chunk for _, chunk in rated)


def within(budget: int, pieces: Iterable[str]) -> tuple[str, ...]:
    """The first pieces that fit, each once."""
    found: dict[str, None] = {}
    for piece in pieces:
        if len(piece) <= budget and piece not in found:
            found[piece] = None
            budget -= len(piece)
    return tuple(found)


@lru_cache(maxsize=64)
def chunks(text: str) -> Sequence[tuple[str, frozenset[str]]]:
    """A text cut at empty lines into pieces of about the same length, each with its names."""
    pieces, start, end = [], 0, 0
    for blank in [*_BLANK_LINES.finditer(text[:_LONGEST_DOCUMENT]), None]:
        stop = blank.end() if blank else len(text[:_LONGEST_DOCUMENT])
        if stop - start > _CHUNK and end > start:
            pieces.append(text[start:end])
            start = end
        end = stop
    pieces.append(text[start:end])
    return tuple((piece, _names(piece)) for piece in pieces if piece.strip())


def _names(text: str) -> frozenset[str]:
    return frozenset(_NAME.findall(text))


def _first(pair: tuple[float, str]) -> float:
    return pair[0]
