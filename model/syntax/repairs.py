"""Guess what may be meant by a text that does not parse: with brackets, quotes, colons or headers put right.

Every function returns several candidates; which of them parses is for the caller to find out. Pure functions on text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dgemma_model.syntax.brackets import CLOSERS, OPENERS, line_signs, signs
from dgemma_model.syntax.statements import FARTHEST, last_statement, until_statement

_DOCSTRING = '"""'
_MOST_OPENERS = 3  # brackets behind which a line may be meant to end
_MOST_HEADERS = 4  # lines that may be meant to stand above what is indented
_INDENT = 4  # columns
_HEADER = re.compile(r"\s*(?:async\s+)?(?:def|class|if|elif|else|for|while|with|try|except|finally)\b")


def line_repairs(line: str, least: int, rest: str) -> list[str]:
    """Add the signs that a line lacks, or remove those that are too many.

    Args:
        line: the line up to the end of the region.
        least: how many of the line's first characters must stay.
        rest: the line behind the region.
    """
    balance = _Balance.of(line, least)
    header = _HEADER.match(line) is not None
    missing = "".join(CLOSERS[line[at]] for at in reversed(balance.open))
    added = missing.removesuffix(rest.rstrip(":,")) if rest else missing
    candidates = [line[: balance.excess] + balance.quote + added]
    if rest:
        return [text for text in dict.fromkeys(candidates) if text != line]
    candidates += [line[: at + 1] for at in _openers(line, least)]
    if header and added and line.endswith(":"):
        candidates.insert(0, line[:-1] + added + ":")
    if header and not candidates[0].rstrip().endswith(":"):
        candidates.insert(0, candidates[0] + ":")
    if line.endswith(":") and len(line) > least:
        candidates.append(line[:-1])
    if balance.open and balance.open[0] >= least:
        candidates.append(line[: balance.open[0]].rstrip())
    return [text for text in dict.fromkeys(candidates) if text != line and len(text) >= least]


def docstring_repairs(before: str, text: str) -> list[str]:
    """End the docstring that a text stands in, or remove the quotes that end or begin one."""
    if _DOCSTRING in text:
        return [text.replace(_DOCSTRING, "")]
    return [text + _DOCSTRING] if before.count(_DOCSTRING) % 2 else []


def ending_repairs(before: str, text: str, after: str) -> list[str]:
    """Let a text of whole lines go on in ways that fit what stands behind it.

    It may close what it, or the text before it, has opened and nothing behind it closes. And if what stands behind it
    is indented, it may end with a line that allows that, as other lines of the text before do.
    """
    stack = _open(last_statement(before) + text)
    extra = stack[len(_unmatched(until_statement(after))) :][::-1]
    candidates = []
    if extra:
        indented = "".join(f"\n{opened.indent}{opened.closer}" for opened in extra)
        candidates = [
            text + "".join(opened.closer for opened in extra),
            text + indented,
            text + indented + ":",
        ]
    with_headers = [
        f"{candidate}\n{header}"
        for candidate in (text, *candidates)
        for header in _headers(before, candidate, after)
    ]
    return candidates + with_headers


def _openers(line: str, least: int) -> list[int]:
    """Find the first brackets that are opened behind ``least`` characters."""
    return [match.start() for match in re.finditer(r"[(\[{]", line) if match.start() >= least][:_MOST_OPENERS]


@dataclass(frozen=True, slots=True)
class _Balance:
    """What is wrong with the brackets and quotes of a line.

    Attributes:
        open: where the brackets stand that are not closed.
        quote: what ends the string that is not ended; empty if there is none.
        excess: where the first closing bracket stands that nothing opens; the line's length if there is none.
    """

    open: tuple[int, ...]
    quote: str
    excess: int

    @classmethod
    def of(cls, line: str, least: int) -> _Balance:
        """Read a line up to a bracket too many behind its first ``least`` characters."""
        open_: list[int] = []
        quote = ""
        for sign in line_signs(line):
            if sign.is_quote:
                quote = "" if quote else sign.text
            elif sign.text in CLOSERS:
                open_.append(sign.at)
            elif open_ and line[open_[-1]] == OPENERS[sign.text]:
                open_.pop()
            elif sign.at >= least:
                return cls(tuple(open_), "", sign.at)
        return cls(tuple(open_), quote, len(line))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A bracket or a string of several lines that is open: what closes it, and the indentation of its line."""

    closer: str
    indent: str


def _open(text: str) -> list[_Opened]:
    """List what is open at a text's end, the outermost first."""
    stack, quote = list[_Opened](), ""
    for at, sign in signs(text):
        if sign in CLOSERS:
            indent = _indent(text[text.rfind("\n", 0, at) + 1 : at])
            stack.append(_Opened(CLOSERS[sign], indent))
        elif sign in OPENERS:
            stack = stack[:-1] if stack and stack[-1].closer == sign else stack
        elif len(sign) == 3:
            quote = "" if quote else sign
    return [*stack, _Opened(quote, "")] if quote else stack


def _unmatched(text: str) -> str:
    """List the brackets that a text closes and does not open."""
    depth, unmatched = 0, ""
    for _, sign in signs(text):
        if sign in CLOSERS:
            depth += 1
        elif sign in OPENERS:
            depth, unmatched = (depth - 1, unmatched) if depth else (0, unmatched + sign)
    return unmatched


def _headers(before: str, text: str, after: str) -> list[str]:
    """List lines of the text before that may begin the block which the lines behind ``text`` are indented for."""
    below = next((line for line in after.split("\n")[1:] if line.strip()), "")
    last = (before[before.rfind("\n") + 1 :] + text).rsplit("\n", 1)[-1]
    wanted = _indent(below)[:-_INDENT]
    if len(_indent(last)) > len(wanted) or last.rstrip().endswith(":") or not below:
        return []
    lines = reversed(before[-FARTHEST:].split("\n"))
    fitting = (
        line for line in lines if _HEADER.match(line) and line.endswith(":") and _indent(line) == wanted
    )
    return list(dict.fromkeys(fitting))[:_MOST_HEADERS]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
