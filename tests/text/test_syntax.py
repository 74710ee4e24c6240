"""Text → nodes with character offsets, and the table of languages against the grammars."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.text import syntax
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.syntax import Excerpt, Language, Node, excerpts, find, languages, parsed

pytestmark = pytest.mark.timeout(60)

PYTHON = languages()["python"]
LANGUAGES = st.sampled_from(sorted(languages()))
TEXTS = st.text(alphabet="abdef_ é😋\ud800\0(){}[]\"'`#/*:;.=<>-⟨fill⟩ \t\n\r", max_size=60)

every_language = pytest.mark.parametrize("language", languages().values(), ids=languages())


# The table


def test_sixteen_languages_are_known() -> None:
    wanted = "python javascript typescript tsx go rust c cpp java ruby lua bash json yaml toml markdown"
    assert list(languages()) == wanted.split()


@every_language
def test_every_kind_in_the_table_is_one_of_the_grammars(language: Language) -> None:
    grammar = syntax.grammar(language.name)
    assert {kind for kind in language.kinds if grammar.id_for_node_kind(kind, True) is None} == set()


@every_language
def test_the_grammar_understands_the_queries(language: Language) -> None:
    excerpt = whole("", language)
    assert list(excerpt.captures(language.holes)) == []
    assert list(excerpt.captures(language.kept)) == []


@every_language
def test_every_capture_is_one_that_is_read(language: Language) -> None:
    named = set(re.findall(r"@([a-z]\w*)", language.holes + language.kept))
    assert named <= {"hole", "kept"}


@every_language
def test_a_language_is_found_by_every_name_it_has(language: Language) -> None:
    assert {find(name) for name in (language.name, language.name.upper(), *language.ids)} == {language}
    assert {find(None, f"folder.x/name{extension}") for extension in language.extensions} == {language}


def test_no_two_languages_share_a_name() -> None:
    names = [name for one in languages().values() for name in {one.name, *one.ids, *one.extensions}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("language", ["", "klingon", None])
def test_an_unknown_language_is_none(language: str | None) -> None:
    assert find(language) is None


def test_a_language_may_be_called_by_any_of_its_names() -> None:
    assert syntax.is_one_of("typescriptreact", ["python", "tsx"])
    assert syntax.is_one_of("Kotlin", ["kotlin"])
    assert not syntax.is_one_of("go", ["python"])
    assert syntax.is_one_of(None, ["plaintext"])
    assert not syntax.is_one_of(None, ["python"])


# Nodes


def whole(text: str, language: Language = PYTHON) -> Excerpt:
    return parsed(text, (Region(0, len(text)),), language)


def nodes(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        yield (node := waiting.pop())
        waiting += node.children


def test_offsets_are_characters_whatever_stands_before() -> None:
    text = "# 😋 é\nx = '😋' + naïve\n"
    found = {node.kind: text[node.start : node.end] for node in nodes(whole(text).root) if not node.children}
    assert found["comment"] == "# 😋 é"
    assert found["string_content"] == "😋"
    assert [text[n.start : n.end] for n in nodes(whole(text).root) if n.kind == "identifier"] == [
        "naïve",
        "x",
    ]


@pytest.mark.parametrize("filler", ["x", "é", "😋"])
def test_offsets_stay_right_in_a_long_line(filler: str) -> None:
    text = f"x = '{filler * 5000}'; {filler.replace('😋', 'z')}y = 1\n"
    last = text.rindex("1")
    assert whole(text).at(last).region == Region(last, last + 1)


@given(name=LANGUAGES, text=TEXTS, data=st.data())
def test_whatever_the_text_there_is_a_tree_inside_of_it(name: str, text: str, data: st.DataObject) -> None:
    excerpt = whole(text, languages()[name])
    for node in nodes(excerpt.root):
        assert 0 <= node.start <= node.end <= len(text)
        assert all(node.start <= child.start and child.end <= node.end for child in node.children)
    around = excerpt.at(data.draw(st.integers(0, len(text))))
    assert around.kind


MARKED: Mapping[str, str] = {
    "python": "def f(x):\n    y = M\n    return g(M)\n",
    "javascript": "function f(x) {\n  const y = M;\n  return g(M);\n}\n",
    "typescript": "function f(x: number): number {\n  return g(M);\n}\n",
    "tsx": "const a = <p>{M}</p>;\n",
    "go": "package a\n\nfunc f() int {\n\ty := M\n\treturn g(M)\n}\n",
    "rust": "fn f() -> i32 {\n    let y = M;\n    g(M)\n}\n",
    "c": "int f(void) {\n  int y = M;\n  return g(M);\n}\n",
    "cpp": "int f() {\n  auto y = M;\n  return g(M);\n}\n",
    "java": "class A { int f() {\n  int y = M;\n  return g(M);\n} }\n",
    "ruby": "def f\n  y = M\n  g(M)\nend\n",
    "lua": "function f()\n  local y = M\n  return g(M)\nend\n",
    "bash": "f() {\n  y=M\n  echo M\n}\n",
    "json": '{"a": M, "b": [M]}\n',
    "yaml": "a: M\nb:\n  - M\n",
    "toml": "a = M\nb = [M]\n",
    "markdown": "# M\n\nText M.\n",
}
"""Code of each language with a value missing at each M."""


@pytest.mark.parametrize(
    "marker", [syntax.marker(), "<FILL>", "@@fill@@", "$TODO$", "{{fill}}", "?!", "TODO"]
)
@pytest.mark.parametrize("name", sorted(languages()))
def test_to_the_parser_a_value_stands_where_a_marker_does(name: str, marker: str) -> None:
    text = MARKED[name].replace("M", marker)
    excerpt = parsed(text, (Region(0, len(text)),), languages()[name], (marker,))
    assert not excerpt.root.broken
    assert excerpt.root.end == len(text)


@pytest.mark.parametrize(
    ("name", "text", "marker"),
    [
        ("python", "def f():\n    # FILL\n    g()\n", "# FILL"),
        ("go", "package a\n\nfunc f() {\n\t// FILL\n}\n", "// FILL"),
        ("yaml", "a: 1\n# FILL\nb: 2\n", "# FILL"),
        ("json", '{"FILL": "FILL"}\n', '"FILL"'),
    ],
)
def test_a_marker_that_is_a_comment_or_a_string_stays_one(name: str, text: str, marker: str) -> None:
    excerpt = parsed(text, (Region(0, len(text)),), languages()[name], (marker,))
    assert not excerpt.root.broken


def test_one_marker_may_be_a_part_of_another() -> None:
    text = "x = <<FILL>>\ny = <FILL>\n"
    assert not parsed(text, (Region(0, len(text)),), PYTHON, ("<FILL>", "<<FILL>>")).root.broken


def test_a_carriage_return_alone_ends_a_line() -> None:
    assert [node.kind for node in whole("# a\rx = 1\rdef f():\r    pass\r").root.named] == [
        "comment",
        "assignment",
        "function_definition",
    ]


@pytest.mark.parametrize(
    ("text", "broken"), [("x = 1\n", False), ("x = = 1\n", True), ("f(\n", True), ("", False)]
)
def test_what_does_not_parse_is_broken(text: str, broken: bool) -> None:
    assert whole(text).root.broken is broken


# Long texts


def long_text(functions: int = 3000) -> str:
    """A class in a class, with documentation that looks like code, and characters of every width."""
    method = (
        "        def method_{n}(self, a, b):\n"
        '            """Docs 😋\n\n            def not_a_method(self):\n                x = 1\n            """\n'
        "            if a > b:\n                return max(a, '{n} é', b)\n            return self.x[{n}]\n\n"
    )
    return "class A:\n    class B:\n" + "".join(method.format(n=n) for n in range(functions)) + "last = 1\n"


def test_an_excerpt_says_what_the_whole_text_says() -> None:
    text = long_text(400)
    everything = whole(text)
    for match in re.finditer("max", text):
        at = match.start() + 1
        excerpt = next(excerpts(text, PYTHON, Region(at, at)))
        assert not excerpt.whole
        assert described(excerpt, at) == described(everything, at)


def described(excerpt: Excerpt, at: int) -> list[tuple[str, int]]:
    """The nodes around a place, and where they start, but for blocks, whose first statements may be left out."""
    found, node = [], excerpt.at(at)
    while node.parent:
        if node.kind != "block":
            found.append((node.kind, node.start))
        node = node.parent
    return found


def test_excerpts_grow_until_they_are_the_whole_text() -> None:
    text = long_text(400)
    found = list(excerpts(text, PYTHON, Region(len(text) // 2, len(text) // 2)))
    sizes = [len(excerpt.body_text) for excerpt in found]
    assert sizes == sorted(sizes)
    assert [excerpt.whole for excerpt in found] == [False] * (len(found) - 1) + [True]


def test_a_node_that_is_cut_off_is_not_held() -> None:
    text = "def f():\n" + "    x = 1\n" * 10_000 + "y = 2\n"
    cut, *_, full = excerpts(text, PYTHON, Region(100, 100))
    for excerpt, held in ((cut, False), (full, True)):
        function = next(node for node in nodes(excerpt.root) if node.kind == "function_definition")
        assert excerpt.holds(function) is held


def test_braces_need_not_be_closed_in_an_excerpt() -> None:
    method = "    int method{n}(int a) {{\n        return call(a, {n});\n    }}\n\n"
    text = "class A\n{\n" + "".join(method.format(n=n) for n in range(2000)) + "}\n"
    at = text.index("call(a, 1000") + 5
    excerpt = next(excerpts(text, languages()["java"], Region(at, at)))
    kinds = [kind for kind, _ in described(excerpt, at)]
    assert kinds[1] == "argument_list"
    assert "method_declaration" in kinds
    assert "class_body" in kinds


def test_a_place_in_twenty_thousand_lines_takes_a_moment() -> None:
    text = "x = 1\n" * 3 + long_text(2200)
    assert text.count("\n") > 20_000
    parse = partial(syntax.excerpts, text, PYTHON)
    spans = []
    for at in range(0, len(text), len(text) // 15):
        start = time.perf_counter()
        next(parse(Region(at, at)))
        spans.append(time.perf_counter() - start)
    # Two or three milliseconds on an idle machine; ten times as much says that something is wrong.
    assert sorted(spans)[len(spans) // 2] < 0.03


def test_grammars_are_loaded_when_they_are_wanted(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, dgemma_lsp.lsp.server; print('tree_sitter_language_pack' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "False"
