"""Split the corpus into compressed pieces, to carry it to another machine.

    python -m dgemma_model.train.data.shards pack .cache/corpus/train.jsonl .cache/shards
    python -m dgemma_model.train.data.shards unpack .cache/shards /tmp/train.jsonl

The shards hold text and not tokens, because regions are cut at characters and other tokenizers may be tried. Each
shard is an xz file with whole lines of the corpus, in their order: 283 MB of Python become five shards of 48 MB in all.
"""

from __future__ import annotations

import argparse
import lzma
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from dgemma_model.train.progress import say

TEXT_BYTES = 60_000_000  # of a shard before compression; about 10 MB after it
SUFFIX = ".jsonl.xz"


class ShardError(Exception):
    """There is nothing to pack or unpack, or something is damaged; the message is for the user."""


def pack(corpus: Path, folder: Path, text_bytes: int = TEXT_BYTES) -> list[Path]:
    """Write a corpus file as shards, in place of those that are in the folder.

    Args:
        corpus: the file.
        folder: where the shards go.
        text_bytes: the size of a shard before it is compressed; a single longer line gets a shard of its own.

    Raises:
        ShardError: the corpus cannot be read, or a shard cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"*{SUFFIX}"):
            old.unlink()
        written: list[Path] = []
        for number, text in enumerate(_pieces(corpus, text_bytes)):
            written.append(folder / f"{number:03}{SUFFIX}")
            written[-1].write_bytes(lzma.compress(text))
            say(f"{written[-1]}: {len(text) / 1e6:.0f} MB of text")
        return written
    except OSError as error:
        raise ShardError(f"The corpus {corpus} cannot be packed: {error}.") from error


def unpack(folder: Path, corpus: Path) -> None:
    """Write the corpus file that was packed, first under another name.

    Raises:
        ShardError: there are no shards, one is damaged, or the file cannot be written.
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
    """Yield the file in pieces of whole lines."""
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
    """Run the command line."""
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
