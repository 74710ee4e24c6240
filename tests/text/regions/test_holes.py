"""Placeholders («»), in every language."""

from __future__ import annotations

import re

import pytest

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.actions import Action, offered
from dgemma_lsp.text.regions.holes import MOST_HOLES, holes
from dgemma_lsp.text.source_code import SourceCode
from tests.text.regions.marked import with_regions, without_marks

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("language", "marked"),
    [
        pytest.param("python", "def f():\n    «...»\n", id="dots for a body"),
        pytest.param("python", 'def f():\n    """Doc."""\n    «...»\n', id="dots behind a docstring"),
        pytest.param("python", "x: tuple[int, ...] = y[...]\n...\n", id="dots that are no body"),
        pytest.param("python", "def f():\n    «pass»  # TODO: write\n", id="pass with a comment behind it"),
        pytest.param(
            "python", "def f():\n    # TODO: write\n    «pass»\n", id="pass with a comment before it"
        ),
        pytest.param("python", "def f():\n    x()\n    # FIXME\n    «pass»\n", id="pass in the end"),
        pytest.param("python", "def f():\n    pass\n", id="pass without a comment is meant"),
        pytest.param("python", "def f():\n    pass  # nothing to do\n", id="pass with another comment too"),
        pytest.param("python", "def f():\n    «raise NotImplementedError»\n", id="an error without words"),
        pytest.param("python", "def f():\n    «raise NotImplementedError('x')»\n", id="an error with words"),
        pytest.param("python", "def f():\n    raise ValueError\n", id="another error"),
        pytest.param("python", "@overload\ndef f(): ...\n", id="an overload has no body"),
        pytest.param(
            "python",
            "class A:\n    @abstractmethod\n    def f(self):\n        raise NotImplementedError\n",
            id="nor has an abstract method",
        ),
        pytest.param(
            "python", "class A(Protocol):\n    def f(self): ...\n\ndef g(): «...»\n", id="nor a protocol's"
        ),
        pytest.param("python", "x = «⟨fill⟩» + f(«⟨fill⟩»)\n# «⟨fill⟩»\n", id="markers everywhere"),
        pytest.param(
            "javascript", "f() { «throw new Error('not implemented')» }\n", id="JavaScript: an error"
        ),
        pytest.param("javascript", "f() { throw new Error('no') }\n", id="JavaScript: another error"),
        pytest.param("javascript", "function f() { «/* TODO */» }\n", id="JavaScript: only a comment"),
        pytest.param("javascript", "function f() { /* TODO */ g() }\n", id="JavaScript: not only a comment"),
        pytest.param("typescript", "function f(): void {\n  «// TODO»\n}\n", id="TypeScript"),
        pytest.param(
            "tsx", "const a = () => { «throw new Error('Not implemented');» }\n", id="TSX: an error"
        ),
        pytest.param("tsx", "const a = <p>«⟨fill⟩»</p>\n", id="TSX: a marker"),
        pytest.param("go", 'func f() { «panic("not implemented")» }\n', id="Go"),
        pytest.param("go", 'func f() { panic("no") }\nfunc g() {\n\t«// TODO»\n}\n', id="Go: only a comment"),
        pytest.param("rust", "fn f() -> u8 { «todo!()» }\n", id="Rust: todo!"),
        pytest.param("rust", 'fn f() {\n    «unimplemented!("x")»;\n}\n', id="Rust: unimplemented!"),
        pytest.param("c", "int f(void)\n{\n  «/* TODO */»\n}\n", id="C"),
        pytest.param("cpp", 'int f() { «throw std::logic_error("not implemented");» }\n', id="C++"),
        pytest.param(
            "java", "class A { int f() { «throw new UnsupportedOperationException();» } }\n", id="Java"
        ),
        pytest.param("ruby", "def f\n  «raise NotImplementedError»\nend\n", id="Ruby"),
        pytest.param("ruby", "def f(x)\n  «# TODO»\nend\n", id="Ruby: only a comment"),
        pytest.param("lua", "function f()\n  «error('not implemented')»\nend\n", id="Lua"),
        pytest.param("shellscript", "f() {\n  # TODO\n  «:»\n}\n", id="Bash"),
        pytest.param("json", '{"a": «⟨fill⟩»}\n', id="JSON"),
        pytest.param("yaml", "a: «⟨fill⟩»\n", id="YAML"),
        pytest.param("toml", "a = «⟨fill⟩»\n", id="TOML"),
        pytest.param(
            "markdown",
            "# «⟨fill⟩» ...\n\n```python x\ndef f():\n    «...»\n```\n\n```\ndef f(): ...\n```\n",
            id="Markdown: markers, and what is one in a fence's language",
        ),
        pytest.param("c", "int f()\r\n{\r\n  «// TODO»\r\n}\r\n", id="a comment before a CRLF"),
        pytest.param("go", "func f() {\r\n\t«// TODO»\r\n}\r\n", id="another comment before a CRLF"),
        pytest.param("kotlin", "x = «⟨fill⟩»; TODO()\n", id="a language that nobody knows"),
        pytest.param("python", "# 😋\r\ndef f():\r\n    «...»\r\n", id="behind an astral character"),
    ],
)
def test_placeholders_are_found(language: str, marked: str) -> None:
    text = without_marks(marked)
    assert with_regions(text, holes(SourceCode(text, language))) == marked


def test_of_many_placeholders_the_first_are_filled() -> None:
    text = "x = ⟨fill⟩\n" * 20
    assert [hole.start for hole in holes(SourceCode(text, "python"))] == [
        11 * n + 4 for n in range(MOST_HOLES)
    ]


def test_a_placeholder_in_another_is_part_of_it() -> None:
    marked = "def f():\n    «raise NotImplementedError('⟨fill⟩')»\n"
    assert with_regions(without_marks(marked), holes(SourceCode(without_marks(marked), "python"))) == marked


def test_placeholders_may_be_looked_for_in_a_part() -> None:
    text = "a = ⟨fill⟩\nb = ⟨fill⟩\nc = ⟨fill⟩\n"
    assert holes(SourceCode(text, "python"), Region(8, 22)) == [Region(15, 21)]


def test_no_placeholder_of_a_long_text_is_missed() -> None:
    function = "def f(a):\n    '''Docs.'''\n    if a:\n        return [a, ...]\n    {}\n\n\n"
    text = "".join(function.format("..." if n % 300 == 150 else "return 1") for n in range(4000))
    assert text.count("\n") > 20_000
    expected = [match.start() + 4 for match in re.finditer("    [.]{3}\n", text)]
    assert [hole.start for hole in holes(SourceCode(text, "python"))] == expected
    assert len(expected) == 13


@pytest.mark.parametrize(
    ("markers", "found"),
    [((), []), (("<FILL>",), ["<FILL>", "<FILL>"]), (("<FILL>", "⟨fill⟩"), ["<FILL>", "⟨fill⟩", "<FILL>"])],
)
def test_markers_may_be_others(markers: tuple[str, ...], found: list[str]) -> None:
    text = "a = <FILL>\nb = ⟨fill⟩\n\n\ndef f():\n    return <FILL>\n"
    assert [text[one.start : one.end] for one in holes(SourceCode(text, "python", markers))] == found
    offers = offered(SourceCode(text, "python", markers), Region(0, 0))
    assert (Action.FILL_FILE in offers) is bool(found)
