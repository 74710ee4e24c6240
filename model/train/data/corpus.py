"""The training corpus: permissively licensed Python source, from pinned packages.

    python -m dgemma_model.train.data.corpus --out .cache/corpus

``packages.toml`` names every package with its version, licence, archive hash and split. The archives are downloaded
once, checked, and neither unpacked to disk nor executed. What passes the filters goes to ``train.jsonl`` and
``held_out.jsonl``, one ``{"package", "path", "text"}`` a line; counts go to ``summary.json``. The standard library of
the running Python belongs to the train split.

A package is held out as a whole. A train file is dropped when ten of its lines in a row are held-out code, or when it
is nearly the same as a held-out file, so that an evaluation never asks for text that was seen in training.

This module knows nothing of tokens.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from dgemma_model.train.data.archives import fetch, read_archive, read_standard_library
from dgemma_model.train.data.duplicates import Deduplicator
from dgemma_model.train.data.filters import (
    Drop,
    cap_packages,
    cap_tests,
    decode,
    is_vendored,
    reason_to_drop,
)
from dgemma_model.train.data.packages import PACKAGES_TOML, CorpusError, Package, Split, parse_packages
from dgemma_model.train.data.sources import Source, write_sources
from dgemma_model.train.progress import say

STANDARD_LIBRARY = "python-standard-library"


def select(
    files: Iterable[tuple[str, str, bytes]], deduplicator: Deduplicator, seed: int, dropped: Counter[Drop]
) -> list[Source]:
    """Choose the files that are fit, without duplicates, capped, and shuffled with the seed.

    Args:
        files: package, path and contents of each.
        deduplicator: remembers what is chosen.
        seed: for the shuffling.
        dropped: counts what is left out, by reason; vendored files are skipped and not counted.
    """
    kept = []
    for package, path, contents in files:
        if is_vendored(path):
            continue
        text = decode(contents)
        reason = Drop.NOT_UTF8 if text is None else reason_to_drop(path, text)
        if text is not None and reason is None:
            reason = deduplicator.check(text)
        if text is None or reason is not None:
            dropped[reason or Drop.NOT_UTF8] += 1
            continue
        kept.append(Source(package, path, text))
    random.Random(seed).shuffle(kept)
    return cap_tests(cap_packages(kept, dropped), dropped)


def read_split(
    packages: Iterable[Package], archives: dict[str, Path], split: Split
) -> Iterator[tuple[str, str, bytes]]:
    """Yield package, path and contents of every Python file of a split."""
    if split is Split.TRAIN:
        say("reading the standard library")
        for path, contents in read_standard_library(Path(sysconfig.get_paths()["stdlib"])):
            yield STANDARD_LIBRARY, path, contents
    for package in packages:
        if package.split is split:
            say(f"reading {package.name}")
            for path, contents in read_archive(archives[package.name]):
                yield package.name, path, contents


def summarise(sources: list[Source], dropped: Counter[Drop]) -> dict[str, object]:
    """Count a split's files and bytes, those of tests, those of each package, and what was dropped and why."""
    by_package: Counter[str] = Counter()
    for source in sources:
        by_package[source.package] += source.size
    return {
        "files": len(sources),
        "bytes": sum(by_package.values()),
        "test_bytes": sum(source.size for source in sources if source.is_test),
        "packages": dict(by_package.most_common()),
        "dropped": {reason.value: count for reason, count in dropped.most_common()},
    }


def build(packages: list[Package], out: Path, seed: int) -> dict[str, object]:
    """Make the corpus in the folder ``out``, and return its summary.

    Raises:
        CorpusError: a package cannot be downloaded or read.
    """
    archives = fetch(packages, out / "downloads")
    summary: dict[str, object] = {"seed": seed, "python": sys.version.split()[0]}
    held_out: list[Source] = []
    for split in (
        Split.HELD_OUT,
        Split.TRAIN,
    ):  # the held-out files first: the others are checked against them
        dropped: Counter[Drop] = Counter()
        # The held-out files stay those that earlier checkpoints were measured on.
        deduplicator = Deduplicator(held_out, minhash=split is Split.TRAIN)
        sources = select(read_split(packages, archives, split), deduplicator, seed, dropped)
        write_sources(out / f"{split.value}.jsonl", sources)
        summary[split.value] = summarise(sources, dropped)
        say(f"{split.value}: {len(sources)} files, {sum(s.size for s in sources) / 1e6:.1f} MB")
        held_out = sources
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        "python -m dgemma_model.train.data.corpus", description="Make the corpus."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpus, e.g. .cache/corpus")
    parser.add_argument("--packages", type=Path, default=PACKAGES_TOML, help="the table of packages")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the order (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        build(parse_packages(options.packages.read_text(encoding="utf-8")), options.out, options.seed)
    except (CorpusError, OSError) as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
