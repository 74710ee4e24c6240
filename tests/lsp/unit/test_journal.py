"""The log that goes round, and the counters: what is written to the user's disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dgemma_lsp.cli.stats import report
from dgemma_lsp.lsp import journal
from dgemma_lsp.lsp.journal import COUNTERS, LOG, Counters, Counts, LogFile, counted, state_folder

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("variables", "windows", "folder"),
    [
        ({"XDG_STATE_HOME": "/state"}, False, "/state/dgemma-lsp"),
        ({}, False, "/home/me/.local/state/dgemma-lsp"),
        ({"LOCALAPPDATA": "/local"}, True, "/local/dgemma-lsp"),
        ({"XDG_STATE_HOME": "/state"}, True, "/home/me/AppData/Local/dgemma-lsp"),
    ],
)
def test_each_system_has_its_place(variables: dict[str, str], windows: bool, folder: str) -> None:
    assert state_folder(variables, Path("/home/me"), windows).as_posix() == folder


def test_a_message_is_one_line(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "deep" / "er")
    log.write("info", "one\r\ntwo")
    log.close()
    (line,) = (tmp_path / "deep" / "er" / LOG).read_text("utf-8").splitlines()
    assert line.endswith(" info one⏎two")


def test_the_log_goes_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOG_BYTES", 500)
    log = LogFile(tmp_path)
    for number in range(100):
        log.write("info", f"message {number}")
    log.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [LOG, *(f"{LOG}.{number}" for number in (1, 2, 3))]
    assert all(path.stat().st_size <= 500 for path in tmp_path.iterdir())
    assert "message 99" in (tmp_path / LOG).read_text("utf-8")


def test_where_nothing_can_be_written_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = LogFile(tmp_path / "file")
    log.write("info", "lost")
    log.close()
    counters = Counters(tmp_path / "file")
    counters.counts.shown = 1
    counters.save()
    assert counters.counts.shown == 1, "it is counted on"


def test_counters_of_several_servers_add_up(tmp_path: Path) -> None:
    for shown in (1, 2):
        counters = Counters(tmp_path)
        counters.save()
        counters.counts = Counts(shown, 10, 1, 5, 4)
        counters.save()
        counters.save()
    (day,) = counted(tmp_path).values()
    assert day == Counts(3, 20, 2, 10, 8)
    assert len((tmp_path / COUNTERS).read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "{}", '{"day": 3}', '{"day": "x", "shown": "y"}', '{"day": ["x"]}']
)
def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / COUNTERS).write_text(f'{line}\n{{"day": "2026-01-01", "shown": 2}}\n')
    assert counted(tmp_path) == {"2026-01-01": Counts(2)}


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
