"""The training corpus: permissively licensed Python source, from pinned packages.

    python -m dgemma_model.train.data.corpus --out .cache/corpus

``packages.toml`` names every package, its version, licence, archive hash and split. The archives are
downloaded (once), checked, and never unpacked to disk or executed. What remains after the filters goes to
``train.jsonl`` and ``held_out.jsonl``, one ``{"package", "path", "text"}`` a line; counts go to
``summary.json``. The standard library of the running Python belongs to the train split.

A held-out package is held out whole. Vendored copies are dropped everywhere, and so is a train file that has ten
lines of code in a row in common with held-out code, or is nearly the same as a held-out file, so that an evaluation
never asks for text seen in training. Code of benchmarks is dropped: HumanEval, MBPP and what is made from them.

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
    Source,
    cap_packages,
    cap_tests,
    decode,
    is_vendored,
    reason_to_drop,
)
from dgemma_model.train.data.packages import PACKAGES_TOML, CorpusError, Package, Split, parse_packages
from dgemma_model.train.progress import say

STANDARD_LIBRARY = "python-standard-library"


def select(
    files: Iterable[tuple[str, str, bytes]], deduplicator: Deduplicator, seed: int, dropped: Counter[Drop]
) -> list[Source]:
    """The fit files of (package, path, contents), deduplicated, capped and shuffled by the seed.

    ``dropped`` counts what was left out, by reason; vendored files are passed over uncounted.
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
    """The (package, path, contents) of every Python file of a split."""
    if split is Split.TRAIN:
        say("reading the standard library")
        for path, contents in read_standard_library(Path(sysconfig.get_paths()["stdlib"])):
            yield STANDARD_LIBRARY, path, contents
    for package in packages:
        if package.split is split:
            say(f"reading {package.name}")
            for path, contents in read_archive(archives[package.name]):
                yield package.name, path, contents


def write_jsonl(path: Path, sources: Iterable[Source]) -> None:
    """Write beside the target and rename: a reader sees the whole file or none."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        for source in sources:
            row = {"package": source.package, "path": source.path, "text": source.text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    part.replace(path)


def summarise(sources: list[Source], dropped: Counter[Drop]) -> dict[str, object]:
    """Counts of one split: files, bytes, those of tests, bytes by package, and what was dropped and why."""
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
    """Make the corpus in the folder ``out`` and return its summary; raises CorpusError."""
    archives = fetch(packages, out / "downloads")
    summary: dict[str, object] = {"seed": seed, "python": sys.version.split()[0]}
    held_out: list[Source] = []
    for split in (Split.HELD_OUT, Split.TRAIN):  # held-out first: train is checked against it
        dropped: Counter[Drop] = Counter()
        # The held-out files stay those that earlier checkpoints were measured on.
        deduplicator = Deduplicator(held_out, minhash=split is Split.TRAIN)
        sources = select(read_split(packages, archives, split), deduplicator, seed, dropped)
        write_jsonl(out / f"{split.value}.jsonl", sources)
        summary[split.value] = summarise(sources, dropped)
        say(f"{split.value}: {len(sources)} files, {sum(s.size for s in sources) / 1e6:.1f} MB")
        held_out = sources
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        "python -m dgemma_model.train.data.corpus", description="Make the corpus."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpus, e.g. .cache/corpus")
    parser.add_argument("--packages", type=Path, default=PACKAGES_TOML, help="the table of packages")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffle (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        build(parse_packages(options.packages.read_text(encoding="utf-8")), options.out, options.seed)
    except (CorpusError, OSError) as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
