"""One Python file of the corpus, and the files of JSON lines in which many of them are stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

TEST_FOLDERS = frozenset({"test", "tests", "idle_test"})


@dataclass(frozen=True)
class Source:
    """One Python file; ``text`` has LF line ends only."""

    package: str
    path: str
    text: str

    @property
    def size(self) -> int:
        """The file's length in bytes of UTF-8."""
        return len(self.text.encode())

    @property
    def is_test(self) -> bool:
        """Whether the file is a test, judging by its path."""
        return is_test_path(self.path)


def is_test_path(path: str) -> bool:
    """Tell by its name and its folders whether a file is a test or belongs to one."""
    parts = PurePosixPath(path).parts
    name = parts[-1]
    named = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
    return named or any(part in TEST_FOLDERS for part in parts[:-1])


def read_sources(corpus: Path) -> Iterator[Source]:
    """Read a corpus file, one source a line."""
    with corpus.open(encoding="utf-8") as lines:
        for line in lines:
            yield Source(**json.loads(line))


def write_sources(corpus: Path, sources: Iterable[Source]) -> None:
    """Write a corpus file under another name and rename it, so that nobody reads half of it."""
    part = corpus.with_name(corpus.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        for source in sources:
            file.write(json.dumps(asdict(source), ensure_ascii=False) + "\n")
    part.replace(corpus)
