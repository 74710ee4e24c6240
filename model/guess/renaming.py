"""What the document would say here under other names: lines like this one, with this one's names in them.

Code repeats itself with other names: ``self.width = width`` is followed by ``self.height = height``. A line of the
document that begins like the line in question but for its names, the better the more lines above are alike too, tells
which name stands for which; so its rest can be said with the names of here, and copied (`copying`) like anything else
in the document. Pure functions on text, of any language whose names are words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from keyword import kwlist
from typing import NamedTuple

_REACH = 1_500  # lines that are looked at on each side
_ABOVE = 3  # lines above that are compared
_BELOW = 4  # lines below that are said, too
_KNOWN = frozenset({*kwlist, "self", "cls"})  # mean the same everywhere
_WORD = re.compile(r"[^\W\d]\w*|\d+|\s+|[^\w\s]")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^A-Za-z]+|[A-Z]")
_ANY, _STOP = "\0", "\1"  # in a line's shape: some name; the end of a word

Names = dict[str, str]
"""What each name of another place is called here."""


class _Likeness(NamedTuple):
    """How many words before two places are alike but for names, and how many whole lines above them."""

    words: int
    lines: int


@dataclass(frozen=True, slots=True)
class _Line:
    """A line's words, and the line with all names alike."""

    words: tuple[str, ...]
    shape: str


def renamings(before: str, after: str, count: int) -> list[str]:
    """How the lines between ``before`` and ``after`` might read, by what similar lines say under other names.

    Args:
        before: the text up to a place; the line's beginning is known.
        after: the text behind it.
        count: of texts at most.

    Returns:
        Those lines above that are alike, the known beginning, a new rest and some new lines; the most alike comes last.
    """
    start = before.rfind("\n") + 1
    typed, above = before[start:], _last_lines(before[:start], _ABOVE)
    found: dict[str, _Likeness] = {}
    for rest, likeness in _rests(typed, above, before[:start], after):
        found[rest] = max(likeness, found.get(rest, likeness))
    best = sorted(found, key=lambda rest: found[rest], reverse=True)[:count]
    return ["\n".join((*above[: found[rest].lines][::-1], typed + rest, "")) for rest in reversed(best)]


def _rests(typed: str, above: Sequence[str], before: str, after: str) -> Iterator[tuple[str, _Likeness]]:
    """Rests of the line, with some lines below, and how alike their places are; the nearest first."""
    known = _line(typed).words
    partial = known[-1] if known and _is_name(known[-1]) else ""
    known = known[: len(known) - bool(partial)]
    shape = _shape(known)
    upper, lower = before.split("\n")[:-1][-_REACH:], after.split("\n")[1:][:_REACH]
    lines, here = [*upper, "", *lower], len(upper)
    for index in sorted(range(len(lines)), key=lambda index: abs(index - here))[1:]:
        there = _line(lines[index])
        if len(there.words) <= len(known) or not there.shape.startswith(shape):
            continue
        names = Names()
        if not _learn(names, known, there.words[: len(known)]):
            continue
        likeness = _likeness(names, above, lines[max(0, index - _ABOVE) : index][::-1])
        renaming = _Renaming.by(names)
        rest = renaming.said(there.words[len(known) :]).rstrip()
        if renaming.whole and rest.startswith(partial) and len(rest) > len(partial):
            last = min(index + _BELOW, here - 1) if index < here else index + _BELOW
            below = (renaming.said(_line(text).words) for text in lines[index + 1 : last + 1])
            words = len(known) + likeness.words
            yield "\n".join((rest[len(partial) :], *below)), likeness._replace(words=words)


def _likeness(names: Names, here: Sequence[str], there: Sequence[str]) -> _Likeness:
    """Learn from the lines above, the nearest first, as long as they are alike."""
    words = lines = 0
    for ours, theirs in zip(map(_line, here), map(_line, there), strict=False):
        if ours.shape != theirs.shape or not _learn(names, ours.words, theirs.words):
            break
        words, lines = words + len(ours.words), lines + 1
    return _Likeness(words, lines)


def _learn(names: Names, here: Sequence[str], there: Sequence[str]) -> bool:
    """Note which names stand for which in two runs of words of one shape; nothing where one stands for two."""
    new = Names()
    for ours, theirs in zip(here, there, strict=True):
        if names.get(theirs, ours) != ours or new.setdefault(theirs, ours) != ours:
            return False
    names |= new
    return True


@dataclass(frozen=True, slots=True)
class _Renaming:
    """Says words with other names.

    Attributes:
        whole: names.
        parts: parts of names, in lower case.
    """

    whole: Mapping[str, str]
    parts: Mapping[str, str]

    @classmethod
    def by(cls, names: Names) -> _Renaming:
        whole = {theirs: ours for theirs, ours in names.items() if theirs != ours}
        parts = Names()
        for theirs, ours in whole.items():
            first, second = _parts(theirs), _parts(ours)
            pairs = zip(first, second, strict=True) if len(first) == len(second) else [(theirs, ours)]
            parts |= {a.lower(): b.lower() for a, b in pairs if a != b and len(a) > 1}
        return cls(whole, parts)

    def said(self, words: Iterable[str]) -> str:
        """The words under their names of here."""
        return "".join(map(self._word, words))

    def _word(self, word: str) -> str:
        if word in self.whole or not _is_name(word):
            return self.whole.get(word, word)
        return "".join(_in_case(part, self.parts.get(part.lower(), "")) for part in _parts(word))


def _in_case(part: str, new: str) -> str:
    """A new part of a name in the case of the old one; the old one where there is none."""
    if not new:
        return part
    if part.isupper() and len(part) > 1:
        return new.upper()
    return "".join(map(str.capitalize, new.split("_"))) if part[0].isupper() else new


def _parts(name: str) -> list[str]:
    return _PART.findall(name)


@lru_cache(maxsize=1 << 15)  # from key to key all lines but one stay
def _line(text: str) -> _Line:
    words = tuple(_WORD.findall(text))
    return _Line(words, _shape(words))


def _shape(words: Sequence[str]) -> str:
    return "".join((_ANY if _is_name(word) else word) + _STOP for word in words)


def _is_name(word: str) -> bool:
    return (word[0].isalpha() or word[0] == "_") and word not in _KNOWN


def _last_lines(text: str, count: int) -> list[str]:
    """The last lines of a text that ends with a line's end, the last one first."""
    return text.split("\n")[-count - 1 : -1][::-1]
