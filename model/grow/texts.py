"""The texts whose tokens were counted for code: packages of three registries, listed with licences and hashes.

``texts.toml`` lists them. They are fetched by the registries' own clients (pip, npm, apt-get, which needs ``deb-src``
lines), read out of their archives, and sorted into languages by file names. What is *held out* is never counted.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dgemma_model.errors import ModelError

_LIST = Path(__file__).with_name("texts.toml")

_LANGUAGES: Mapping[str, str] = {
    "Bash": "sh bash",
    "C": "c h",
    "C#": "cs",
    "C++": "cc cpp cxx hpp",
    "CSS": "css scss",
    "Go": "go",
    "HTML": "html htm",
    "Java": "java",
    "JavaScript": "js mjs cjs jsx",
    "JSON": "json",
    "Lua": "lua",
    "Markdown": "md",
    "PHP": "php",
    "Python": "py",
    "Ruby": "rb",
    "Rust": "rs",
    "SQL": "sql",
    "TOML": "toml",
    "TypeScript": "ts tsx",
    "YAML": "yaml yml",
}
_SHELL = re.compile(rb"#!.*\b(ba)?sh\b")
_NOT_WRITTEN = re.compile(r"\.min\.|/vendor/|/node_modules/|/third_party/|/locale/", re.IGNORECASE)
_SIZES = range(200, 200_001)
"""Bytes of a file that is read."""

_LONGEST_LINE = 2000
_MOST = 120_000
"""Characters that are read of a language in a package: many packages tell more than much of one."""

_FOREIGN = 0.02
"""The share of characters outside Latin script beyond which a text is not counted: it is not English."""


class Registry(Enum):
    """Where a package comes from; each has a client of its own."""

    DEBIAN = "debian"
    NPM = "npm"
    PYPI = "pypi"

    def command(self, name: str, version: str, file: str) -> list[str]:
        """What fetches the package's source into the working directory."""
        match self:
            case Registry.DEBIAN:
                return ["apt-get", "source", "--download-only", "-qq", f"{name}={version}"]
            case Registry.NPM:
                return ["npm", "pack", "--silent", f"{name}@{version}"]
            case Registry.PYPI:
                kind = "--only-binary" if file.endswith(".whl") else "--no-binary"
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", kind, ":all:"]
                return [*pip, f"{name}=={version}"]


@dataclass(frozen=True, slots=True)
class Package:
    """An entry of the list; ``file`` is the archive that is read, and the hash is its own."""

    registry: Registry
    name: str
    version: str
    file: str
    sha256: str
    licence: str
    held_out: bool

    def fetch(self, cache: Path) -> Path:
        """The archive in a folder, where it may be already.

        Raises:
            ModelError: it cannot be fetched, or is another one than was listed.
        """
        folder = cache / self.registry.value
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.file
        if not path.is_file():
            command = self.registry.command(self.name, self.version, self.file)
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if not path.is_file():
                reason = (done.stderr.strip().splitlines() or ["the client said nothing"])[-1]
                raise ModelError(f"{self.name} {self.version} cannot be fetched ({reason}).")
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise ModelError(f"{path} is not the archive that was listed; remove it and fetch it anew.")
        return path


def packages() -> list[Package]:
    """The list, in its own order."""
    entries = tomllib.loads(_LIST.read_text("utf-8"))["package"]
    return [Package(**{**entry, "registry": Registry(entry["registry"])}) for entry in entries]


def texts(archive: Path) -> Mapping[str, Sequence[str]]:
    """Some files of a package by language; which, depends on nothing but their names and contents."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, data in _files(archive):
        language = _language(name, data)
        text = _readable(data) if language else None
        if language and text:
            found.setdefault(language, []).append((hashlib.sha256(name.encode()).hexdigest(), text))
    return {
        language: list(_capped(text for _, text in sorted(set(pairs)))) for language, pairs in found.items()
    }


def _files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files that may be worth reading."""
    yield from _zipped(archive) if zipfile.is_zipfile(archive) else _tarred(archive)


def _zipped(archive: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as wheel:
        for member in wheel.infolist():
            if member.file_size in _SIZES and not _NOT_WRITTEN.search(member.filename):
                yield member.filename, wheel.read(member)


def _tarred(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.size in _SIZES and not _NOT_WRITTEN.search(member.name):
                file = tar.extractfile(member)
                if file is not None:
                    yield member.name, file.read()


def _language(name: str, data: bytes) -> str | None:
    base = name.rpartition("/")[2]
    ending = base.rpartition(".")[2].lower()
    if "." not in base:
        return "Bash" if _SHELL.match(data) else None
    return next((language for language, endings in _LANGUAGES.items() if ending in endings.split()), None)


def _readable(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    foreign = sum(character > "\u024f" for character in text)
    english = foreign <= _FOREIGN * len(text)
    return text if english and max(map(len, text.split("\n"))) <= _LONGEST_LINE else None


def _capped(texts: Iterator[str]) -> Iterator[str]:
    size = 0
    for text in texts:
        if size > _MOST:
            return
        size += len(text)
        yield text
