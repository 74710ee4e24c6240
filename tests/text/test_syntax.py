"""Text → nodes with character offsets."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.text.languages import default_marker, languages
from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.syntax import Excerpt
from tests.text.trees import PYTHON, nodes, whole

pytestmark = pytest.mark.timeout(60)

LANGUAGES = st.sampled_from(sorted(languages()))
TEXTS = st.text(alphabet="abdef_ é😋\ud800\0(){}[]\"'`#/*:;.=<>-⟨fill⟩ \t\n\r", max_size=60)


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
    "marker", [default_marker(), "<FILL>", "@@fill@@", "$TODO$", "{{fill}}", "?!", "TODO"]
)
@pytest.mark.parametrize("name", sorted(languages()))
def test_to_the_parser_a_value_stands_where_a_marker_does(name: str, marker: str) -> None:
    text = MARKED[name].replace("M", marker)
    excerpt = Excerpt(text, (Region(0, len(text)),), languages()[name], (marker,))
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
    excerpt = Excerpt(text, (Region(0, len(text)),), languages()[name], (marker,))
    assert not excerpt.root.broken


def test_one_marker_may_be_a_part_of_another() -> None:
    text = "x = <<FILL>>\ny = <FILL>\n"
    assert not Excerpt(text, (Region(0, len(text)),), PYTHON, ("<FILL>", "<<FILL>>")).root.broken


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
