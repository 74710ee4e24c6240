"""Guess what comes next by renaming: say similar lines of the document with the names used here.

Code repeats itself with other names: ``self.width = width`` is followed by ``self.height = height``. A line that
begins like the line in question, but for its names, tells which name stands for which; the more lines above are similar
too, the better. So the rest of that line can be said with the names used here, and copied (`token_copies`) like
anything else in the document. It works on text of any language whose names are words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from keyword import kwlist
from typing import NamedTuple

_REMEMBERED = 1 << 15  # lines; from key to key all but one of them stay
_REACH = 1_500  # lines on each side that are searched
_ABOVE = 3  # lines above that are compared
_BELOW = 4  # lines below that are renamed too
_KNOWN = frozenset({*kwlist, "self", "cls"})  # mean the same everywhere
_WORD = re.compile(r"[^\W\d]\w*|\d+|\s+|[^\w\s]")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^A-Za-z]+|[A-Z]")
_ANY, _STOP = "\0", "\1"  # in a line's shape: any name; the end of a word

Names = dict[str, str]
"""What each name of another place is called here."""


class _Similarity(NamedTuple):
    """How many words before two places are the same but for names, and how many whole lines above them."""

    words: int
    lines: int


@dataclass(frozen=True, slots=True)
class _Line:
    """The words of a line, and its shape: the words with all names alike."""

    words: tuple[str, ...]
    shape: str


class Renamer:
    """Renames similar lines of a document. It remembers the words of the lines it has seen."""

    def __init__(self) -> None:
        self._line = lru_cache(_REMEMBERED)(_read_line)

    def renamings(self, before: str, after: str, count: int) -> list[str]:
        """Say how the lines between ``before`` and ``after`` might read, if similar lines had the names used here.

        Args:
            before: the text up to a place, with the known beginning of its line.
            after: the text behind it.
            count: the most texts to return.

        Returns:
            Texts of the lines above that are similar, the known beginning, a new rest and some new lines. The most
            similar text comes last.
        """
        start = before.rfind("\n") + 1
        typed, above = before[start:], _last_lines(before[:start], _ABOVE)
        rests: dict[str, _Similarity] = {}
        for rest, similarity in self._rests(typed, above, before[:start], after):
            rests[rest] = max(similarity, rests.get(rest, similarity))
        best = sorted(rests, key=lambda rest: rests[rest], reverse=True)[:count]
        return ["\n".join((*above[: rests[rest].lines][::-1], typed + rest, "")) for rest in reversed(best)]

    def _rests(
        self, typed: str, above: Sequence[str], before: str, after: str
    ) -> Iterator[tuple[str, _Similarity]]:
        """Yield renamed rests of the line with some lines below, and how similar their places are, nearest first."""
        known = self._line(typed).words
        partial = known[-1] if known and _is_name(known[-1]) else ""
        known = known[: len(known) - bool(partial)]
        shape = _shape(known)
        upper, lower = before.split("\n")[:-1][-_REACH:], after.split("\n")[1:][:_REACH]
        lines, here = [*upper, "", *lower], len(upper)
        for index in sorted(range(len(lines)), key=lambda index: abs(index - here))[1:]:
            there = self._line(lines[index])
            if len(there.words) <= len(known) or not there.shape.startswith(shape):
                continue
            names = Names()
            if not _learn(names, known, there.words[: len(known)]):
                continue
            similarity = self._similarity(names, above, lines[max(0, index - _ABOVE) : index][::-1])
            renaming = _Renaming.by(names)
            rest = renaming.apply(there.words[len(known) :]).rstrip()
            if renaming.whole and rest.startswith(partial) and len(rest) > len(partial):
                last = min(index + _BELOW, here - 1) if index < here else index + _BELOW
                below = (renaming.apply(self._line(text).words) for text in lines[index + 1 : last + 1])
                words = len(known) + similarity.words
                yield "\n".join((rest[len(partial) :], *below)), similarity._replace(words=words)

    def _similarity(self, names: Names, here: Sequence[str], there: Sequence[str]) -> _Similarity:
        """Compare the lines above, nearest first, while they have the same shape, and learn names from them."""
        words = lines = 0
        for ours, theirs in zip(map(self._line, here), map(self._line, there), strict=False):
            if ours.shape != theirs.shape or not _learn(names, ours.words, theirs.words):
                break
            words, lines = words + len(ours.words), lines + 1
        return _Similarity(words, lines)


def _learn(names: Names, here: Sequence[str], there: Sequence[str]) -> bool:
    """Note which names stand for which in two runs of words of one shape; nothing if one stands for two."""
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
        whole: the new name of each name.
        parts: the new part of each part of a name, in lower case.
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

    def apply(self, words: Iterable[str]) -> str:
        """Join the words, renamed."""
        return "".join(map(self._word, words))

    def _word(self, word: str) -> str:
        if word in self.whole or not _is_name(word):
            return self.whole.get(word, word)
        return "".join(_in_case(part, self.parts.get(part.lower(), "")) for part in _parts(word))


def _in_case(part: str, new: str) -> str:
    """Write the new part of a name in the case of the old one; keep the old one if there is no new one."""
    if not new:
        return part
    if part.isupper() and len(part) > 1:
        return new.upper()
    return "".join(map(str.capitalize, new.split("_"))) if part[0].isupper() else new


def _parts(name: str) -> list[str]:
    return _PART.findall(name)


def _read_line(text: str) -> _Line:
    words = tuple(_WORD.findall(text))
    return _Line(words, _shape(words))


def _shape(words: Sequence[str]) -> str:
    return "".join((_ANY if _is_name(word) else word) + _STOP for word in words)


def _is_name(word: str) -> bool:
    return (word[0].isalpha() or word[0] == "_") and word not in _KNOWN


def _last_lines(text: str, count: int) -> list[str]:
    """Take the last lines of a text that ends with a line break, the last line first."""
    return text.split("\n")[-count - 1 : -1][::-1]
