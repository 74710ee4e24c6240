"""What is offered, and what is to be filled for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.text.languages import languages
from dgemma_lsp.text.masked import MaskedDocument, Region
from dgemma_lsp.text.regions.actions import Action, frames, offered
from dgemma_lsp.text.regions.frame import Frame, framed
from dgemma_lsp.text.source_code import SourceCode
from tests.text.regions.marked import parts

pytestmark = pytest.mark.timeout(20)


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


@given(text=CODE, name=st.sampled_from(sorted(languages())), data=st.data())
def test_whatever_the_text_regions_lie_in_it_and_apart(text: str, name: str, data: st.DataObject) -> None:
    # As an editor's position: never between CR and LF.
    places = st.integers(0, len(text)).filter(lambda at: text[at - 1 : at + 1] != "\r\n")
    cursor = data.draw(places)
    code = SourceCode(text, name)
    ends = sorted((cursor, data.draw(places)))
    for selected in (Region(cursor, cursor), Region(*ends)):
        shown = offered(code, selected)
        for action in Action:
            wanted = frames(action, code, selected)
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
    found = [action.value for action in offered(SourceCode(text, language), Region(cursor, cursor))]
    assert [word for word, title in zip(words, found, strict=True) if word in title] == words


def test_who_has_selected_something_means_that() -> None:
    text = "def f():\n    return g(a)\n"
    rewrites = [Action.REWRITE, Action.REWRITE_GENTLY, Action.REWRITE_ANEW]
    assert offered(SourceCode(text, "python"), Region(22, 23)) == rewrites
