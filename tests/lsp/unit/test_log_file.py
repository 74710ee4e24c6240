"""The rotating log on the user's disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgemma_lsp.lsp import log_file
from dgemma_lsp.lsp.log_file import LOG, LogFile

pytestmark = pytest.mark.timeout(20)


def test_a_message_is_one_line(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "deep" / "er")
    log.write("info", "one\r\ntwo")
    log.close()
    (line,) = (tmp_path / "deep" / "er" / LOG).read_text("utf-8").splitlines()
    assert line.endswith(" info one⏎two")


def test_the_log_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "LOG_BYTES", 500)
    log = LogFile(tmp_path)
    for number in range(100):
        log.write("info", f"message {number}")
    log.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [LOG, *(f"{LOG}.{number}" for number in (1, 2, 3))]
    assert all(path.stat().st_size <= 500 for path in tmp_path.iterdir())
    assert "message 99" in (tmp_path / LOG).read_text("utf-8")


def test_where_nothing_can_be_written_messages_are_lost(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = LogFile(tmp_path / "file")
    log.write("info", "lost")
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
