"""Writes the table of a model card from the numbers of an evaluation. Pure functions on numbers and text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dgemma_model.errors import ModelError
from dgemma_model.train.evaluate.scores import MODEL

BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
_ANSWERS = ("most similar line", "bigram back-off", "draft alone", MODEL)
_HEAD = (
    "",
    "regions",
    *_ANSWERS,
    "parses",
    "length error",
    "ms",
    "coverage at 60 % precision",
    "calibration error",
)


def table(report: Mapping[str, Any]) -> str:
    """Write a row for each kind of region: exact match and similarity of everybody, then the rest about the model."""
    lines = [" | ".join(_HEAD), " | ".join(["---", *["---:"] * (len(_HEAD) - 1)])]
    for kind, numbers in report.items():
        if MODEL not in numbers:
            continue
        model = numbers[MODEL]
        answers = [f"{numbers[name]['exact']:.1%} / {numbers[name]['similarity']:.0%}" for name in _ANSWERS]
        shown = numbers["at 60 % precision"]["coverage"]
        error = numbers.get("calibrated error", numbers["calibration error"])
        rest = [f"{model['parses']:.0%}", f"{model['length_error']:.0f}", f"{model['milliseconds']:.0f}"]
        row = [kind, str(model["regions"]), *answers, *rest, f"{shown:.0%}", f"{error:.2f}"]
        lines.append(" | ".join(row).replace("%", " %"))
    return "".join(f"| {line} |\n" for line in lines)


def renew(card: str, report: Mapping[str, Any]) -> str:
    """Return the card with a new table between its marks.

    Raises:
        ModelError: the card has no such marks.
    """
    before, begin, others = card.partition(BEGIN)
    _, end, behind = others.partition(END)
    if not begin or not end:
        raise ModelError(f"The model card has no lines {BEGIN} and {END} for the table to stand between.")
    return f"{before}{BEGIN}\n{table(report)}{END}{behind}"
