"""The corpus in compressed pieces."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgemma_model.train.data.shards import SUFFIX, main, pack, unpack

LINES = "".join(f'{{"package": "p", "text": "line {number} ä"}}\n' for number in range(200))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text(LINES, "utf-8")
    return path


@pytest.mark.parametrize("size", [1, 1000, 1_000_000])
def test_what_is_packed_is_unpacked_whatever_a_shard_holds(corpus: Path, tmp_path: Path, size: int) -> None:
    shards = pack(corpus, tmp_path / "shards", size)
    assert len(shards) == {1: 200, 1000: 8, 1_000_000: 1}[size]
    unpack(tmp_path / "shards", tmp_path / "far" / "train.jsonl")
    assert (tmp_path / "far" / "train.jsonl").read_bytes() == corpus.read_bytes()


def test_shards_of_an_older_corpus_do_not_stay(corpus: Path, tmp_path: Path) -> None:
    pack(corpus, tmp_path / "shards", 1000)
    assert pack(corpus, tmp_path / "shards") == sorted((tmp_path / "shards").iterdir())


def test_a_damaged_shard_is_named_and_the_corpus_that_is_there_stays(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = pack(corpus, tmp_path / "shards", 1000)
    shards[3].write_bytes(shards[3].read_bytes()[:-20])
    with pytest.raises(SystemExit, match=rf"003{SUFFIX} is damaged; carry it over once more"):
        main(["unpack", str(tmp_path / "shards"), str(corpus)])
    assert corpus.read_text("utf-8") == LINES


@pytest.mark.parametrize(
    ("action", "message"), [("pack", "cannot be packed"), ("unpack", "There are no shards in .*; make them")]
)
def test_nothing_to_do(action: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=message):
        main([action, str(tmp_path / "nowhere"), str(tmp_path / "target")])
