"""The archives of packages: downloaded once, checked by their hashes, and read without being unpacked to disk."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from dgemma_model.train.data.packages import CorpusError, Package
from dgemma_model.train.data.sources import is_test_path
from dgemma_model.train.progress import say

# The same archive on every machine: we want the sources inside, not the binaries.
TARGET = ["--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=abi3", "--abi=none"] + [
    f"--platform=manylinux{tag}_x86_64" for tag in ("1", "2014", "_2_5", "_2_17", "_2_24", "_2_27", "_2_28")
]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's contents, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archives_by_hash(folder: Path) -> dict[str, Path]:
    """Find every file of a folder by the SHA-256 of its contents."""
    return {file_sha256(path): path for path in sorted(folder.iterdir()) if path.is_file()}


def download(package: Package, folder: Path) -> Path:
    """Fetch a package's archive with pip, and return its path.

    Raises:
        CorpusError: pip fails, or the archive's hash differs from the table's.
    """
    requirement = f"{package.name}=={package.version}"
    options = ["--quiet", "--no-deps", "--only-binary=:all:", *TARGET, "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise CorpusError(f"could not download {requirement}: {reason}")
    archive = archives_by_hash(folder).get(package.sha256)
    if archive is None:
        raise CorpusError(f"{requirement}: the downloaded archive does not have the hash in the table")
    return archive


def fetch(packages: Iterable[Package], folder: Path) -> dict[str, Path]:
    """Return the archive of each package by name; what the folder already holds is not fetched again.

    Raises:
        CorpusError: an archive cannot be downloaded, or is not the one in the table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    present = archives_by_hash(folder)
    archives = {}
    for package in packages:
        if package.sha256 not in present:
            say(f"downloading {package.name} {package.version}")
            present[package.sha256] = download(package, folder)
        archives[package.name] = present[package.sha256]
    return archives


def read_archive(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and contents of each .py file in a wheel or source archive, sorted by path.

    Raises:
        CorpusError: the archive cannot be read.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                for name in sorted(n for n in wheel.namelist() if n.endswith(".py")):
                    yield name, wheel.read(name)
        else:
            with tarfile.open(archive) as sdist:
                members = [m for m in sdist.getmembers() if m.isfile() and m.name.endswith(".py")]
                for member in sorted(members, key=lambda m: m.name):
                    file = sdist.extractfile(member)
                    assert file is not None  # isfile() above
                    yield member.name, file.read()
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise CorpusError(f"cannot read {archive.name}: {error}") from error


def read_standard_library(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and contents of the standard library's files, without its tests and without installed packages."""
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        if "site-packages" not in relative.parts and not is_test_path(relative.as_posix()):
            yield relative.as_posix(), path.read_bytes()
