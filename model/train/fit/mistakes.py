"""Makes mistakes on purpose, to learn how the proofreader's doubts about them differ from those about correct code.

In a window of a file's lines a name is replaced by another name of the file, and an operator or a keyword by one that
is easily mistaken for it; one at a time. What the proofreader doubts with the mistake, and without any, is noted.
"""

from __future__ import annotations

import io
import random
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dgemma_model.fill.facts import LEXEME, Kind
from dgemma_model.fill.infiller import Infiller
from dgemma_model.fill.proofread import Doubt, Page

WINDOW = 60
"""The lines of a window."""

MISTAKES: Mapping[str, str] = MappingProxyType(
    {
        "==": "!=", "!=": "==", "<": ">", ">": "<", "<=": "<", ">=": ">", "+": "-", "-": "+", "*": "/", "/": "*",
        "+=": "-=", "-=": "+=", "and": "or", "or": "and", "True": "False", "False": "True", "is": "in", "in": "is",
        "break": "continue", "continue": "break", "if": "while", "while": "if", "None": "True", "return": "yield",
    }
)  # fmt: skip
"""What operators and keywords are mistaken for."""

_EACH_KIND = 2  # mistakes in a window
_BINDS = re.compile(r"\s*(async def|def|class|import|from)\b")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A lexeme that was replaced by a wrong one.

    Attributes:
        kind: the kind of the lexeme.
        at: its character offset.
        right: what it was before.
        doubts: the doubts about its line with the mistake in it.
        line: the character offsets of that line.
    """

    kind: Kind
    at: int
    right: str
    doubts: Sequence[Doubt]
    line: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Some lines of a file.

    Attributes:
        lines: how many of them contain code.
        doubts: the doubts about the correct lines.
        mistakes: what was made wrong, one at a time.
    """

    lines: int
    doubts: Sequence[Doubt]
    mistakes: Sequence[Mistake]


def window(infiller: Infiller, text: str, rng: random.Random) -> Window | None:
    """Choose a window of a file, and make mistakes in it; None for a file that is too short or no Python."""
    quiet = quiet_parts(text)
    lines = text.split("\n")
    if quiet is None or len(lines) < WINDOW // 2 or "\r" in text:
        return None
    page, first = Page(text, quiet), rng.randrange(max(1, len(lines) - WINDOW))
    start = sum(len(line) + 1 for line in lines[:first])
    end = start + sum(len(line) + 1 for line in lines[first : first + WINDOW]) - 1
    doubts = _read(infiller, page, start, end)
    return Window(len(spans(page, start, end)), doubts, list(_mistakes(infiller, page, start, end, rng)))


def quiet_parts(text: str) -> list[tuple[int, int]] | None:
    """Find the strings and comments of a text; None when it is not Python."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT):
                (first, left), (last, right) = token.start, token.end
                found.append((starts[first - 1] + left, starts[last - 1] + right))
    except (tokenize.TokenError, SyntaxError, IndexError):
        return None
    return found


def spans(page: Page, start: int, end: int) -> list[tuple[int, int]]:
    """Find the lines with code between two offsets, and return them without the blanks around them."""
    found, at = [], start
    for line in page.text[start:end].split("\n"):
        begin, stop = at + len(line) - len(line.lstrip()), at + len(line.rstrip())
        if begin < stop and not page.is_quiet(begin, stop):
            found.append((begin, stop))
        at += len(line) + 1
    return found


def _read(infiller: Infiller, page: Page, start: int, end: int) -> list[Doubt]:
    """Return everything that may be wrong between two offsets."""
    words = page.words()
    return [
        doubt for span in spans(page, start, end) for doubt in infiller.proofreader.doubts(page, words, *span)
    ]


def _mistakes(infiller: Infiller, page: Page, start: int, end: int, rng: random.Random) -> Iterator[Mistake]:
    made = Counter[Kind]()
    names = sorted({word for word in LEXEME.findall(page.text) if Kind.of(word) is Kind.WORD})
    lexemes = list(LEXEME.finditer(page.text, start, end))
    for lexeme in rng.sample(lexemes, len(lexemes)):
        kind, wrong = Kind.of(lexeme[0]), _wrong(lexeme[0], names, rng)
        if made[kind] >= _EACH_KIND or wrong == lexeme[0] or not _may_be_wrong(page, lexeme):
            continue
        mistake = _made(infiller, page, lexeme, wrong)
        if mistake is not None:
            made[kind] += 1
            yield mistake


def _may_be_wrong(page: Page, lexeme: re.Match[str]) -> bool:
    """Tell whether a lexeme can be a mistake: not in a string or comment, and not a name that is being defined."""
    line = page.text.rfind("\n", 0, lexeme.start()) + 1
    is_defined = Kind.of(lexeme[0]) is Kind.WORD and _BINDS.match(page.text[line:]) is not None
    return not page.is_quiet(*lexeme.span()) and not is_defined


def _made(infiller: Infiller, page: Page, lexeme: re.Match[str], wrong: str) -> Mistake | None:
    """Put a wrong lexeme in a right one's place; None when the text cannot be read as Python any more."""
    harmed = page.text[: lexeme.start()] + wrong + page.text[lexeme.end() :]
    quiet = quiet_parts(harmed)
    if quiet is None:
        return None
    start, stop = harmed.rfind("\n", 0, lexeme.start()) + 1, harmed.find("\n", lexeme.start())
    line = (start, len(harmed) if stop < 0 else stop)
    doubts = _read(infiller, Page(harmed, quiet), *line)
    return Mistake(Kind.of(lexeme[0]), lexeme.start(), lexeme[0], doubts, line)


def _wrong(lexeme: str, names: Sequence[str], rng: random.Random) -> str:
    return rng.choice(names) if Kind.of(lexeme) is Kind.WORD else MISTAKES.get(lexeme, lexeme)
