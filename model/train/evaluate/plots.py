"""Draws an evaluation as small PNGs.

Matplotlib is imported only when something is drawn; preparing the data does not need it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dgemma_model.errors import ModelError
from dgemma_model.train.evaluate.calibration import Bin, bins
from dgemma_model.train.evaluate.scores import MODEL

_COLOURS = ("#2f5d7c", "#8fb3c9", "#c9a66b", "#b7b7a4", "#d8d8d8")  # the model's first
_GREY = "#9a9a9a"
_INCH = 100  # pixels
_WIDTH = 8.0
_THICKNESS = 0.8  # of all bars of a kind together


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars of one name: their places from the top, and how far they reach."""

    name: str
    places: tuple[float, ...]
    lengths: tuple[float, ...]


def require_matplotlib() -> None:
    """Raise a `ModelError` when Matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise ModelError("Plots need matplotlib; install it with pip install -e '.[train]'.")


def grouped_bars(values: Mapping[str, Mapping[str, float]]) -> list[Bars]:
    """Turn values by kind and name into bars, the model's first; a baseline that is 0 everywhere gets none."""
    names = {name: any(row[name] for row in values.values()) for row in values.values() for name in row}
    shown = [name for name, reached in names.items() if reached or name == MODEL]
    ordered = sorted(shown, key=lambda name: name != MODEL)
    thickness = _THICKNESS / max(1, len(ordered))
    return [
        Bars(
            name,
            tuple(group + thickness * (index + 0.5) - _THICKNESS / 2 for group in range(len(values))),
            tuple(row[name] for row in values.values()),
        )
        for index, name in enumerate(ordered)
    ]


def reliability(claims: Mapping[str, tuple[Sequence[float], Sequence[bool]]]) -> dict[str, list[Bin]]:
    """Put the claims of each name into ten bins of equal size."""
    return {name: list(bins(confidences, right)) for name, (confidences, right) in claims.items()}


def draw_exact(values: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw the exact match for each kind, the model beside the baselines."""
    figure, axes = _figure(2.0 + 0.75 * len(values))
    bars = grouped_bars(values)
    for each, colour in zip(bars, _COLOURS, strict=False):
        percent = [100 * length for length in each.lengths]
        height = _THICKNESS / len(bars)
        drawn = axes.barh(each.places, percent, height=height, color=colour, label=each.name)
        axes.bar_label(drawn, fmt="%.0f", padding=2, fontsize=8, color="#555555")
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlabel("exact match, % of regions")
    _save(figure, axes, path)


def draw_reliability(claims: Mapping[str, tuple[Sequence[float], Sequence[bool]]], path: Path) -> None:
    """Draw how often fills of a confidence are right; a perfect confidence would follow the diagonal."""
    figure, axes = _figure(6.0)
    axes.plot([0, 100], [0, 100], color=_GREY, linewidth=1, linestyle="--", label="perfect")
    for (name, points), colour in zip(reliability(claims).items(), (_COLOURS[2], _COLOURS[0]), strict=False):
        x, y = (
            [100 * value for value in each]
            for each in zip(*((b.confidence, b.right) for b in points), strict=True)
        )
        axes.plot(x, y, color=colour, linewidth=2, marker="o", label=name)
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="confidence, %", ylabel="right, % of fills")
    _save(figure, axes, path)


def _figure(height: float) -> tuple[Any, Any]:
    """Make a figure without pyplot, which keeps state and may want a display."""
    require_matplotlib()
    figure = import_module("matplotlib.figure").Figure((_WIDTH, height), dpi=_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6")
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Any, axes: Any, path: Path) -> None:
    axes.legend(frameon=False)
    figure.savefig(path)
