"""Draws curves as one small PNG; Matplotlib, from the extras dev and train, is imported when something is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

COLOURS = ("#2f5d7c", "#c9a66b", "#7a9e7e", "#8a5a83")
INCH = 90  # pixels
SIZE = 5.0, 3.6  # inches of a panel

Values = Sequence[float | None]
"""A value for each x; None where nothing was measured."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves in one pair of axes; both axes can be logarithmic."""

    title: str
    x: str
    y: str
    xs: Sequence[int]
    lines: Mapping[str, Values]
    logarithmic: bool = True


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Draw all panels, two in a row."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    size = (columns * SIZE[0], rows * SIZE[1])
    # A figure without pyplot, which keeps state and may want a display.
    figure = import_module("matplotlib.figure").Figure(size, dpi=INCH, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, panel in zip(grid, panels, strict=False):
        _fill(axes, panel)
    for axes in list(grid)[len(panels) :]:
        axes.set_visible(False)
    figure.savefig(path, pil_kwargs={"optimize": True})


def _fill(axes: Any, panel: Panel) -> None:
    for (name, values), colour in zip(panel.lines.items(), COLOURS, strict=False):
        x, y = zip(*_measured(panel.xs, values), strict=True)
        axes.plot(x, y, color=colour, linewidth=1.8, marker="o", markersize=4, label=name)
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    if panel.logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(import_module("matplotlib.ticker").LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(_plain)
    axes.set_xticks(panel.xs, [_plain(x) for x in panel.xs], fontsize=8)
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6")
    axes.legend(frameon=False, fontsize=8)


def _measured(xs: Sequence[int], values: Values) -> Iterator[tuple[int, float]]:
    return ((x, y) for x, y in zip(xs, values, strict=True) if y is not None)


def _plain(value: float, _position: int = 0) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
