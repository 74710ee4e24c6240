"""The layout of grown checkpoints, with a tokenizer of one token a character."""

from __future__ import annotations

import itertools

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.layouts.suffix_first import (
    FILE,
    MIDDLE,
    PREFIX,
    REPOSITORY,
    SUFFIX,
    Budget,
    Marks,
    SuffixFirst,
)
from dgemma_model.protocol import ContextPiece

NAMES = {PREFIX: 1000, SUFFIX: 1001, MIDDLE: 1002, REPOSITORY: 1003, FILE: 1004}
READABLE = {1000: "⟨p⟩", 1001: "⟨s⟩", 1002: "⟨m⟩", 1003: "⟨r⟩", 1004: "⟨f⟩"}


def layout(**budget: int) -> SuffixFirst:
    return SuffixFirst(Marks.find(NAMES.get), lambda text: list(map(ord, text)), Budget(**budget))


def shown(ids: list[int]) -> str:
    return "".join(READABLE.get(token, chr(token) if token < 1000 else "?") for token in ids)


@pytest.mark.parametrize(
    ("budget", "before", "below", "expected"),
    [
        ({}, "a = ", "b\n", "⟨p⟩⟨s⟩b\n⟨m⟩a = "),
        ({}, "", "", "⟨p⟩⟨s⟩⟨m⟩"),
        ({"suffix": 3}, "a", "12345", "⟨p⟩⟨s⟩123⟨m⟩a"),
        ({"prefix": 8}, "one\ntwo\nthree\nx = ", "", "⟨p⟩⟨s⟩⟨m⟩x = "),
        ({"prefix": 8}, "a line that is too long", "", "⟨p⟩⟨s⟩⟨m⟩too long"),
    ],
)
def test_the_suffix_stands_first(budget: dict[str, int], before: str, below: str, expected: str) -> None:
    assert shown(layout(**budget).prompt(before, below)) == expected


def test_the_beginning_of_a_long_prefix_rarely_moves() -> None:
    text = "".join(f"line_{number} = {number}\n" for number in range(400))
    prompts = [shown(layout().prompt(text[:end], "")) for end in range(3000, 3600)]
    begins = [prompt.removeprefix("⟨p⟩⟨s⟩⟨m⟩")[:12] for prompt in prompts]
    assert sum(a != b for a, b in itertools.pairwise(begins)) <= 600 // (192 // 4) + 2
    assert all(begin.startswith("line_") for begin in begins)
    assert all(96 <= len(prompt) <= 192 + 9 for prompt in prompts)


@pytest.mark.parametrize("room", [0, 20, 100])
def test_context_stands_in_front_within_its_room(room: int) -> None:
    pieces = (ContextPiece("x = 1\n", "a.py"), ContextPiece("y = 2\n", "b.py"))
    prompt = shown(layout(context=room).prompt("z", "", pieces))
    front = prompt.removesuffix("⟨p⟩⟨s⟩⟨m⟩z")
    expected = {
        0: "",
        20: "⟨r⟩project⟨f⟩b.py\ny ⟨f⟩a.py\nx = 1\n⟨f⟩",
        100: "⟨r⟩project⟨f⟩b.py\ny = 2\n⟨f⟩a.py\nx = 1\n⟨f⟩",
    }
    assert front == expected[room]


def test_a_base_without_the_marks_is_refused() -> None:
    with pytest.raises(ModelError, match="not trained to fill regions"):
        Marks.find({PREFIX: 1}.get)


def test_the_marks_for_context_may_be_missing() -> None:
    marks = Marks.find({PREFIX: 1, SUFFIX: 2, MIDDLE: 3}.get)
    made = SuffixFirst(marks, lambda text: [9], Budget(context=50))
    assert made.prompt("a", "b", [ContextPiece("c")]) == [1, 2, 9, 3, 9]
