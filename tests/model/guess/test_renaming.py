"""What the document would say under other names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_model.guess.renaming import Renamer
from dgemma_model.layouts.masked import MaskedText
from dgemma_model.protocol import FillOptions, FillRequest
from tests.model.tiny import infiller

CASES = [
    ("a line that is alike but for a name", "self.width = width\nself.height = «»\n", "height"),
    ("a word that is begun goes on", "self.width = width\nself.height = hei«»\n", "ght"),
    ("a word that is begun otherwise", "self.width = width\nself.height = other«»\n", None),
    (
        "a part of a name is another one",
        "read_timeout = get(read_timeout_s)\nwrite_timeout = «»\n",
        "get(write_timeout_s)",
    ),
    ("a name in another case", "open = OpenFile(OPEN)\nclose = «»\n", "CloseFile(CLOSE)"),
    ("two words in capitals and hunched", "user = User(USER)\nfirst_guest = «»\n", "FirstGuest(FIRST_GUEST)"),
    (
        "the line above tells the names",
        "def get(self, key):\n    return find(key)\n\ndef pop(self, name):\n    return «»\n",
        "find(name)",
    ),
    ("one name cannot stand for two", "a = b + a\nx = y + z«»\n", None),
    ("nothing is called otherwise: a copy will do", "use(first)\nuse(«»\n", None),
    ("text below is looked at too", "self.height = «»\nself.width = width\n", "height"),
    ("keywords stay", "if a:\n    return a\nif b:\n    «»\n", "return b"),
    ("nothing alike", "alpha\nbeta\nzzzzz(«»\n", None),
    ("an empty document", "«»", None),
]


@pytest.mark.parametrize(("what", "marked", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_the_rest_of_a_line(what: str, marked: str, wanted: str | None) -> None:
    before, after = marked.split("«»")
    typed = before[before.rfind("\n") + 1 :]
    found = [
        text[text.index(typed) + len(typed) :].split("\n")[0]
        for text in Renamer().renamings(before, after, 1)
    ]
    assert found == ([] if wanted is None else [wanted])


def test_lines_below_come_along_up_to_the_line_itself() -> None:
    before = "start(one)\nuse(one, 1)\nstop(one)\n\nstart(two)\nuse(two, "
    assert Renamer().renamings(before, "\n", 1) == ["start(two)\nuse(two, 1)\nstop(two)\n\nstart(two)\n"]


def test_the_most_alike_comes_last_and_only_lines_that_are_alike_stand_above() -> None:
    before = "b = f(b)\nreturn\nopen(a)\na = g(a)\nclose(a)\nopen(c)\nc = "
    wanted = ["c = f(c)", "open(c)\nc = g(c)"]
    assert [
        text.split("\nreturn")[0].split("\nclose")[0] for text in Renamer().renamings(before, "", 6)
    ] == wanted
    assert len(Renamer().renamings(before, "", 1)) == 1


@given(st.text("ab_A1 \n(=", max_size=80), st.text("ab_A1 \n(=", max_size=80), st.integers(0, 4))
def test_every_text_holds_what_is_typed_and_there_are_never_more_than_asked_for(
    before: str, after: str, count: int
) -> None:
    typed = before[before.rfind("\n") + 1 :]
    found = Renamer().renamings(before, after, count)
    assert len(set(found)) == len(found) <= count
    assert all(typed in text and text.endswith("\n") for text in found)


def test_a_region_may_be_copied_from_them() -> None:
    own, end = infiller(), "    self.height = "
    text = own.tokenizer.encode(" height")
    likely = []
    for before in ("    self.width = width\n", "    self.width = 3\n"):
        masked = MaskedText((before + end, "\n"), ("",)).healed()
        opened = own.prompts.open(masked, single_line=True)
        likely += own.encoder.log_likelihoods(opened.prompt, opened.opening, [text])
    assert likely[0] > likely[1] + 2


def test_what_they_say_is_a_guess() -> None:
    segments = ("    self.width = width(1)\n    self.height = ", "\n")
    request = FillRequest(segments, ("",), FillOptions(single_line=True))
    *_, draft = infiller().drafts(request, lambda: False)
    assert "height(1)" in {fills[0].text for fills in draft.alternatives}
