"""The corpus in compressed pieces, for a machine that it has to be carried to.

    python -m dgemma_model.train.data.shards pack .cache/corpus/train.jsonl .cache/shards
    python -m dgemma_model.train.data.shards unpack .cache/shards /tmp/train.jsonl

Text, not tokens: regions are cut at characters, and other tokenizers can be tried. Each shard is a file of its own in
the xz format with whole lines of the corpus, in its order: 283 MB of Python make five shards, 48 MB in all.
"""

from __future__ import annotations

import argparse
import lzma
import os
import sys
from collections.abc import Iterator
from pathlib import Path

TEXT_BYTES = 60_000_000  # of a shard, which then has about 10 MB
SUFFIX = ".jsonl.xz"


class ShardError(Exception):
    """There is nothing to pack or unpack, or it is damaged; the message is for the user."""


def pack(corpus: Path, folder: Path, text_bytes: int = TEXT_BYTES) -> list[Path]:
    """Write a corpus file as shards; those that lie in the folder are replaced.

    Args:
        text_bytes: of a shard before it is compressed; a single longer line is a shard of its own.

    Raises:
        ShardError: the corpus cannot be read, or nothing written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"*{SUFFIX}"):
            old.unlink()
        written: list[Path] = []
        for number, text in enumerate(_pieces(corpus, text_bytes)):
            written.append(folder / f"{number:03}{SUFFIX}")
            written[-1].write_bytes(lzma.compress(text))
            print(f"{written[-1]}: {len(text) / 1e6:.0f} MB of text", file=sys.stderr, flush=True)
        return written
    except OSError as error:
        raise ShardError(f"The corpus {corpus} cannot be packed: {error}.") from error


def unpack(folder: Path, corpus: Path) -> None:
    """Write the corpus file that was packed, by way of a temporary one.

    Raises:
        ShardError: there are no shards, one is damaged, or nothing can be written.
    """
    shards = sorted(folder.glob(f"*{SUFFIX}"))
    if not shards:
        raise ShardError(f"There are no shards in {folder}; make them with pack.")
    temporary = corpus.with_suffix(".part")
    try:
        corpus.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            for shard in shards:
                file.write(_unpacked(shard))
        os.replace(temporary, corpus)
    except OSError as error:
        raise ShardError(f"The shards in {folder} cannot be unpacked: {error}.") from error


def _unpacked(shard: Path) -> bytes:
    try:
        return lzma.decompress(shard.read_bytes())
    except lzma.LZMAError as error:
        raise ShardError(f"{shard} is damaged; carry it over once more ({error}).") from error


def _pieces(corpus: Path, size: int) -> Iterator[bytes]:
    """The file in runs of whole lines."""
    piece = bytearray()
    with corpus.open("rb") as lines:
        for line in lines:
            if piece and len(piece) + len(line) > size:
                yield bytes(piece)
                piece.clear()
            piece += line
    if piece:
        yield bytes(piece)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.train.data.shards", description=__doc__)
    parser.add_argument("action", choices=("pack", "unpack"))
    parser.add_argument("source", type=Path, help="the corpus file, or the folder of its shards")
    parser.add_argument("target", type=Path, help="the other one")
    arguments = parser.parse_args(argv)
    try:
        (pack if arguments.action == "pack" else unpack)(arguments.source, arguments.target)
    except ShardError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
