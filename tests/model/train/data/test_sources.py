"""Files of the corpus: what counts as a test, and how they are stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgemma_model.train.data import sources
from dgemma_model.train.data.sources import Source


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("pkg/tests/util.py", True),
        ("pkg/test_x.py", True),
        ("pkg/x_test.py", True),
        ("conftest.py", True),
        ("pkg/testing.py", False),
        ("pkg/contest.py", False),
    ],
)
def test_tests_are_recognised(path: str, test: bool) -> None:
    assert sources.is_test_path(path) is test


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    written = [Source("a", "a/x.py", "x = 'é😋'\n"), Source("b", "y.py", "\u2028\n")]
    sources.write_sources(tmp_path / "corpus.jsonl", written)
    assert list(sources.read_sources(tmp_path / "corpus.jsonl")) == written
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.jsonl"]
