"""Which texts fit into a Python file."""

from __future__ import annotations

import pytest

from dgemma_model.syntax.errors import Surroundings

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
