"""The table of a model card."""

from __future__ import annotations

from typing import Any

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.train.evaluate.card import BEGIN, END, renew, table
from tests.model.tiny import CHECKPOINT


def report() -> dict[str, Any]:
    score = {"regions": 300, "exact": 0.22, "similarity": 0.51, "parses": 0.93, "length_error": 15.6}
    answers = {
        name: {**score, "milliseconds": 71.2}
        for name in ("most similar line", "bigram back-off", "draft alone", "model")
    }
    kind = {
        **answers,
        "at 60 % precision": {"coverage": 0.27},
        "calibration error": 0.06,
        "calibrated error": 0.03,
    }
    return {"rest of line": kind, "calibration": {"all packages": {}}}


def test_a_kind_is_a_row() -> None:
    head, rule, row = table(report()).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row.startswith("| rest of line | 300 | 22.0 % / 51 % |")
    assert row.endswith("| 93 % | 16 | 71 | 27 % | 0.03 |")


def test_only_the_table_of_a_card_is_renewed() -> None:
    card = f"before\n{BEGIN}\n| old |\n{END}\nbehind\n"
    assert renew(card, report()) == f"before\n{BEGIN}\n{table(report())}{END}\nbehind\n"
    assert renew(renew(card, report()), report()) == renew(card, report())
    with pytest.raises(ModelError, match="no lines"):
        renew("a card", report())


def test_the_bundled_card_can_be_renewed() -> None:
    assert table(report()) in renew((CHECKPOINT / "README.md").read_text("utf-8"), report())
