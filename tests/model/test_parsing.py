"""Which texts fit into a Python file."""

from __future__ import annotations

import pytest

from dgemma_model.parsing import Surroundings, repairs

BEFORE = "import os\n\n\nclass A:\n    def f(self, path):\n        with open("
BEHIND = "\n            return file.read()\n\n\ndef broken(:\n"


@pytest.mark.parametrize(
    ("fill", "fits"),
    [
        ("path) as file:", True),
        ("path) as file", False),
        ("path as file:", False),
        ("path)) as file:", False),
    ],
)
def test_a_text_that_breaks_the_syntax_is_told_from_one_that_does_not(fill: str, fits: bool) -> None:
    around = Surroundings((BEFORE, BEHIND))
    assert (around.errors([fill]) == 0) is fits


def test_statements_at_the_margin_bound_what_is_looked_at() -> None:
    far = "x = (\n" * 3 + BEFORE
    assert Surroundings((far, BEHIND)).errors(["path) as file:"]) == 0


def test_a_clause_belongs_to_the_statement_above() -> None:
    around = Surroundings(("if a:\n    b\n", "\nelse:\n    c\n"))
    assert around.errors(["elif d:\n    e"]) == 0
    assert around.errors(["f = 1"]) > 0


def test_regions_are_parsed_together() -> None:
    around = Surroundings(("f(", ")\ng(", "]\n"))
    assert around.errors(["[", ""]) > around.errors(["", "["]) > 0


@pytest.mark.parametrize("text", ["", "\ud800", "«»", "{{{{"])
def test_any_text_can_be_looked_at(text: str) -> None:
    assert Surroundings(("", text)).errors([text]) >= 0


@pytest.mark.parametrize(
    ("line", "least", "rest", "mended"),
    [
        (
            "    for x in range(3",
            10,
            "",
            ["    for x in range(3):", "    for x in range(3)", "    for x in range"],
        ),
        ("y = f(a, [b", 6, "", ["y = f(a, [b])"]),
        ("y = f(a))", 4, "", ["y = f(a)"]),
        ("f(a, g(b", 5, ")", ["f(a, g(b)"]),
        ("f(a, b", 5, ")", []),
        ("print('(')", 6, "", []),
        ("print('(", 6, "", ["print('(')"]),
        ("from a import (", 8, "", ["from a import ()", "from a import"]),
        ("assert a:", 7, "", ["assert a"]),
        ("else", 4, "", ["else:"]),
    ],
)
def test_brackets_and_colons_are_put_right(line: str, least: int, rest: str, mended: list[str]) -> None:
    assert repairs(line, least, rest) == mended
