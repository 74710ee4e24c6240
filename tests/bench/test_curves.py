"""What the curves are made of: files of every size, phases, tables and pictures. Nothing is measured for long here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import steps_tradeoff
from bench.busy import competitor
from bench.curves import CURVES, WHY, Curve, page, table
from bench.drawing import Panel, draw
from bench.files import LONG
from bench.keystrokes import places
from bench.phases import REST
from bench.warm import KEYSTROKES, in_files_of, sized, timed, with_regions
from dgemma_model.protocol import FillOptions
from dgemma_model.train.evaluate.scores import Score
from tests.model import tiny
from tools.drivers.processes import computing_threads

CURVE = Curve(
    "Lines of the file",
    "lines",
    (10, 1000),
    {"model": (3.14, 1234.5), "server": (None, 20.0)},
    "It bends.",
    [{"write": 1.5, "belief": 0.1, REST: 2.0}, {"write": 2.5, "belief": 0.2, REST: 3.0}],
    [{"write": 7.0, "belief": 1.0}, {"write": 9.0, "belief": 1.0}],
)


@pytest.mark.parametrize("lines", [10, 100, 300, 5000])
def test_around_the_cursor_stands_the_same_in_files_of_every_size(lines: int) -> None:
    (place,) = places(LONG.read_text("utf-8"), 3, KEYSTROKES)[1:2]
    grown = sized(place, lines)
    rows, own = grown.text.splitlines(), place.text.splitlines()
    assert (len(rows), grown.line) == (lines, lines // 2)
    assert rows[grown.line - 4 : grown.line + 4] == own[place.line - 4 : place.line + 4]
    assert len(rows[grown.line]) == grown.character


def test_each_keystroke_is_one_request() -> None:
    for typed in in_files_of(10):
        assert len(typed) == KEYSTROKES + 1
        assert {text.segments[1] for text in typed} == {typed[0].segments[1]}
        assert [len(text.segments[0]) - len(typed[0].segments[0]) for text in typed] == [
            *range(KEYSTROKES + 1)
        ]


@pytest.mark.parametrize("count", [1, 2, 16])
def test_several_regions_are_the_rests_of_so_many_lines(count: int) -> None:
    for typed in with_regions(count):
        for text in typed:
            assert len(text.present) == count
            assert all(segment.startswith("\n") for segment in text.segments[1:])


def test_the_phases_of_a_fill_add_up_to_its_time() -> None:
    infiller = tiny.infiller()
    milliseconds, phases = timed(infiller, in_files_of(10)[:1], FillOptions(steps=1, single_line=True))
    assert milliseconds > 0
    assert min(phases.means().values()) >= 0
    assert phases.calls()["denoise"] >= 1
    assert not {"decode", "extend"} & set(vars(infiller.runner))


def test_a_table_says_where_the_time_went() -> None:
    assert table(CURVE).splitlines() == [
        "| lines | model | server |",
        "| ---: | ---: | ---: |",
        "| 10 | 3.1 |  |",
        "| 1,000 | 1,234 | 20 |",
        "",
        "| lines | write | the rest |",
        "| ---: | ---: | ---: |",
        "| 10 | 1.5 (7.0) | 2.0 |",
        "| 1,000 | 2.5 (9.0) | 3.0 |",
    ]


def test_every_curve_has_its_sentence() -> None:
    assert set(WHY) == set(CURVES)
    assert "## Lines of the file\n\nIt bends.\n" in page([CURVE], "A CPU")


def test_a_picture_is_small(tmp_path: Path) -> None:
    panel = Panel(CURVE.title, CURVE.x, "ms", CURVE.xs, CURVE.lines)
    draw([panel] * 3, tmp_path / "curves.png")
    assert 1_000 < (tmp_path / "curves.png").stat().st_size < 80_000


def test_steps_are_told_in_a_table_and_drawn_in_two_panels() -> None:
    score = Score(150, 0.5, 0.75, 1.0, 2.0, 61.4, 1.5)
    found = [score] * len(steps_tradeoff.STEPS)
    assert "| 8 | 1.5 | 50.0% | 75.0% | 61 |" in steps_tradeoff.page(found, "A CPU").splitlines()
    assert [list(panel.lines) for panel in steps_tradeoff.panels(found)] == [
        ["exact match", "similarity"],
        ["a cold fill"],
    ]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux tells it")
def test_a_competitor_burns_one_core_and_ends() -> None:
    with competitor() as process:
        assert process.poll() is None
        assert computing_threads(process.pid) == 1
    assert process.returncode is not None
