"""The counters on the user's disk, and what is said about them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dgemma_lsp.cli.stats import report
from dgemma_lsp.lsp.counters import COUNTERS, Counters, Counts, counted_by_day

pytestmark = pytest.mark.timeout(20)


def test_where_nothing_can_be_written_it_is_counted_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    counters = Counters(tmp_path / "file")
    counters.add(Counts(shown=1))
    counters.save()
    assert counters.counts.shown == 1, "it is counted on"


def test_counters_of_several_servers_add_up(tmp_path: Path) -> None:
    for shown in (1, 2):
        counters = Counters(tmp_path)
        counters.save()
        counters.add(Counts(shown, 10, 1, 5, 4))
        counters.save()
        counters.save()
    (day,) = counted_by_day(tmp_path).values()
    assert day == Counts(3, 20, 2, 10, 8)
    assert len((tmp_path / COUNTERS).read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "{}", '{"day": 3}', '{"day": "x", "shown": "y"}', '{"day": ["x"]}']
)
def test_lines_that_make_no_sense_are_skipped(tmp_path: Path, line: str) -> None:
    (tmp_path / COUNTERS).write_text(f'{line}\n{{"day": "2026-01-01", "shown": 2}}\n')
    assert counted_by_day(tmp_path) == {"2026-01-01": Counts(2)}


def test_statistics_are_a_table_or_json(tmp_path: Path) -> None:
    assert report(tmp_path, as_json=False).startswith("Nothing has been counted yet")
    lines = [
        f'{{"day": "2026-01-{day:02}", "shown": 4, "accepted": 1, "kept_characters": 9}}'
        for day in range(1, 11)
    ]
    (tmp_path / COUNTERS).write_text("\n".join(lines))
    table = report(tmp_path, as_json=False)
    assert "2026-01-10" in table
    assert "2026-01-03" not in table, "a week is shown"
    assert "25%" in table
    said = json.loads(report(tmp_path, as_json=True))
    assert (len(said["days"]), said["total"]["shown"], said["total"]["kept_characters"]) == (10, 40, 90)
