"""What the comparison with other models makes of their answers."""

from __future__ import annotations

import pytest

from bench.peers import Answers, compare, cut, table
from dgemma_model.train.evaluate.cases import Case, Kind

TEXT = "total = add(first, second)\nprint(total)\n"
CASES = [
    Case(Kind.ARGUMENT_LIST, "some", TEXT, ((12, 25),)),
    Case(Kind.REST_OF_LINE, "some", TEXT, ((8, 26),)),
]


@pytest.mark.parametrize(
    ("case", "answer", "left"),
    [
        (CASES[0], "first, second)", "first, second"),
        (CASES[0], "first", "first"),
        (CASES[1], "add()", "add()"),
    ],
)
def test_an_answer_stops_where_the_text_behind_the_hole_begins(case: Case, answer: str, left: str) -> None:
    assert cut(answer, case) == left


def test_everybody_is_scored_on_the_same_cases() -> None:
    def right(case: Case, seed: int) -> Answers:
        return {"right": (case.truths[0] + "  ", 10.0 * (1 + seed))}

    def wrong(case: Case, seed: int) -> Answers:
        return {"plain": ("", 1.0), "ranked": (case.truths[0] if seed else "", 5.0)}

    found = compare(CASES, [right, wrong])
    assert {name: scores["exact"] for name, scores in found.items()} == {
        "right": 1,
        "plain": 0,
        "ranked": 0.5,
    }
    assert found["right"] == {"cases": 2, "exact": 1.0, "milliseconds": 15.0}
    rows = table({"rest of line": found}).splitlines()
    assert rows[2] == "| right | 100.0 % | 15 |"
    assert len(rows) == 5
