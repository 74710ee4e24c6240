"""Cursors (ˇ) and selections («») → regions, told from the text alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.text.masked import Region
from dgemma_lsp.text.regions.selection import Silence, completion_region, selection_region
from tests.text.regions.marked import marking

pytestmark = pytest.mark.timeout(20)


TEXTS = st.text(alphabet="ab_é😋(). \t\n\r", max_size=30)


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
