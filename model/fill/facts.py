"""The facts that tell a mistake from what is merely unusual, and how they are weighed.

Surprise alone means little: new names always surprise. So a few facts about the place are weighed together, by weights
that were fitted to mistakes made on purpose (`train.fit.proofread`). Pure functions on text and numbers.

Python's keywords are known here, and how its names are bound.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum, StrEnum
from typing import Any

LEXEME = re.compile(r"[^\W\d]\w*|==|!=|<=|>=|//|\*\*|->|[-+*/%@&|^]=|[-+*/%<>=]")
"""A word or an operator: what a hint may be about."""

IMPOSSIBLE = 1e-30
"""Stands for a probability of 0 where its logarithm is taken."""

_MOST_NATS = 15.0  # of a surprise or a gain; more of them say no more

_BINDS = re.compile(r"(async )?def |class |import |from |@")
_BOUND_BEFORE = re.compile(r"(^|\b)(as|lambda|for|global|nonlocal)\s+(\w+\s*,\s*)*$")
_BOUND_BEHIND = re.compile(r"(\s*,\s*\w+)*\s*(:[^:=]+)?=(?!=)")
_NAMES_BEFORE = re.compile(r"(\w+\s*,\s*)+")


class Fact(StrEnum):
    """What is weighed; the values are the names in a checkpoint's file."""

    ALWAYS = "always"
    SURPRISE = "surprise"
    FROM_BEHIND = "from behind"
    SURE = "sure"
    ELSEWHERE = "elsewhere"
    NEW = "new"
    OTHER_ELSEWHERE = "other elsewhere"
    OTHER_NEW = "other new"
    KEYWORD = "keyword"
    KEYWORD_GAIN = "keyword gain"
    SIGN = "sign"
    SIGN_GAIN = "sign gain"
    LENGTH = "length"
    ALIKE = "alike"
    BOUND = "bound"
    CALLED = "called"
    ATTRIBUTE = "attribute"
    CAPITALS = "capitals"
    CASE = "case"


Facts = Mapping[Fact, float]
"""The value of each fact."""

Weights = Mapping[Fact, float]
"""How much each fact says; those left out say nothing."""


class Kind(Enum):
    """Kinds of lexemes; one is only ever mistaken for another of its kind."""

    KEYWORD = "keyword"
    WORD = "word"
    SIGN = "sign"

    @classmethod
    def of(cls, lexeme: str) -> Kind:
        """Tell the kind of a lexeme."""
        if keyword.iskeyword(lexeme):
            return cls.KEYWORD
        return cls.WORD if lexeme[0].isalpha() or lexeme[0] == "_" else cls.SIGN


@dataclass(frozen=True, slots=True)
class Suspect:
    """A lexeme of a line that is less likely than others.

    Attributes:
        start: a character offset in the line.
        end: the offset behind its last character.
        others: what may stand in its place.
        surprise: by how many nats the likeliest of them begins likelier than the lexeme.
        sure: how likely the likeliest token is in its place.
    """

    start: int
    end: int
    others: tuple[str, ...]
    surprise: float
    sure: float


def weigh(facts: Facts, weights: Weights) -> float:
    """Compute the confidence, 0..1, that something is wrong (a logistic regression)."""
    return 1 / (1 + math.exp(-log_odds(facts, weights)))


def log_odds(facts: Facts, weights: Weights) -> float:
    """Compute the logarithm of the odds that something is wrong."""
    return sum(weights.get(fact, 0.0) * value for fact, value in facts.items())


def weights_from_json(values: Mapping[str, Any]) -> Weights:
    """Read weights by the names of their facts; raises ValueError or TypeError if they are none."""
    return {Fact(name): float(value) for name, value in values.items()}


def gather(line: str, suspect: Suspect, other: str, gain: float, words: Mapping[str, int]) -> Facts:
    """Collect the facts for and against a replacement.

    Args:
        line: the line as it stands.
        suspect: the lexeme to be replaced.
        other: the replacement.
        gain: by how many nats the line becomes likelier.
        words: how often each lexeme stands in the text.
    """
    word, before, behind = line[suspect.start : suspect.end], line[: suspect.start], line[suspect.end :]
    elsewhere, kind = max(0, words.get(word, 0) - 1), Kind.of(word)
    most = min(gain, _MOST_NATS)
    return {
        Fact.ALWAYS: 1.0,
        Fact.SURPRISE: min(suspect.surprise, _MOST_NATS),
        Fact.FROM_BEHIND: max(-_MOST_NATS, min(gain - suspect.surprise, _MOST_NATS)),
        Fact.SURE: math.log(max(suspect.sure, IMPOSSIBLE)),
        Fact.ELSEWHERE: math.log1p(elsewhere),
        Fact.NEW: float(elsewhere == 0),
        Fact.OTHER_ELSEWHERE: math.log1p(words.get(other, 0)),
        Fact.OTHER_NEW: float(other not in words),
        Fact.KEYWORD: float(kind is Kind.KEYWORD),
        Fact.KEYWORD_GAIN: most * (kind is Kind.KEYWORD),
        Fact.SIGN: float(kind is Kind.SIGN),
        Fact.SIGN_GAIN: most * (kind is Kind.SIGN),
        Fact.LENGTH: len(word) / 10,
        Fact.ALIKE: SequenceMatcher(None, word, other).ratio(),
        Fact.BOUND: float(_is_bound(line, before, behind)),
        Fact.CALLED: float(behind.startswith("(")),
        Fact.ATTRIBUTE: float(before.endswith(".")),
        Fact.CAPITALS: float(word.isupper()),
        Fact.CASE: float(word[0].isupper() != other[0].isupper()),
    }


def _is_bound(line: str, before: str, behind: str) -> bool:
    """Tell whether a word stands where names are new: only the author can know them."""
    if _BINDS.match(line) or _BOUND_BEFORE.search(before):
        return True
    at_start = not before.strip() or _NAMES_BEFORE.fullmatch(before) is not None
    return at_start and _BOUND_BEHIND.match(behind) is not None
