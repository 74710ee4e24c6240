"""Text → syntax nodes, for every language in `languages.toml`. Offsets are characters of the document, never bytes.

A long document is not parsed whole: `excerpts` parses what lies around the place that is asked about, under the headers
of the classes and functions around it, and more of it for as long as the caller needs more. Whatever stands in the text
there is a tree; where it is wrong, nodes are `broken`.

Knows nothing of regions' meaning, of editors or of the model.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property, lru_cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from dgemma_lsp.text.masked import Region

if TYPE_CHECKING:
    import tree_sitter

REACH = 12_000
"""Characters that are parsed on each side of a place at first: about 2 ms of work for both sides together."""

Markers = tuple[str, ...]
"""What users write where something is to be filled in."""

_CHECKPOINT = 1024

_FIRST_WORD = re.compile(r"^[ \t]*(?=[\w@#])", re.MULTILINE)
_INDENTATION = re.compile(r"[ \t]*")
_LONE_CR = re.compile(r"\r(?!\n)")


class Place(Enum):
    """Where the documentation of a function stands."""

    BODY = "body"
    """It is the body's first statement."""
    ABOVE = "above"
    """It is a comment before the function."""


@dataclass(frozen=True, slots=True)
class Documentation:
    """How the documentation of a function is written: ``opening``, its text, ``closing``."""

    place: Place
    opening: str
    closing: str


@dataclass(frozen=True, slots=True)
class Language:
    """What we know of a language; all but the names speak of its grammar's node kinds.

    Attributes:
        name: the grammar's.
        ids: what editors call it.
        extensions: of its files, with the dot.
        begins: how lines begin that hardly stand in a text or a comment; empty where no such line is known.
        functions: what has a name or parameters, and a body.
        blocks: what holds statements, members or entries.
        statements: what else has a block.
        arguments: of calls, with their brackets.
        strings: with their quotes.
        comments: all kinds of them.
        indented: a block ends where the indentation does.
        stand_in: a character of which something is made that can stand where a value does.
        hints: one of these words stands in every placeholder; a text without one need not be parsed.
        holes: a query whose @hole are placeholders.
        kept: a query; placeholders inside of its @kept are meant.
        documentation: None where functions have none.
        fences: nodes with text in another language.
        fence_language: the node in a fence that names it.
        fence_text: the node in a fence that holds it.
    """

    name: str
    ids: tuple[str, ...]
    extensions: tuple[str, ...]
    begins: tuple[str, ...]
    functions: frozenset[str]
    blocks: frozenset[str]
    statements: frozenset[str]
    arguments: frozenset[str]
    strings: frozenset[str]
    comments: frozenset[str]
    indented: bool
    stand_in: str
    hints: tuple[str, ...]
    holes: str
    kept: str
    documentation: Documentation | None
    fences: frozenset[str]
    fence_language: str
    fence_text: str

    @property
    def kinds(self) -> frozenset[str]:
        """Every node kind that is named here, but for those in queries."""
        sets = (self.functions, self.blocks, self.statements, self.arguments, self.strings, self.comments)
        single = {self.fence_language, self.fence_text} - {""}
        return frozenset().union(*sets, self.fences, single)


def languages() -> Mapping[str, Language]:
    """The table, by name."""
    return _table()[1]


def marker() -> str:
    """What a user writes wherever something is to be filled in."""
    return _table()[0]


def find(language: str | None, path: str = "") -> Language | None:
    """The language that an editor calls so; without a name, the one that the name of a file tells."""
    if language:
        return _by_name().get(language.lower())
    return _by_name().get(PurePosixPath(path).suffix.lower())


def is_one_of(language: str | None, names: Iterable[str]) -> bool:
    """Whether a language is among some others; each may be called as editors do, and none is "plaintext"."""
    return _plain(language or "plaintext") in map(_plain, names)


def _plain(language: str) -> str:
    known = find(language)
    return known.name if known else language.lower()


@cache
def _table() -> tuple[str, Mapping[str, Language]]:
    import tomllib

    data = tomllib.loads(Path(__file__).with_name("languages.toml").read_text("utf-8"))
    entries: dict[str, dict[str, Any]] = {}
    for name, entry in data["languages"].items():
        entries[name] = entries.get(entry.get("like"), {}) | entry
    return data["marker"], MappingProxyType({name: _language(name, one) for name, one in entries.items()})


def _language(name: str, entry: Mapping[str, Any]) -> Language:
    def kinds(key: str) -> frozenset[str]:
        return frozenset(entry.get(key, ()))

    documentation = entry.get("documentation")
    return Language(
        name=name,
        ids=tuple(entry["ids"]),
        extensions=tuple(entry["extensions"]),
        begins=tuple(entry.get("begins", ())),
        functions=kinds("functions"),
        blocks=kinds("blocks"),
        statements=kinds("statements"),
        arguments=kinds("arguments"),
        strings=kinds("strings"),
        comments=kinds("comments"),
        indented=entry.get("indented", False),
        stand_in=entry.get("stand_in", "_"),
        hints=tuple(entry.get("hints", ())),
        holes=entry.get("holes", ""),
        kept=entry.get("kept", ""),
        documentation=documentation
        and Documentation(Place(documentation["place"]), documentation["opening"], documentation["closing"]),
        fences=kinds("fences"),
        fence_language=entry.get("fence_language", ""),
        fence_text=entry.get("fence_text", ""),
    )


@cache
def _by_name() -> Mapping[str, Language]:
    return MappingProxyType(
        {key: one for one in languages().values() for key in (one.name, *one.ids, *one.extensions)}
    )


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a syntax tree.

    Attributes:
        start: of its text in the document.
        end: behind its last character.
    """

    start: int
    end: int
    _node: tree_sitter.Node
    _excerpt: Excerpt

    @property
    def kind(self) -> str:
        return self._node.type

    @property
    def missing(self) -> bool:
        """Whether the parser has put it where it should stand."""
        return self._node.is_missing

    @property
    def broken(self) -> bool:
        """Whether it, or anything in it, does not parse."""
        return self._node.has_error

    @property
    def region(self) -> Region:
        return Region(self.start, self.end)

    @property
    def parent(self) -> Node | None:
        parent = self._node.parent
        return parent and self._excerpt.wrap(parent)

    @property
    def children(self) -> list[Node]:
        """All of them, brackets and keywords too."""
        return [self._excerpt.wrap(child) for child in self._node.children]

    @property
    def named(self) -> list[Node]:
        """The children without brackets, keywords and the like."""
        return [self._excerpt.wrap(child) for child in self._node.named_children]

    @property
    def previous(self) -> Node | None:
        """The named node before it, with the same parent."""
        before = self._node.prev_named_sibling
        return before and self._excerpt.wrap(before)


class Excerpt:
    """Parts of a text, put together and parsed.

    Args:
        text: the document.
        parts: of the text, in order; the last one is around the place that is asked about, the others are headers.
        language: to parse it as.
        markers: what stands for something to be filled in.
    """

    def __init__(
        self, text: str, parts: tuple[Region, ...], language: Language, markers: Markers = ()
    ) -> None:
        self.text = text
        self.language = language
        self.body = parts[-1]
        self.whole = len(self.body_text) == len(text)
        source = _parseable("".join(text[part.start : part.end] for part in parts), language, markers)
        self._source = source
        self._bytes = source.encode("utf-8", "replace")
        self._shifts = [(start, part.start - start) for start, part in _starts(parts)]
        self._tree = _parser(language.name).parse(self._bytes)

    @property
    def body_text(self) -> str:
        return self.text[self.body.start : self.body.end]

    @property
    def root(self) -> Node:
        return self.wrap(self._tree.root_node)

    def holds(self, node: Node) -> bool:
        """Whether a node surely ends where it seems to, and not only with what was parsed."""
        return self.body.end == len(self.text) or self.text[node.end : self.body.end].strip() != ""

    def at(self, offset: int) -> Node:
        """The smallest named node around a place in the last part, or that begins or ends there."""
        byte = self._byte(offset)
        found = self._tree.root_node.named_descendant_for_byte_range(byte, byte)
        return self.wrap(found or self._tree.root_node)

    def captures(self, query: str) -> Iterator[tuple[str, Node]]:
        """What a query of the language finds, in no order: a name and a node."""
        from tree_sitter import QueryCursor

        if query:
            found = QueryCursor(_query(self.language.name, query)).captures(self._tree.root_node)
            yield from ((name, self.wrap(node)) for name, nodes in found.items() for node in nodes)

    def wrap(self, node: tree_sitter.Node) -> Node:
        start, end = self._offset(node.start_byte, is_end=False), self._offset(node.end_byte, is_end=True)
        # To some grammars a comment ends with its line's CR, and LF follows.
        end -= self.text[end - 1 : end + 1] == "\r\n"
        return Node(start, max(start, end), node, self)

    def _offset(self, byte: int, *, is_end: bool) -> int:
        at = self._character(byte)
        # Where two parts meet, a node starts with the second one and ends with the first.
        find_ = bisect_left if is_end else bisect_right
        index = max(0, find_(self._shifts, at, key=lambda pair: pair[0]) - 1)
        return at + self._shifts[index][1]

    def _byte(self, offset: int) -> int:
        at = offset - self._shifts[-1][1]
        if len(self._bytes) == len(self._source):
            return at
        index = min(at // _CHECKPOINT, len(self._checkpoints) - 1)
        return self._checkpoints[index] + len(self._encoded(index * _CHECKPOINT, at))

    def _character(self, byte: int) -> int:
        if len(self._bytes) == len(self._source):
            return byte
        index = bisect_right(self._checkpoints, byte) - 1
        inside = self._bytes[self._checkpoints[index] : byte]
        return index * _CHECKPOINT + len(inside.decode("utf-8", "replace"))

    @cached_property
    def _checkpoints(self) -> list[int]:
        """[block of characters] its first byte: what is in between is counted when it is asked for."""
        found = [0]
        for end in range(_CHECKPOINT, len(self._source), _CHECKPOINT):
            found.append(found[-1] + len(self._encoded(end - _CHECKPOINT, end)))
        return found

    def _encoded(self, start: int, end: int) -> bytes:
        return self._source[start:end].encode("utf-8", "replace")


def excerpts(text: str, language: Language, focus: Region, markers: Markers = ()) -> Iterator[Excerpt]:
    """Trees with what lies around ``focus``, each of more text than the one before, until it is the whole text."""
    reach = REACH
    while True:
        excerpt = parsed(text, surroundings(text, focus, language.begins, reach), language, markers)
        yield excerpt
        if excerpt.whole:
            return
        reach *= 4


@lru_cache(maxsize=8)
def parsed(text: str, parts: tuple[Region, ...], language: Language, markers: Markers = ()) -> Excerpt:
    """Several questions are asked about one place, one after the other."""
    return Excerpt(text, parts, language, markers)


def surroundings(text: str, focus: Region, begins: tuple[str, ...], reach: int = REACH) -> tuple[Region, ...]:
    """The parts of a text that tell what lies around a place: headers, and at last what is in reach of the place.

    Args:
        text: the document.
        focus: the place, which lies in the last part.
        begins: how lines begin that hardly stand in a text or a comment; see `Language`.
        reach: characters on each side.
    """
    if len(text) <= 2 * reach:
        return (Region(0, len(text)),)
    start = _start(text, focus.start, reach, begins)
    return (*_headers(text, start, begins), Region(start, _end(text, focus.end, reach, begins)))


def _start(text: str, focus: int, reach: int, begins: tuple[str, ...]) -> int:
    """Of the first of the least indented lines in reach: hardly ever inside of a string or a comment."""
    if focus <= reach:
        return 0
    line = text.rfind("\n", 0, focus) + 1
    before = _beginnings(text, max(0, line - reach), line, begins)
    return min(before, key=_width).start() if before else line


def _end(text: str, focus: int, reach: int, begins: tuple[str, ...]) -> int:
    """Of the text before the last of the least indented lines in reach."""
    line = text.find("\n", focus) + 1
    if not line or len(text) - focus <= reach:
        return len(text)
    after = _beginnings(text, line, line + reach, begins)
    return min(reversed(after), key=_width).start() if after else line


def _beginnings(text: str, start: int, end: int, begins: tuple[str, ...]) -> list[re.Match[str]]:
    """The indentations of lines where something begins, as far as one can tell without a parser."""
    surely = list(_beginning(begins).finditer(text, start, end)) if begins else []
    return surely or list(_FIRST_WORD.finditer(text, start, end))


@cache
def _beginning(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*(?={'|'.join(map(re.escape, words))})", re.MULTILINE)


def _width(indentation: re.Match[str]) -> int:
    return indentation.end() - indentation.start()


def _headers(text: str, start: int, begins: tuple[str, ...]) -> list[Region]:
    """The lines before ``start`` that are less and less indented: the classes and functions it stands in."""
    found: list[Region] = []
    limit, end = _indentation(text, start), start
    while limit > 0 and end > 0:
        line = text.rfind("\n", 0, end - 1) + 1
        width = _indentation(text, line)
        code = text[line + width]
        if width < limit and not code.isspace():
            # Above "{" or "):" stands the rest of the header, as little indented.
            continues = code in "{)"
            limit = width + continues
            if continues or not begins or text.startswith(begins, line + width):
                found.append(Region(line, end))
        end = line
    return found[::-1]


def _indentation(text: str, line: int) -> int:
    blanks = _INDENTATION.match(text, line)
    return _width(blanks) if blanks else 0


def _starts(parts: tuple[Region, ...]) -> Iterator[tuple[int, Region]]:
    start = 0
    for part in parts:
        yield start, part
        start += part.end - part.start


def _parseable(source: str, language: Language, markers: Markers) -> str:
    """As long as the source, with markers that a grammar can read, and no line that ends with CR alone."""
    for word in sorted(markers, key=len, reverse=True):  # one may be a part of the other
        if word in source and not _is_quiet(word, language.name):
            source = source.replace(word, re.sub(r"[^\r\n]", language.stand_in, word))
    return _LONE_CR.sub("\n", source) if "\r" in source else source


@cache
def _is_quiet(word: str, language: str) -> bool:
    """Whether a marker is a comment or a string, which a grammar reads as it is."""
    node, known = _parser(language).parse(word.encode("utf-8", "replace")).root_node, languages()[language]
    while not node.has_error and node.named_child_count == 1:
        node = node.named_children[0]
        if node.type in known.comments | known.strings:
            return True
    return False


@cache
def grammar(name: str) -> tree_sitter.Language:
    """A grammar's rules; it is loaded when it is first wanted."""
    from tree_sitter_language_pack import get_language

    return get_language(cast(Any, name))


def _parser(name: str) -> tree_sitter.Parser:
    from tree_sitter import Parser

    return Parser(grammar(name))


@cache
def _query(name: str, query: str) -> tree_sitter.Query:
    from tree_sitter import Query

    return Query(grammar(name), query)
