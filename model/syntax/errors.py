"""Which of some texts leave a Python file parseable, by a syntax tree of the lines around them.

Only the statements at the margin around the regions are parsed: a millisecond, however long the file. Errors are
counted, and compared between texts for the same place; a file that is broken elsewhere, or is no Python, has as many
with each of them. Pure functions on text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import tree_sitter_python
from tree_sitter import Language, Node, Parser

PYTHON = Language(tree_sitter_python.language())

_FARTHEST = 12_000  # characters before and behind the regions that are looked at
# A line at the margin with which a statement begins: no clause of one that began before, no bracket, no comment.
_STATEMENT = re.compile(r"^(?!(?:el(?:se|if)|except|finally)\b)[A-Za-z_@]", re.MULTILINE)
_OPENING, _CLOSING = "([{", ")]}"
_DOCSTRING = '"""'
_OPENERS = 3  # brackets behind which a line may be meant to end
_HEADERS = 4  # lines that may be meant to stand before what is indented
_INDENT = 4  # columns
_SIGN = re.compile(r"""\"{3}|'{3}|\\.|[\"'()\[\]{}\n#]""")
_HEADER = re.compile(r"\s*(?:async\s+)?(?:def|class|if|elif|else|for|while|with|try|except|finally)\b")


def count_errors(root: Node) -> int:
    """How many places do not parse: ERROR and MISSING nodes."""
    count, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        count += node.is_error or node.is_missing
        if node.has_error:  # most of a file has none, and is not walked
            waiting.extend(node.children)
    return count


class Surroundings:
    """The fixed text around some regions, as far as it matters for their syntax."""

    def __init__(self, segments: Sequence[str]) -> None:
        """Take over the segments before, between and behind the regions."""
        first, *between, last = segments
        self._segments = (_beginning(first), *between, _ending(last))
        self._parser, self._known = Parser(PYTHON), dict[tuple[str, ...], int]()

    def errors(self, fills: Sequence[str]) -> int:
        """How many places do not parse with these texts in the regions."""
        key = tuple(fills)
        if key not in self._known:
            parts = [part for pair in zip(self._segments, fills, strict=False) for part in pair]
            text = "".join([*parts, self._segments[-1]])
            self._known[key] = count_errors(self._parser.parse(text.encode("utf-8", "replace")).root_node)
        return self._known[key]


def border(text: str, at: int, reach: int) -> int:
    """Where a text may be cut so that the rest begins with a statement: the first place from ``at`` on.

    Args:
        text: of a file, perhaps cut off at its end.
        at: a character offset.
        reach: how far from there may be looked.

    Returns:
        The beginning of a line with which a statement begins; where none does in reach, of the next line; ``at`` in a
        line that is too long.
    """
    near = max(0, at - _FARTHEST)
    found = _next_statement(text[near : at + reach], at - near)
    line = text.find("\n", at, at + reach) + 1
    return at + found if found is not None else line or at


@lru_cache(maxsize=64)  # from key to key a text is cut in the same place
def _next_statement(text: str, at: int) -> int | None:
    """How far behind a place the first line begins with which a statement begins; None where there is none."""
    before = _beginning(text[:at])
    data, place = (before + text[at:]).encode("utf-8", "replace"), len(before.encode("utf-8", "replace"))
    found, waiting = len(data), [Parser(PYTHON).parse(data).root_node]
    while waiting:
        node = waiting.pop()
        if node.end_byte <= place or node.start_byte >= found:
            continue
        waiting += node.named_children
        decorated = node.parent is not None and node.parent.type == "decorated_definition"
        if node.type.endswith(("_statement", "_definition")) and not decorated:
            line = data.rfind(b"\n", 0, node.start_byte) + 1
            if line >= place and not data[line : node.start_byte].strip():
                found = min(found, line)
    return None if found == len(data) else len(data[place:found].decode("utf-8", "replace"))


def _beginning(before: str) -> str:
    near = before[-_FARTHEST:]
    begins = [match.start() for match in _STATEMENT.finditer(near[: near.rfind("\n") + 1])]
    # The region's own line does not count, it may become anything.
    return near[begins[-1] :] if begins else near


def _ending(behind: str) -> str:
    near = behind[:_FARTHEST]
    line = near.find("\n") + 1
    match = _STATEMENT.search(near, line) if line else None
    return near if match is None else near[: match.start()]


def endings(before: str, text: str, after: str) -> list[str]:
    """What a text of whole lines may be meant to go on with, where it does not fit to what stands behind it.

    It is told to close what it, or the text before it, has opened and what nothing behind it closes; and to end with a
    line under which one may indent, as others do in the text before.
    """
    stack = _open(_beginning(before) + text)
    wanted = _unmatched(_ending(after))
    extra = list(reversed(stack[len(wanted) :]))
    tried = [text]
    if extra:
        own = "".join(f"\n{opened.indent}{opened.closer}" for opened in extra)
        tried += [text + "".join(opened.closer for opened in extra), text + own, text + own + ":"]
    found = tried[1:]
    for one in tried:
        found += [f"{one}\n{header}" for header in _headers(before, one, after)]
    return found


def repairs(line: str, least: int, rest: str) -> list[str]:
    """What may be meant by a line that does not parse: with signs that lack, or without those too many.

    Args:
        line: with the guess in it; what stands behind the region excluded.
        least: characters of the line that stay.
        rest: what stands behind the region in the line.
    """
    signs = _Signs.of(line, least)
    header = _HEADER.match(line) is not None
    closers = "".join(_CLOSING[_OPENING.index(line[at])] for at in reversed(signs.open))
    kept = closers.removesuffix(rest.rstrip(":,")) if rest else closers
    found = [line[: signs.excess] + signs.quote + kept]
    if rest:
        return [text for text in dict.fromkeys(found) if text != line]
    found += [line[: at + 1] for at in _openers(line, least)]
    if header and kept and line.endswith(":"):
        found.insert(0, line[:-1] + kept + ":")
    if header and not found[0].rstrip().endswith(":"):
        found.insert(0, found[0] + ":")
    if line.endswith(":") and len(line) > least:
        found.append(line[:-1])
    if signs.open and signs.open[0] >= least:
        found.append(line[: signs.open[0]].rstrip())
    return [text for text in dict.fromkeys(found) if text != line and len(text) >= least]


def closed(before: str, text: str) -> list[str]:
    """A text with the end of the docstring that it stands in, or without one that it has too many."""
    if _DOCSTRING in text:
        return [text.replace(_DOCSTRING, "")]
    return [text + _DOCSTRING] if before.count(_DOCSTRING) % 2 else []


def _openers(line: str, least: int) -> list[int]:
    """Where the first brackets behind ``least`` characters are opened."""
    return [match.start() for match in re.finditer(r"[(\[{]", line) if match.start() >= least][:_OPENERS]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A bracket or a long text that is open, and the indentation of its line."""

    closer: str
    indent: str


def _open(text: str) -> list[_Opened]:
    """What is open at a text's end, the outermost first."""
    stack, quote = list[_Opened](), ""
    for at, sign in _signs(text):
        if sign in _OPENING:
            indent = _indent(text[text.rfind("\n", 0, at) + 1 : at])
            stack.append(_Opened(_CLOSING[_OPENING.index(sign)], indent))
        elif sign in _CLOSING:
            stack = stack[:-1] if stack and stack[-1].closer == sign else stack
        else:
            quote = "" if quote else sign
    return [*stack, _Opened(quote, "")] if quote else stack


def _unmatched(text: str) -> str:
    """The brackets that a text closes and does not open."""
    stack, found = "", ""
    for _, sign in _signs(text):
        if sign in _OPENING:
            stack += sign
        elif sign in _CLOSING:
            stack, found = (stack[:-1], found) if stack else (stack, found + sign)
    return found


def _signs(text: str) -> Iterator[tuple[int, str]]:
    """Brackets outside of strings and comments, and where strings of several lines begin and end."""
    within = ""  # what ends it
    for match in _SIGN.finditer(text):
        sign = match[0]
        if sign == "\n":
            within = within if len(within) == 3 else ""
        elif within:
            if sign == within:
                within = ""
                if len(sign) == 3:
                    yield match.start(), sign
        elif sign[0] in "\"'":
            within = sign
            if len(sign) == 3:
                yield match.start(), sign
        elif sign == "#":
            within = "\n"
        elif sign in _OPENING + _CLOSING:
            yield match.start(), sign


def _headers(before: str, text: str, after: str) -> list[str]:
    """Lines that begin a block, from the text before, where a text's last line stands left of the line behind it."""
    below = next((line for line in after.split("\n")[1:] if line.strip()), "")
    last = (before[before.rfind("\n") + 1 :] + text).rsplit("\n", 1)[-1]
    wanted = _indent(below)[:-_INDENT]
    if len(_indent(last)) > len(wanted) or last.rstrip().endswith(":") or not below:
        return []
    lines = reversed(before[-_FARTHEST:].split("\n"))
    fitting = (
        line for line in lines if _HEADER.match(line) and line.endswith(":") and _indent(line) == wanted
    )
    return list(dict.fromkeys(fitting))[:_HEADERS]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


@dataclass(frozen=True, slots=True)
class _Signs:
    """Where brackets of a line are left open; a quote that is; and where the first bracket too many stands."""

    open: tuple[int, ...]
    quote: str
    excess: int

    @classmethod
    def of(cls, line: str, least: int) -> _Signs:
        """Read a line up to a bracket too many behind its first ``least`` characters."""
        open_: list[int] = []
        quote = ""
        for index, sign in enumerate(line):
            if quote:
                quote = "" if sign == quote and line[index - 1] != "\\" else quote
            elif sign in "\"'":
                quote = sign
            elif sign in _OPENING:
                open_.append(index)
            elif sign in _CLOSING:
                if open_ and _OPENING.index(line[open_[-1]]) == _CLOSING.index(sign):
                    open_.pop()
                elif index >= least:
                    return cls(tuple(open_), "", index)
        return cls(tuple(open_), quote, len(line))
