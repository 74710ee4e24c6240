"""What in a text surprises the model: a word or a sign that another one would fit far better.

Each line is taken as a region of its own, with the text on both sides known, and read by the encoder and the copying
model (`writing`). Where a lexeme is much less likely than another one, the whole line is judged once more with that
other one in its place, so that what follows in the line has its say. Surprise alone is no reproach: names that are new
surprise always. So a few facts about the place are weighed together, by weights fitted to mistakes that were made on
purpose (`train.proofreading`).

Python's keywords are known here, and how its names are bound.
"""

from __future__ import annotations

import heapq
import itertools
import keyword
import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy

from dgemma_model.errors import Cancelled
from dgemma_model.fill.infiller import Infiller
from dgemma_model.guess.encoder import Opening, Probabilities
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.tokenizer import Tokenizer

LEXEME = re.compile(r"[^\W\d]\w*|==|!=|<=|>=|//|\*\*|->|[-+*/%@&|^]=|[-+*/%<>=]")
"""A word or an operator: what a hint may be about."""

# Fitted by `train.proofreading` to the bundled checkpoint.
WEIGHTS: Mapping[str, float] = {
    "always": -4.054,
    "surprise": 0.328,
    "from behind": 0.408,
    "sure": 0.596,
    "elsewhere": -0.462,
    "new": -0.442,
    "other elsewhere": 0.17,
    "other new": 0.238,
    "keyword": 4.4,
    "keyword gain": 0.126,
    "sign": 4.748,
    "sign gain": -0.256,
    "length": -0.969,
    "alike": -1.247,
    "bound": -1.059,
    "called": -0.725,
    "attribute": -0.499,
    "capitals": -1.118,
    "case": 1.068,
}

_SUSPECTS = 4  # lexemes of a line whose replacement is tried
_REPLACEMENTS = 4  # for each of them
_LONGEST = 120  # tokens of a line; longer ones are hardly written by hand
_NAME_TOKENS = 6  # of a name that is copied
_LEAST_SURPRISE = 2.0  # nats
_MOST_NATS = 15.0  # that count
_TABLE = 12  # likeliest tokens that are looked at
_IMPOSSIBLE = 1e-30

_BINDS = re.compile(r"(async )?def |class |import |from |@")
_BOUND_BEFORE = re.compile(r"(^|\b)(as|lambda|for|global|nonlocal)\s+(\w+\s*,\s*)*$")
_BOUND_BEHIND = re.compile(r"(\s*,\s*\w+)*\s*(:[^:=]+)?=(?!=)")


@dataclass(frozen=True, slots=True)
class Hint:
    """Something that may be wrong.

    Attributes:
        start: a character offset in the text.
        end: behind the last character.
        replacement: what would be likelier there.
        confidence: 0..1, that it is wrong and the replacement right.
    """

    start: int
    end: int
    replacement: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Page:
    """A text to be read.

    Attributes:
        text: with LF line endings.
        quiet: character ranges in which nothing is looked for, such as strings and comments; in order.
    """

    text: str
    quiet: Sequence[tuple[int, int]] = ()

    def is_quiet(self, start: int, end: int) -> bool:
        at = bisect_right(self.quiet, (start, len(self.text))) - 1
        return at >= 0 and end <= self.quiet[at][1]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A lexeme of a line that is less likely than others.

    Attributes:
        start: a character offset in the line.
        end: behind its last character.
        others: what may stand in its place.
        surprise: by how many nats the likeliest of them begins likelier than the lexeme.
        sure: how likely the likeliest token is in its place.
    """

    start: int
    end: int
    others: tuple[str, ...]
    surprise: float
    sure: float


Facts = dict[str, float]
"""What is weighed, by name."""


def proofread(
    infiller: Infiller, page: Page, spans: Sequence[tuple[int, int]], cancelled: Callable[[], bool]
) -> Iterator[list[Hint]]:
    """The hints for each span, the surest first, one for a lexeme.

    Args:
        infiller: a loaded checkpoint.
        page: the text.
        spans: character offsets of what is read, each within a line, without the blanks at its ends.
        cancelled: asked before each span.

    Raises:
        Cancelled: ``cancelled`` answered True.
    """
    words = Counter(LEXEME.findall(page.text))
    for start, end in spans:
        if cancelled():
            raise Cancelled
        best: dict[int, Hint] = {}
        for begin, stop, other, facts in weighed(infiller, page, words, start, end):
            hint = Hint(begin, stop, other, confidence(facts))
            if begin not in best or hint.confidence > best[begin].confidence:
                best[begin] = hint
        yield sorted(best.values(), key=lambda hint: -hint.confidence)


def confidence(facts: Facts) -> float:
    """That something is wrong."""
    return 1 / (1 + math.exp(-sum(WEIGHTS.get(name, 0.0) * value for name, value in facts.items())))


def weighed(
    infiller: Infiller, page: Page, words: Mapping[str, int], start: int, end: int
) -> Iterator[tuple[int, int, str, Facts]]:
    """What may be replaced in a line: from where to where, by what, and the facts for and against it."""
    line = page.text[start:end]
    tokens = infiller.tokenizer.encode(line)
    if not tokens or len(tokens) > _LONGEST:
        return
    masked = MaskedText((page.text[:start], page.text[end:]), ("",), ("",))
    prompt, opening, *_ = infiller.open(masked, single_line=True)
    expected = infiller.writer.expect(prompt, opening, tokens)
    found = (
        one
        for one in _suspects(infiller.tokenizer, line, tokens, expected)
        if not page.is_quiet(start + one.start, start + one.end)
    )
    tried = [(one, other) for one in heapq.nlargest(_SUSPECTS, found, _surprise) for other in one.others]
    if not tried:
        return
    lines = [line, *(line[: one.start] + other + line[one.end :] for one, other in tried)]
    own, *likely = infiller.writer.judge(prompt, opening, [infiller.tokenizer.encode(one) for one in lines])
    for (one, other), value in zip(tried, likely, strict=True):
        if value > own:
            yield start + one.start, start + one.end, other, _facts(line, one, other, value - own, words)


def _surprise(suspect: Suspect) -> float:
    return suspect.surprise


def _facts(line: str, suspect: Suspect, other: str, gain: float, words: Mapping[str, int]) -> Facts:
    word, before, behind = line[suspect.start : suspect.end], line[: suspect.start], line[suspect.end :]
    elsewhere, kind = max(0, words.get(word, 0) - 1), _kind(word)
    most = min(gain, _MOST_NATS)
    return {
        "always": 1.0,
        "surprise": min(suspect.surprise, _MOST_NATS),
        "from behind": max(-_MOST_NATS, min(gain - suspect.surprise, _MOST_NATS)),
        "sure": math.log(max(suspect.sure, _IMPOSSIBLE)),
        "elsewhere": math.log1p(elsewhere),
        "new": float(elsewhere == 0),
        "other elsewhere": math.log1p(words.get(other, 0)),
        "other new": float(other not in words),
        "keyword": float(kind == "keyword"),
        "keyword gain": most * (kind == "keyword"),
        "sign": float(kind == "sign"),
        "sign gain": most * (kind == "sign"),
        "length": len(word) / 10,
        "alike": SequenceMatcher(None, word, other).ratio(),
        "bound": float(_is_bound(line, before, behind)),
        "called": float(behind.startswith("(")),
        "attribute": float(before.endswith(".")),
        "capitals": float(word.isupper()),
        "case": float(word[0].isupper() != other[0].isupper()),
    }


def _is_bound(line: str, before: str, behind: str) -> bool:
    """Whether a word stands where names are new: nobody but the author knows them."""
    if _BINDS.match(line) or _BOUND_BEFORE.search(before):
        return True
    at_start = not before.strip() or re.fullmatch(r"(\w+\s*,\s*)+", before) is not None
    return at_start and _BOUND_BEHIND.match(behind) is not None


def _suspects(
    tokenizer: Tokenizer,
    line: str,
    tokens: Sequence[int],
    expected: Sequence[tuple[Probabilities, Opening]],
) -> Iterator[Suspect]:
    starts = [0, *itertools.accumulate(len(tokenizer.decode_lossy([token])) for token in tokens)]
    if starts[-1] != len(line):  # characters that are several tokens
        return
    for lexeme in LEXEME.finditer(line):
        first = bisect_right(starts, lexeme.start()) - 1
        behind = bisect_left(starts, lexeme.end())
        lead = line[starts[first] : lexeme.start()]
        if lead.strip() or starts[behind] != lexeme.end():
            continue  # a token reaches beyond the lexeme
        table, known = expected[first]
        likely = sum(_log(expected[at][0][tokens[at]]) for at in range(first, behind))
        if others := _others(tokenizer, lexeme[0], lead, table, known, likely + _LEAST_SURPRISE):
            surprise = max(_log(table[token]) for token in others.values()) - likely
            yield Suspect(lexeme.start(), lexeme.end(), tuple(others), surprise, float(table.max()))


def _others(
    tokenizer: Tokenizer, lexeme: str, lead: str, table: Probabilities, known: Opening, least: float
) -> dict[str, int]:
    """What is likelier than a lexeme in its place and of its kind, with the token that it begins with."""
    found: dict[str, int] = {}
    for token in numpy.argsort(-table)[:_TABLE].tolist():
        text = tokenizer.decode_lossy([token])
        if _log(table[token]) < least or len(found) >= _REPLACEMENTS:
            break
        if not text.startswith(lead):
            continue
        for word in (text[len(lead) :], text[len(lead) :] + _rest(tokenizer, known, token)):
            if word != lexeme and LEXEME.fullmatch(word) and _kind(word) == _kind(lexeme):
                found.setdefault(word, token)
    return found


def _rest(tokenizer: Tokenizer, known: Opening, token: int) -> str:
    """How a name goes on that begins with a token and stands elsewhere."""
    rest, copier = "", known.copier.then(token)
    for _ in range(_NAME_TOKENS):
        copy = copier.next()
        following = int(copy.tokens[copy.weights.argmax()]) if len(copy.tokens) else None
        text = "" if following is None else tokenizer.decode_lossy([following])
        if following is None or not re.fullmatch(r"\w+", text):
            break
        rest, copier = rest + text, copier.then(following)
    return rest


def _kind(lexeme: str) -> str:
    if keyword.iskeyword(lexeme):
        return "keyword"
    return "word" if lexeme[0].isalpha() or lexeme[0] == "_" else "sign"


def _log(chance: float) -> float:
    return math.log(max(float(chance), _IMPOSSIBLE))
