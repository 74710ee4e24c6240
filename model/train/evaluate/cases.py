"""Cases: regions of held-out files, and what stood there. Every checkpoint is asked for the same ones.

They are drawn with a seed, equally many from each package, so that no large package decides the result. Rests of lines
and whole lines are cut as in training. The other kinds are nodes of the syntax tree around a random character: long
nodes are drawn more often than short ones, just as people edit them more often. This module knows nothing of models.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tree_sitter import Node, Parser

from dgemma_model.errors import ModelError
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.syntax.errors import count_errors
from dgemma_model.syntax.statements import PYTHON
from dgemma_model.train.data.examples import Cutter, Span
from dgemma_model.train.data.sources import read_sources

_LONGEST = 120  # characters of a truth; longer lines are rare and mostly prose
_LONGEST_BLOCK = 300
_SHORTEST_IDENTIFIER = 4
_NEARBY = 60  # lines among which four regions lie
_TRIES = 10_000  # for one case; after them the package counts as one without such a region

_EXPRESSIONS = frozenset(
    {"attribute", "await", "binary_operator", "boolean_operator", "call", "comparison_operator"}
    | {"conditional_expression", "dictionary", "dictionary_comprehension", "generator_expression", "lambda"}
    | {"list", "list_comprehension", "not_operator", "parenthesized_expression", "set", "set_comprehension"}
    | {"subscript", "tuple", "unary_operator"}
)
_ASSIGNMENTS = frozenset({"assignment", "augmented_assignment"})
_STATEMENTS = frozenset(
    {"assert_statement", "break_statement", "continue_statement", "delete_statement", "expression_statement"}
    | {"future_import_statement", "global_statement", "import_from_statement", "import_statement"}
    | {"nonlocal_statement", "pass_statement", "raise_statement", "return_statement", "type_alias_statement"}
)

Files = Mapping[str, Sequence[str]]
"""The texts of each package."""


class Kind(StrEnum):
    """The kind of text that is cut out."""

    REST_OF_LINE = "rest of line"
    WHOLE_LINE = "whole line"
    EXPRESSION = "expression"
    ARGUMENT_LIST = "argument list"
    STATEMENT = "statement"
    BLOCK = "block of 2–5 lines"
    MID_IDENTIFIER = "inside an identifier"
    TWO_REGIONS = "two rests of line at once"
    FOUR_REGIONS = "four rests of line at once"

    @property
    def single_line(self) -> bool:
        """Whether an editor would ask for a single line."""
        return self not in {Kind.STATEMENT, Kind.BLOCK}


@dataclass(frozen=True, slots=True)
class Case:
    """A text with regions to fill; the text still has what stood there."""

    kind: Kind
    package: str
    text: str
    spans: tuple[Span, ...]

    @property
    def truths(self) -> tuple[str, ...]:
        """The original text of each region."""
        return tuple(self.text[start:end] for start, end in self.spans)

    @property
    def masked(self) -> MaskedText:
        """The text with its regions emptied."""
        starts = [0, *(end for _, end in self.spans)]
        ends = [*(start for start, _ in self.spans), len(self.text)]
        segments = tuple(self.text[a:b] for a, b in zip(starts, ends, strict=True))
        return MaskedText(segments, ("",) * len(self.spans))

    def filled(self, fills: Sequence[str]) -> str:
        """Return the text with these fills in its regions."""
        first, *others = self.masked.segments
        return first + "".join(fill + fixed for fill, fixed in zip(fills, others, strict=True))

    def pairs(self, fills: Sequence[str]) -> list[tuple[str, str]]:
        """Pair what stood in the regions with what fills them, both without white space at the end."""
        return [(truth.rstrip(), fill.rstrip()) for truth, fill in zip(self.truths, fills, strict=True)]

    def right(self, fills: Sequence[str]) -> tuple[bool, ...]:
        """Tell of each fill whether it is what stood there; white space at the end does not count."""
        return tuple(truth == fill for truth, fill in self.pairs(fills))


Answer = Callable[[Case], Sequence[str]]
"""Returns a fill for each region of a case."""


class Syntax:
    """The syntax tree of a Python text; offsets count characters."""

    def __init__(self, text: str) -> None:
        self._text, self._data = text, text.encode("utf-8", "replace")
        self._root = Parser(PYTHON).parse(self._data).root_node

    def around(self, offset: int) -> Iterator[Node]:
        """Yield the nodes that contain a character, the innermost first."""
        at = len(self._text[:offset].encode("utf-8", "replace"))
        node = self._root.descendant_for_byte_range(at, at + 1)
        while node is not None:
            yield node
            node = node.parent

    def span(self, node: Node) -> Span:
        """Return a node's start and end."""
        start = len(self._data[: node.start_byte].decode())
        return start, start + len(self._data[node.start_byte : node.end_byte].decode())

    def errors(self) -> int:
        """Count the places that do not parse: ERROR and MISSING nodes."""
        return count_errors(self._root)


def read_files(corpus: Path) -> Files:
    """Read the texts of a corpus file, by package."""
    files: dict[str, list[str]] = defaultdict(list)
    for source in read_sources(corpus):
        files[source.package].append(source.text)
    return files


def halves(files: Files) -> tuple[Files, Files]:
    """Split the files into those of every other package and the rest."""
    packages = sorted(files)
    return {name: files[name] for name in packages[::2]}, {name: files[name] for name in packages[1::2]}


def draw(files: Files, kind: Kind, count: int, seed: int = 0) -> Iterator[Case]:
    """Draw ``count`` cases of one kind; the packages take turns.

    Raises:
        ModelError: a package has no region of this kind.
    """
    rng = random.Random(f"{seed} {kind}")
    cutter = _CaseCutter(rng)
    packages = sorted(files)
    for index in range(count):
        package = packages[index % len(packages)]
        yield _draw_one(cutter, rng, kind, package, files[package])


def _draw_one(
    cutter: _CaseCutter, rng: random.Random, kind: Kind, package: str, texts: Sequence[str]
) -> Case:
    longest = _LONGEST_BLOCK if kind is Kind.BLOCK else _LONGEST
    for _ in range(_TRIES):
        text = rng.choice(texts)
        spans = cutter.cut(kind, text)
        if spans and all(start < end <= start + longest and text[start:end].strip() for start, end in spans):
            return Case(kind, package, text, spans)
    raise ModelError(f"The package {package} has no region of the kind “{kind}”.")


class _CaseCutter:
    """Cuts the regions of a case out of a text; returns none where a random place has none of the kind."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._cutter = rng, Cutter(rng)
        self._cuts: Mapping[Kind, Callable[[str, int], tuple[Span, ...]]] = {
            Kind.REST_OF_LINE: self._rest_of_line,
            Kind.WHOLE_LINE: self._whole_line,
            Kind.EXPRESSION: self._expression,
            Kind.ARGUMENT_LIST: self._argument_list,
            Kind.STATEMENT: self._statement,
            Kind.BLOCK: self._block,
            Kind.MID_IDENTIFIER: self._mid_identifier,
            Kind.TWO_REGIONS: self._two_regions,
            Kind.FOUR_REGIONS: self._four_regions,
        }

    def cut(self, kind: Kind, text: str) -> tuple[Span, ...]:
        return self._cuts[kind](text, self._rng.randrange(len(text)))

    def _rest_of_line(self, text: str, around: int) -> tuple[Span, ...]:
        return (self._cutter.rest_of_line(text, around),)

    def _whole_line(self, text: str, around: int) -> tuple[Span, ...]:
        # The place in the line is drawn but not used: earlier checkpoints were measured on the draws that follow.
        start, end = self._cutter.line(text, self._cutter.rest_of_line(text, around)[0])
        return ((_behind_indentation(text, start, end), end),)

    def _two_regions(self, text: str, around: int) -> tuple[Span, ...]:
        first = self._cutter.rest_of_line(text, around)
        if first[1] + 2 >= len(text):
            return (first,)
        near = min(len(text) - 1, first[1] + 1 + self._rng.randrange(200))
        second = self._cutter.rest_of_line(text, near)
        return (first, second) if second[0] > first[1] else (first,)

    def _four_regions(self, text: str, around: int) -> tuple[Span, ...]:
        starts, start = [], self._cutter.line(text, around)[0]
        for line in text[start:].split("\n", _NEARBY)[:_NEARBY]:
            if line.strip():
                starts.append(start)
            start += len(line) + 1
        if len(starts) < 4:
            return ()
        return tuple(self._cutter.rest_of_line(text, at) for at in sorted(self._rng.sample(starts, 4)))

    def _block(self, text: str, around: int) -> tuple[Span, ...]:
        start, end = self._cutter.line(text, around)
        begin = _behind_indentation(text, start, end)
        for _ in range(self._rng.randint(1, 4)):
            end = self._cutter.line(text, min(len(text), end + 1))[1]
        first, *others = text[begin:end].split("\n")
        return ((begin, end),) if first.strip() and others and others[-1].strip() else ()

    def _mid_identifier(self, text: str, around: int) -> tuple[Span, ...]:
        syntax = Syntax(text)
        node = next(syntax.around(around))
        start, end = syntax.span(node)
        if node.type != "identifier" or start == around or end - start < _SHORTEST_IDENTIFIER:
            return ()
        return ((around, self._cutter.line(text, around)[1]),)

    def _expression(self, text: str, around: int) -> tuple[Span, ...]:
        syntax = Syntax(text)
        spans = (syntax.span(node) for node in syntax.around(around) if _is_expression(node))
        short = [(start, end) for start, end in spans if end - start <= _LONGEST]
        return (self._rng.choice(short),) if short else ()

    def _argument_list(self, text: str, around: int) -> tuple[Span, ...]:
        syntax = Syntax(text)
        spans = [syntax.span(node) for node in syntax.around(around) if _is_argument_list(node)]
        return ((spans[0][0] + 1, spans[0][1] - 1),) if spans else ()

    def _statement(self, text: str, around: int) -> tuple[Span, ...]:
        syntax = Syntax(text)
        return tuple(syntax.span(node) for node in syntax.around(around) if _is_statement(node))[:1]


def _behind_indentation(text: str, start: int, end: int) -> int:
    return end - len(text[start:end].lstrip())


def _is_expression(node: Node) -> bool:
    parent = node.parent
    if parent is not None and parent.type in _ASSIGNMENTS:
        return node == parent.child_by_field_name("right")
    return node.type in _EXPRESSIONS


def _is_argument_list(node: Node) -> bool:
    return node.type == "argument_list" and node.parent is not None and node.parent.type == "call"


def _is_statement(node: Node) -> bool:
    prose = node.type == "expression_statement" and [child.type for child in node.children] == ["string"]
    return node.type in _STATEMENTS and not prose
