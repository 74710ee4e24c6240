"""What is left of a suggestion while the user types: against a slow replay, keystroke by keystroke."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_lsp.lsp.suggestions import MOST_KEPT, Rest, Suggestion, Suggestions

pytestmark = pytest.mark.timeout(20)

URI = "file:///a.py"


def suggestion(marked: str, *texts: str, asked: bool = False) -> Suggestion:
    """The cursor is ˇ."""
    return Suggestion(marked.replace("ˇ", ""), marked.index("ˇ"), texts, asked)


def rest(of: Suggestion, marked: str, choice: int = 0) -> str:
    return of.rest(choice, marked.replace("ˇ", ""), marked.index("ˇ"))


@pytest.mark.parametrize(
    ("before", "text", "now", "left"),
    [
        pytest.param("x = ˇ\n", "foo(a)", "x = ˇ\n", "foo(a)", id="nothing is typed"),
        pytest.param("x = ˇ\n", "foo(a)", "x = foˇ\n", "o(a)", id="the beginning is typed"),
        pytest.param("x = ˇ\n", "foo(a)", "x = foo(a)ˇ\n", "", id="all of it is typed"),
        pytest.param("x = ˇ\n", "foo(a)", "x = foo(a) ˇ\n", "", id="more is typed"),
        pytest.param("x = ˇ\n", "foo(a)", "x = fuˇ\n", "", id="something else is typed"),
        pytest.param("x = foˇ\n", "o(a)", "x = fˇ\n", "", id="more is deleted than was typed"),
        pytest.param("x = ˇ\n", "foo(a)", "x = foˇo\n", "", id="the cursor went back into what was typed"),
        pytest.param("x = ˇ\n", "foo(a)", "x =ˇ foo\n", "", id="the cursor went before it"),
        pytest.param("x = ˇ\n", "foo(a)", "x = fo\nˇ", "", id="the cursor went behind it"),
        pytest.param("x = ˇ\n", "foo(a)", "x = foo(ˇ)\n", "a", id="the editor has closed the bracket"),
        pytest.param("x = ˇ\n", "foo(a) + 1", "x = foo(ˇ)\n", "", id="a closed bracket that is not at the end"),
        pytest.param("x = ˇ\n", "foo(a)", "y = foˇ\n", "", id="the text before it has changed"),
        pytest.param("x = ˇ\n", "foo(a)", "x = foˇ\n\n", "", id="the text behind it has changed"),
        pytest.param("x = ˇ\r\n", "1\r\n    y", "x = 1\r\n  ˇ\r\n", "  y", id="CRLF, in the indentation"),
        pytest.param("if x:ˇ", "\n    a = 1\n    b = 2", "if x:\n    a = 1ˇ", "\n    b = 2", id="a line is taken over"),
        pytest.param("x = aˇb", "😋é", "x = a😋ˇb", "é", id="astral characters"),
        pytest.param("aaˇaa", "aaa", "aaaˇaa", "aa", id="the same letter again and again"),
    ],
)  # fmt: skip
def test_what_is_left(before: str, text: str, now: str, left: str) -> None:
    assert rest(suggestion(before, text), now) == left


def keys(of: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([*of, "a", "(", "\n", "😋", "⌫", "←"]), max_size=12)


letters = st.text("ab(\n😋", max_size=6)


@given(letters, letters, letters.filter(bool), st.data())
def test_typing_is_replayed(before: str, after: str, text: str, data: st.DataObject) -> None:
    """The reference knows what has been typed where, and what a suggestion is."""
    wanted = Suggestion(before + after, len(before), (text,))
    document, cursor = before + after, len(before)
    # Mostly what is suggested, so that it is worth replaying.
    followed = data.draw(st.integers(0, len(text)))
    for key in [*text[:followed], *data.draw(keys(text))]:
        document, cursor = pressed(document, cursor, key)
        assert wanted.rest(0, document, cursor) == slowly(before, text, after, document, cursor)


def pressed(document: str, cursor: int, key: str) -> tuple[str, int]:
    if key == "←":
        return document, max(0, cursor - 1)
    if key == "⌫":
        return document[: max(0, cursor - 1)] + document[cursor:], max(0, cursor - 1)
    return document[:cursor] + key + document[cursor:], cursor + 1


def slowly(before: str, text: str, after: str, document: str, cursor: int) -> str:
    """Of all parts of the suggestion the one that makes the document what it should be when it is put at the cursor."""
    if not len(before) <= cursor <= len(before + text):
        return ""
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            here = len(before) + start == cursor
            if here and document[:cursor] + text[start:end] + document[cursor:] == before + text + after:
                return text[start:end]
    return ""


@given(letters, letters, letters.filter(bool), st.data())
def test_each_prefix_leaves_the_other_part(before: str, after: str, text: str, data: st.DataObject) -> None:
    typed = data.draw(st.integers(0, len(text)))
    document = before + text[:typed] + after
    left = Suggestion(before + after, len(before), (text,)).rest(0, document, len(before) + typed)
    assert left == text[typed:]


# Of several


def test_the_newest_that_fits_is_taken() -> None:
    kept = Suggestions()
    kept.remember(URI, suggestion("x = ˇ\n", "one"))
    kept.remember(URI, suggestion("x = oˇ\n", "ther"))
    assert kept.rests(URI, "x = o\n", 5, asked=False) == [Rest("ther", 1, 0)]
    assert kept.rests(URI, "x = \n", 4, asked=False) == [Rest("one", 0, 0)], "after deleting back"
    assert kept.rests("file:///b.py", "x = \n", 4, asked=False) == []


def test_who_asks_gets_all_there_are_and_who_types_what_was_asked_for() -> None:
    kept = Suggestions()
    kept.remember(URI, suggestion("x = ˇ\n", "one"))
    assert kept.rests(URI, "x = \n", 4, asked=True) == []
    kept.remember(URI, suggestion("x = ˇ\n", "two", "one", "other", asked=True))
    assert [one.text for one in kept.rests(URI, "x = \n", 4, asked=True)] == ["two", "one", "other"]
    assert kept.rests(URI, "x = o\n", 5, asked=False) == [Rest("ne", 1, 1), Rest("ther", 1, 2)]


def test_what_is_blank_is_not_worth_showing() -> None:
    kept = Suggestions()
    assert kept.remember(URI, suggestion("x = ˇ\n", "1\n")) == [Rest("1\n", 0, 0)]
    assert kept.rests(URI, "x = 1\n", 5, asked=False) == []


def test_a_suggestion_that_was_taken_over_leads_to_a_document() -> None:
    kept = Suggestions()
    kept.remember(URI, suggestion("x = ˇ\n", "one", "two"))
    assert kept.result(URI, 0, 1) == ("x = two\n", 7)
    for forgotten in [(URI, 1, 0), (URI, 0, 2), (URI, 0, -1), ("file:///b.py", 0, 0)]:
        assert kept.result(*forgotten) is None


def test_the_oldest_are_forgotten() -> None:
    kept = Suggestions()
    for number in range(MOST_KEPT + 1):
        kept.remember(URI, suggestion("x = ˇ\n", f"{number}"))
    assert kept.result(URI, 0, 0) is None
    assert kept.result(URI, 1, 0) is not None
    kept.forget(URI)
    assert kept.rests(URI, "x = \n", 4, asked=False) == []
