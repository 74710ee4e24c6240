"""Cursors (ˇ) and selections («») → regions."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_lsp.text.regions.at_cursor import (
    MOST_HOLES,
    Action,
    Frame,
    Silence,
    arguments_region,
    block_region,
    completion_region,
    docstring_and_body,
    enclosing_function,
    framed,
    frames,
    holes,
    lines_to_read,
    offered,
    quiet_regions,
    selection_region,
    stays_in_line,
    unfinished_block,
)
from dgemma_lsp.text.syntax import languages

pytestmark = pytest.mark.timeout(20)

TEXTS = st.text(alphabet="ab_é😋(). \t\n\r", max_size=30)

PIECES = [
    "def f(x):",
    "    ",
    "\n",
    "\r\n",
    "pass",
    "  # TODO",
    "...",
    "⟨fill⟩",
    "😋",
    "if x:",
    "f(",
    ")",
    "{",
    "}",
]
PIECES += [
    '"""',
    "function f() ",
    "/* TODO */",
    "todo!()",
    "```python\n",
    "```\n",
    "a: ",
    "end",
    "return x",
    ";",
    "{\r\n",
    "// TODO",
]
CODE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@pytest.mark.parametrize(
    "marked",
    [
        pytest.param("def f(x):\n    return ˇ\n", id="the end of a line: the rest of it"),
        pytest.param("def f(x):\n    ˇ\n", id="an empty line in a body"),
        pytest.param("def f(x):ˇ", id="the end of the document"),
        pytest.param("ˇ", id="an empty document"),
        pytest.param("retˇ\n", id="the end of a word: more of it may come"),
        pytest.param("print(ˇ)\n", id="before closing brackets, which stay"),
        pytest.param('x = ["a", ˇ] + y\n', id="in the middle of a line, before the next token"),
        pytest.param("x =ˇ  \n", id="before blanks at the end of a line, which stay"),
        pytest.param("x = ˇy\n", id="before a word"),
        pytest.param("if x:\n    ˇreturn\n", id="before the first token of a line"),
        pytest.param("ˇ    \n", id="in the blanks of an empty line"),
        pytest.param("x = ˇ\r\ny\r\n", id="before a CRLF"),
        pytest.param("a = 1\rb = ˇ\rc", id="between old Mac line ends"),
        pytest.param("if (x) {ˇ}\n", id="between braces"),
        pytest.param("if (x) {\n    ˇ\n}\n", id="an empty line behind a brace"),
        pytest.param("x = 'some ˇ'\n", id="in a string"),
        pytest.param("x = 1  # because ˇ\n", id="in a comment"),
        pytest.param("x = f(a, ˇ\n", id="in brackets that nobody has closed"),
    ],
)
def test_a_cursor_becomes_an_insertion_point(marked: str) -> None:
    cursor = marked.index("ˇ")
    assert completion_region(marked.replace("ˇ", ""), cursor) == Region(cursor, cursor)


@pytest.mark.parametrize(
    ("marked", "silence"),
    [
        pytest.param("retˇurn x\n", Silence.IN_WORD, id="inside of a word"),
        pytest.param("x = 1ˇ0\n", Silence.IN_WORD, id="inside of a number"),
        pytest.param("größˇe\n", Silence.IN_WORD, id="inside of a word that is not ASCII"),
        pytest.param("ˇ    return x\n", Silence.IN_INDENTATION, id="before the indentation of a line"),
        pytest.param("  ˇ  return x\n", Silence.IN_INDENTATION, id="in the indentation of a line"),
    ],
)
def test_where_an_insertion_would_only_annoy_there_is_none(marked: str, silence: Silence) -> None:
    assert completion_region(marked.replace("ˇ", ""), marked.index("ˇ")) is silence


@given(text=TEXTS, data=st.data())
def test_a_completion_never_touches_the_text_around_it(text: str, data: st.DataObject) -> None:
    region = completion_region(text, data.draw(st.integers(0, len(text))))
    if isinstance(region, Region):
        assert region.start == region.end
        assert text[region.start - 1 : region.start + 1] != "\r\n"


@pytest.mark.parametrize(
    ("selected", "marked"),
    [
        pytest.param("x = [a + b]\n", "x = «a + b»\n", id="an expression"),
        pytest.param("x = [ a + b ]\n", "x =  «a + b» \n", id="blanks around it stay"),
        pytest.param(
            "if x:\n[    a()\n    b()\n]c()\n",
            "if x:\n    «a()\n    b()»\nc()\n",
            id="whole lines: the first indentation and the last line break stay",
        ),
        pytest.param("a[\r\nb\r\n]c", "a\r\n«b»\r\nc", id="line breaks around it stay"),
        pytest.param("fo[o(a, ]b)", "fo«o(a,» b)", id="half of a call: as it was marked"),
    ],
)
def test_a_selection_becomes_a_region(selected: str, marked: str) -> None:
    # The selection is in the first pair of brackets that isn't code: the outer one.
    start, end = selected.index("["), selected.rindex("]") - 1
    text = selected[:start] + selected[start + 1 : end + 1] + selected[end + 2 :]
    assert marking(text, selection_region(text, start, end)) == marked


@pytest.mark.parametrize("selected", ["", " ", "\n\n", "\r\n\t"])
def test_a_selection_of_nothing_is_no_region(selected: str) -> None:
    assert selection_region(f"a{selected}b", 1, 1 + len(selected)) is None


@given(text=TEXTS, data=st.data())
def test_a_region_lies_in_its_selection_and_only_blanks_are_left_out(text: str, data: st.DataObject) -> None:
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    region = selection_region(text, start, end)
    if region is None:
        assert not text[start:end].strip()
    else:
        assert start <= region.start < region.end <= end
        assert text[region.start : region.end] == text[start:end].strip()


def marking(text: str, region: Region | None) -> str:
    assert region is not None
    return text[: region.start] + "«" + text[region.start : region.end] + "»" + text[region.end :]


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        pytest.param("x = «»\n", True, id="the rest of a line"),
        pytest.param("print(«a, b»)\n", True, id="a selection inside a line"),
        pytest.param("if x:\n    «»\n", False, id="an empty line behind a colon: a block"),
        pytest.param("x = 1\n«»\n", True, id="an empty line behind a statement"),
        pytest.param("if x:\n    «a()\n    b()»\n", False, id="a selection of two lines"),
        pytest.param("«»", True, id="an empty document"),
        pytest.param("if (x) {\n    «»\n}\n", False, id="an empty line behind a brace: a block"),
        pytest.param("def f():\n    «...»\n", False, id="a placeholder alone on its line: a block"),
        pytest.param(
            "f() {\n  «throw new Error('not implemented')»;\n}\n", False, id="one in another language"
        ),
        pytest.param("x = «⟨fill⟩»\n", True, id="a placeholder in a line"),
        pytest.param("    «a + b»\n", True, id="a line that is no placeholder"),
    ],
)
def test_a_region_inside_a_line_stays_there(marked: str, wanted: bool) -> None:
    start = marked.index("«")
    region = Region(start, marked.index("»") - 1)
    assert stays_in_line(marked.replace("«", "").replace("»", ""), region) is wanted


# From syntax


def parts(marked: str) -> tuple[str, int]:
    return marked.replace("ˇ", ""), marked.index("ˇ")


def with_regions(text: str, regions: Iterable[Region]) -> str:
    for region in sorted(regions, reverse=True):
        text = f"{text[: region.start]}«{text[region.start : region.end]}»{text[region.end :]}"
    return text


def without_marks(marked: str) -> str:
    return marked.replace("«", "").replace("»", "")


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
    assert with_regions(text, holes(text, language)) == marked


def test_of_many_placeholders_the_first_are_filled() -> None:
    text = "x = ⟨fill⟩\n" * 20
    assert [hole.start for hole in holes(text, "python")] == [11 * n + 4 for n in range(MOST_HOLES)]


def test_a_placeholder_in_another_is_part_of_it() -> None:
    marked = "def f():\n    «raise NotImplementedError('⟨fill⟩')»\n"
    assert with_regions(without_marks(marked), holes(without_marks(marked), "python")) == marked


def test_placeholders_may_be_looked_for_in_a_part() -> None:
    text = "a = ⟨fill⟩\nb = ⟨fill⟩\nc = ⟨fill⟩\n"
    assert holes(text, "python", Region(8, 22)) == [Region(15, 21)]


def test_no_placeholder_of_a_long_text_is_missed() -> None:
    function = "def f(a):\n    '''Docs.'''\n    if a:\n        return [a, ...]\n    {}\n\n\n"
    text = "".join(function.format("..." if n % 300 == 150 else "return 1") for n in range(4000))
    assert text.count("\n") > 20_000
    expected = [match.start() + 4 for match in re.finditer("    [.]{3}\n", text)]
    assert [hole.start for hole in holes(text, "python")] == expected
    assert len(expected) == 13


@given(text=CODE, name=st.sampled_from(sorted(languages())), data=st.data())
def test_whatever_the_text_regions_lie_in_it_and_apart(text: str, name: str, data: st.DataObject) -> None:
    # As an editor's position: never between CR and LF.
    places = st.integers(0, len(text)).filter(lambda at: text[at - 1 : at + 1] != "\r\n")
    cursor = data.draw(places)
    ends = sorted((cursor, data.draw(places)))
    for selected in (Region(cursor, cursor), Region(*ends)):
        shown = offered(text, name, selected)
        for action in Action:
            wanted = frames(action, text, name, selected)
            assert wanted or action not in shown
            if wanted:
                MaskedDocument(text, tuple(frame.region for frame in wanted))
                MaskedDocument(*framed(text, wanted))
                ends_of_regions = {at for one in wanted for at in (one.region.start, one.region.end)}
                assert all(text[at - 1 : at + 1] != "\r\n" for at in ends_of_regions if at)
                assert framed(text, wanted)[0] == slowly_framed(text, wanted)


def slowly_framed(text: str, wanted: tuple[Frame, ...]) -> str:
    for frame in reversed(wanted):
        start, end = frame.region.start, frame.region.end
        text = text[:start] + frame.before + text[start:end] + frame.after + text[end:]
    return text


@pytest.mark.parametrize(
    ("language", "marked", "function"),
    [
        pytest.param(
            "python", "x = 1\ndef f():\n    retˇurn 1\n", "def f():\n    return 1", id="in its body"
        ),
        pytest.param("python", "deˇf f():\n    return 1\n", "def f():\n    return 1", id="in its header"),
        pytest.param("python", "def f():\n    return 1ˇ\n", "def f():\n    return 1", id="at its end"),
        pytest.param(
            "python", "def f():\n    a()\n    ˇ\n\nb()\n", "def f():\n    a()", id="indented behind it"
        ),
        pytest.param("python", "def f():\n    a()\nˇ\nb()\n", None, id="behind it"),
        pytest.param("python", "x = ˇ1\n", None, id="outside of all functions"),
        pytest.param("python", "def f():\n    def g(): paˇss\n", "def g(): pass", id="the innermost one"),
        pytest.param("typescript", "f(() => { ˇa() })\n", "() => { a() }", id="a function without a name"),
        pytest.param("go", "func f() {\n\tˇ\n}\n", "func f() {\n\t\n}", id="an empty one in Go"),
        pytest.param("ruby", "def f\n  ˇ\nend\n", "def f\n  \nend", id="an empty one in Ruby"),
        pytest.param("markdown", "# def\n```python\ndef f(): paˇss\n```\n", "def f(): pass", id="in a fence"),
        pytest.param("markdown", "ˇ# def\n```python\ndef f(): pass\n```\n", None, id="beside a fence"),
        pytest.param("kotlin", "fun f() { ˇ }\n", None, id="in a language that nobody knows"),
        pytest.param("python", "'😋'\ndef f(): ˇpass\n", "def f(): pass", id="behind an astral character"),
    ],
)
def test_the_function_around_a_cursor(language: str, marked: str, function: str | None) -> None:
    text, cursor = parts(marked)
    found = enclosing_function(text, language, cursor)
    assert (found and text[found.start : found.end]) == function


def test_a_function_that_is_longer_than_what_is_parsed_at_first_is_found_whole() -> None:
    text = "x = 1\n\ndef f():\n" + "    x = 1\n" * 20_000 + "\ny = 1\n"
    assert enclosing_function(text, "python", 150_000) == Region(7, len(text) - len("\n\ny = 1\n"))


@pytest.mark.parametrize(
    ("language", "marked", "wanted"),
    [
        pytest.param("python", "x = f(ˇ)\n", "x = f(«»)\n", id="none yet"),
        pytest.param("python", "x = f(a, ˇb)\n", "x = f(«a, b»)\n", id="some"),
        pytest.param("python", "x = f(a)ˇ\n", None, id="behind them"),
        pytest.param("python", "x = fˇ(a)\n", None, id="before them"),
        pytest.param("python", "x = f(g(ˇa), b)\n", "x = f(g(«a»), b)\n", id="the innermost call"),
        pytest.param("python", "x = f(g(a)ˇ)\n", "x = f(«g(a)»)\n", id="behind an inner call"),
        pytest.param("python", "f(\n    ˇ\n)\n", "f(\n    «»\n)\n", id="on a line of their own"),
        pytest.param("python", "f('aˇ')\n", None, id="in a string"),
        pytest.param("python", "f(a  # hˇm\n)\n", None, id="in a comment"),
        pytest.param("python", "x = (ˇ)\n", None, id="parentheses without a call"),
        pytest.param("rust", "fn f() { g(ˇ) }\n", "fn f() { g(«») }\n", id="Rust"),
        pytest.param("ruby", "puts ˇx\n", None, id="a call without parentheses"),
        pytest.param("java", "class A { int x = f(ˇ); }\n", "class A { int x = f(«»); }\n", id="Java"),
        pytest.param("python", "'😋'; f(ˇ)\n", "'😋'; f(«»)\n", id="behind an astral character"),
    ],
)
def test_the_arguments_around_a_cursor(language: str, marked: str, wanted: str | None) -> None:
    text, cursor = parts(marked)
    found = arguments_region(text, language, cursor)
    assert (found and marking(text, found)) == wanted


@pytest.mark.parametrize(
    ("language", "marked", "wanted"),
    [
        pytest.param("python", "if x:ˇ\n    a()\n    b()\n", "if x:\n    «a()\n    b()»\n", id="its header"),
        pytest.param("python", "if x:\n    aˇ()\n", "if x:\n    «a()»\n", id="a statement in it"),
        pytest.param(
            "python",
            "def f():\n    if x:\n        a()\n    ˇ\n",
            "def f():\n    «if x:\n        a()»\n    \n",
            id="the one that a line continues",
        ),
        pytest.param(
            "python", "if x:\n    a()\nelse:ˇ\n    b()\n", "if x:\n    a()\nelse:\n    «b()»\n", id="else"
        ),
        pytest.param("python", "x = ˇ1\n", None, id="none"),
        pytest.param("python", "def f():\n    ˇ\n", "def f():\n    «»\n", id="an empty one"),
        pytest.param(
            "java",
            "class A { void f() { if (x) { a(); } else { ˇb(); } } }\n",
            "class A { void f() { if (x) { a(); } else { «b();» } } }\n",
            id="the second of two",
        ),
        pytest.param("javascript", "f = () => {ˇ}\n", "f = () => {«»}\n", id="between braces"),
        pytest.param(
            "javascript", "function ˇf() {\r\n\r\n}", "function f() {\r\n«»\r\n}", id="before a CRLF"
        ),
        pytest.param(
            "javascript", "function ˇf() {\n  \n}\n", "function f() {\n  «»\n}\n", id="its empty line"
        ),
        pytest.param(
            "javascript", "function ˇf() {\n}\n", "function f() {«»\n}\n", id="without an empty line"
        ),
        pytest.param(
            "lua", "if x then\n  ˇ\nend\n", "if x then\n  «»\nend\n", id="no node for an empty body"
        ),
        pytest.param(
            "bash", "for x in 1; do\n  echo ˇ1\ndone\n", "for x in 1; do\n  «echo 1»\ndone\n", id="Bash"
        ),
        pytest.param("json", '{"a": {ˇ}}\n', '{"a": {«»}}\n', id="an object"),
        pytest.param("yaml", "a:\n  b: ˇ1\n", "a:\n  «b: 1»\n", id="a mapping"),
        pytest.param("toml", "a = [ˇ]\n", "a = [«»]\n", id="an array"),
    ],
)
def test_the_block_around_a_cursor(language: str, marked: str, wanted: str | None) -> None:
    text, cursor = parts(marked)
    found = block_region(text, language, cursor)
    assert (found and marking(text, found)) == wanted


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        pytest.param("if x:\n    aˇ()\n", None, id="nothing is missing"),
        pytest.param(
            "if x:\n    a()\n    ˇ\n    b()\n", "if x:\n    a()\n    «»\n    b()\n", id="an empty line"
        ),
        pytest.param("def f():\n    a()\n    ...ˇ\n", "def f():\n    a()\n    «...»\n", id="its placeholder"),
        pytest.param("def f():\n    ˇ\n", "def f():\n    «»\n", id="all of it"),
    ],
)
def test_a_block_is_completed_without_losing_a_statement(marked: str, wanted: str | None) -> None:
    text, cursor = parts(marked)
    found = unfinished_block(text, "python", cursor)
    assert (found and marking(text, found)) == wanted


@pytest.mark.parametrize(
    ("language", "marked", "wanted"),
    [
        pytest.param("python", "class A:ˇ\n", "class A:\n    «»\n", id="behind a colon"),
        pytest.param("go", "func f() {ˇ}\n", "func f() {\n    «»\n}\n", id="between braces"),
        pytest.param("c", "\tif (x) {ˇ}\r\n", "\tif (x) {\r\n\t\t«»\r\n\t}\r\n", id="tabs and CRLF"),
        pytest.param("python", "class A:\n  ˇ\n", "class A:\n  «»\n", id="there is a line already"),
    ],
)
def test_a_block_is_begun_on_a_line_of_its_own(language: str, marked: str, wanted: str) -> None:
    text, cursor = parts(marked)
    after, regions = framed(text, frames(Action.COMPLETE_BLOCK, text, language, Region(cursor, cursor)))
    assert with_regions(after, regions) == wanted


@pytest.mark.parametrize(
    ("language", "marked", "wanted"),
    [
        pytest.param("python", "def f():\n    ˇa()\n", 'def f():\n    """«»"""\n    «a()»\n', id="none yet"),
        pytest.param(
            "python",
            "def f():\n    '''Old.'''\n    ˇa()\n",
            "def f():\n    '''«Old.»'''\n    «a()»\n",
            id="there is one",
        ),
        pytest.param(
            "python", "def f():\n    '''Old.'''ˇ\n", "def f():\n    '''«Old.»'''\n    «»\n", id="only one"
        ),
        pytest.param("python", "def f():\n    ˇ\n", 'def f():\n    """«»"""\n    «»\n', id="an empty body"),
        pytest.param(
            "python", "\tdef f(): ˇ...\n", '\tdef f(): \n\t\t"""«»"""\n\t\t«...»\n', id="in one line"
        ),
        pytest.param("python", "def f():\r\n  ˇa()\r\n", 'def f():\r\n  """«»"""\r\n  «a()»\r\n', id="CRLF"),
        pytest.param("python", "x = ˇ1\n", None, id="no function"),
        pytest.param("python", "class A:\n    x = ˇ1\n", None, id="a class"),
        pytest.param(
            "java",
            "class A {\n  int f() { ˇ }\n}\n",
            "class A {\n  /** «» */\n  int f() { «» }\n}\n",
            id="Java",
        ),
        pytest.param("rust", "fn f() { ˇa() }\n", "/// «»\nfn f() { «a()» }\n", id="Rust"),
        pytest.param("rust", "/// Old.\nfn f() { ˇa() }\n", None, id="there is a comment above"),
        pytest.param("json", '{"a": ˇ1}\n', None, id="a language without functions"),
    ],
)
def test_documentation_and_body_are_two_regions(language: str, marked: str, wanted: str | None) -> None:
    text, cursor = parts(marked)
    found = docstring_and_body(text, language, cursor)
    if found is None:
        assert wanted is None
        return
    after, regions = framed(text, found)
    assert with_regions(after, regions) == wanted


@pytest.mark.parametrize(
    ("language", "marked", "words"),
    [
        pytest.param("python", "x = ˇ1\n", [], id="nothing to do"),
        pytest.param("python", "x = ⟨fill⟩ˇ\n", ["file"], id="a hole outside of functions"),
        pytest.param(
            "python", "def f():\n    ...ˇ\n", ["file", "function", "block", "docstring"], id="a stub"
        ),
        pytest.param("python", "def f():\n    ...\nx = ˇ1\n", ["file"], id="a stub elsewhere"),
        pytest.param("python", "x = f(ˇ)\n", ["arguments"], id="a call"),
        pytest.param("kotlin", "x = f(ˇ)\n", [], id="a language that nobody knows"),
    ],
)
def test_only_what_makes_sense_is_offered(language: str, marked: str, words: list[str]) -> None:
    text, cursor = parts(marked)
    found = [action.value for action in offered(text, language, Region(cursor, cursor))]
    assert [word for word, title in zip(words, found, strict=True) if word in title] == words


def test_who_has_selected_something_means_that() -> None:
    text = "def f():\n    return g(a)\n"
    rewrites = [Action.REWRITE, Action.REWRITE_GENTLY, Action.REWRITE_ANEW]
    assert offered(text, "python", Region(22, 23)) == rewrites


# To be proofread


def test_strings_and_comments_need_not_be_read() -> None:
    text = 'x = "a" + f("b")  # c\n# d\n\n"""e\nf"""\n  y = 1  \n'
    quiet = quiet_regions(text, "python")
    assert [text[one.start : one.end] for one in quiet] == ['"a"', '"b"', "# c", "# d", '"""e\nf"""']
    lines = lines_to_read(text, quiet)
    assert [text[one.start : one.end] for one in lines] == ['x = "a" + f("b")  # c', "y = 1"]


def test_a_language_that_is_not_known_is_read_as_a_whole() -> None:
    assert quiet_regions("# x\n", "cobol") == []
    assert lines_to_read(" # x\n\n", []) == [Region(1, 4)]


@pytest.mark.parametrize(
    ("markers", "found"),
    [((), []), (("<FILL>",), ["<FILL>", "<FILL>"]), (("<FILL>", "⟨fill⟩"), ["<FILL>", "⟨fill⟩", "<FILL>"])],
)
def test_markers_may_be_others(markers: tuple[str, ...], found: list[str]) -> None:
    text = "a = <FILL>\nb = ⟨fill⟩\n\n\ndef f():\n    return <FILL>\n"
    assert [text[one.start : one.end] for one in holes(text, "python", None, markers)] == found
    offers = offered(text, "python", Region(0, 0), markers)
    assert (Action.FILL_FILE in offers) is bool(found)


@pytest.mark.parametrize("inside", ["<FILL>", "⟨fill⟩", "pass", "TODO: sort"])
def test_a_block_may_follow_where_a_placeholder_stands_alone(inside: str) -> None:
    text = f"def f():\n    {inside}\n"
    region = Region(13, 13 + len(inside))
    assert not stays_in_line(text, region, "python", ("<FILL>",))
    assert stays_in_line(f"x = {inside}\n", Region(4, 4 + len(inside)), "python", ("<FILL>",))


def test_what_is_no_marker_is_a_line() -> None:
    assert stays_in_line("<FILL>\n", Region(0, 6))
