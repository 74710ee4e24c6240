"""The languages in `languages.toml`, and how one is found by the names that editors and files use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

_PLAIN_TEXT = "plaintext"
_NAMES_OF_PLAIN_TEXT = frozenset({"", _PLAIN_TEXT, "text"})


class Placement(Enum):
    """Where the documentation of a function is written."""

    BODY = "body"
    """It is the first statement of the body."""
    ABOVE = "above"
    """It is a comment above the function."""


@dataclass(frozen=True, slots=True)
class Documentation:
    """How the documentation of a function is written: ``opening``, its text, ``closing``."""

    placement: Placement
    opening: str
    closing: str


@dataclass(frozen=True, slots=True)
class Language:
    """What we know about a language. Sets of strings hold node kinds of its grammar.

    Attributes:
        name: what its grammar is called.
        ids: what editors call it.
        extensions: how the names of its files end, with the dot.
        code_starts: words that begin a line of code, but hardly ever a line of a string or a comment. Empty if there
            are none.
        functions: nodes that have a name or parameters, and a body.
        blocks: nodes that hold statements, members or entries.
        statements: other nodes that have a block.
        arguments: the arguments of a call, with their brackets.
        strings: strings, with their quotes.
        comments: all kinds of comments.
        indented: whether a block ends where its indentation does.
        stand_in: a character that, repeated, can take the place of a value.
        hole_words: words of which every placeholder contains one. A text without them need not be parsed.
        holes: a query whose @hole nodes are placeholders.
        kept: a query. Placeholders inside its @kept nodes are intended, and stay.
        documentation: how functions are documented; None if they never are.
        fences: nodes with text in another language.
        fence_language: the node in a fence that names that language.
        fence_text: the node in a fence that holds the text.
    """

    name: str
    ids: tuple[str, ...]
    extensions: tuple[str, ...]
    code_starts: tuple[str, ...]
    functions: frozenset[str]
    blocks: frozenset[str]
    statements: frozenset[str]
    arguments: frozenset[str]
    strings: frozenset[str]
    comments: frozenset[str]
    indented: bool
    stand_in: str
    hole_words: tuple[str, ...]
    holes: str
    kept: str
    documentation: Documentation | None
    fences: frozenset[str]
    fence_language: str
    fence_text: str

    @property
    def kinds(self) -> frozenset[str]:
        """Every node kind named here, except those in queries."""
        sets = (self.functions, self.blocks, self.statements, self.arguments, self.strings, self.comments)
        single = {self.fence_language, self.fence_text} - {""}
        return frozenset().union(*sets, self.fences, single)

    @property
    def prose(self) -> frozenset[str]:
        """The nodes that hold text for people, not code: strings and comments."""
        return self.strings | self.comments


def languages() -> Mapping[str, Language]:
    """Return the whole table, by the grammars' names."""
    return _table()[1]


def default_marker() -> str:
    """Return what anybody may write, in any language, where something is to be filled in."""
    return _table()[0]


def find(name: str | None, path: str = "") -> Language | None:
    """Return the language that an editor calls ``name``; without a name, the one that a path's extension tells."""
    return _by_name().get(name.lower() if name else PurePosixPath(path).suffix.lower())


def language_id(name: str, path: str) -> str | None:
    """Return what a document's language is called: what the editor says, or for plain text, what its extension tells.

    Returns:
        A name in lower case; None if neither tells.
    """
    if (lower := name.lower()) not in _NAMES_OF_PLAIN_TEXT:
        return lower
    known = find(None, path)
    return known.name if known else None


def is_one_of(name: str | None, names: Iterable[str]) -> bool:
    """Return whether a language is among others, all of them named as editors do. No language is ``plaintext``."""
    return _canonical(name or _PLAIN_TEXT) in map(_canonical, names)


def _canonical(name: str) -> str:
    known = find(name)
    return known.name if known else name.lower()


@cache
def _table() -> tuple[str, Mapping[str, Language]]:
    import tomllib

    data = tomllib.loads(Path(__file__).with_name("languages.toml").read_text("utf-8"))
    entries: dict[str, dict[str, Any]] = {}
    for name, entry in data["languages"].items():
        entries[name] = entries.get(entry.get("like"), {}) | entry
    return data["marker"], MappingProxyType({name: _language(name, entries[name]) for name in entries})


def _language(name: str, entry: Mapping[str, Any]) -> Language:
    def kinds(key: str) -> frozenset[str]:
        return frozenset(entry.get(key, ()))

    return Language(
        name=name,
        ids=tuple(entry["ids"]),
        extensions=tuple(entry["extensions"]),
        code_starts=tuple(entry.get("code_starts", ())),
        functions=kinds("functions"),
        blocks=kinds("blocks"),
        statements=kinds("statements"),
        arguments=kinds("arguments"),
        strings=kinds("strings"),
        comments=kinds("comments"),
        indented=entry.get("indented", False),
        stand_in=entry.get("stand_in", "_"),
        hole_words=tuple(entry.get("hole_words", ())),
        holes=entry.get("holes", ""),
        kept=entry.get("kept", ""),
        documentation=_documentation(entry.get("documentation")),
        fences=kinds("fences"),
        fence_language=entry.get("fence_language", ""),
        fence_text=entry.get("fence_text", ""),
    )


def _documentation(entry: Mapping[str, str] | None) -> Documentation | None:
    if entry is None:
        return None
    return Documentation(Placement(entry["placement"]), entry["opening"], entry["closing"])


@cache
def _by_name() -> Mapping[str, Language]:
    names = ((key, known) for known in languages().values() for key in _names(known))
    return MappingProxyType(dict(names))


def _names(language: Language) -> tuple[str, ...]:
    return (language.name, *language.ids, *language.extensions)
