"""Which documents nothing is computed in and nothing is read from: keys, secrets, and what the workspace ignores.

The globs are those of ``.gitignore``. Matching is pure; only `IgnoreFiles` looks at the disk, and never long: at a few
small files, once in a while.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath, PurePosixPath
from stat import S_ISREG
from urllib.parse import unquote, urlsplit

from pathspec import GitIgnoreSpec, Pattern, RegexPattern

IGNORE_FILES = (".gitignore", ".dgemmaignore")
"""Of a folder; what stands in a later one holds where they disagree."""

MOST_FOLDERS = 16
"""From the root of a workspace down to a file, in which ignore files are looked for."""

MOST_BYTES = 64 * 1024
"""Of an ignore file that are read."""

LOOK_SECONDS = 1.0
"""How long it may take until a change of an ignore file is noticed."""


class Exclusion(Enum):
    """Why a document is left alone."""

    SETTING = "the setting exclude names the document"
    IGNORED = "an ignore file of the workspace names the document"


class Exclusions:
    """Tells which documents are left alone.

    Args:
        globs: in the order of a ``.gitignore``.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._globs = compiled(globs)
        self._ignore_files: dict[Path, IgnoreFiles] = {}

    def reason(self, uri: str, path: str | None, roots: Iterable[str]) -> Exclusion | None:
        """Why a document is left alone; None when it need not be.

        Args:
            uri: of the document.
            path: of the file; None for a document that is not a file, of which only the name tells something.
            roots: the folders of the workspace.
        """
        if path is None:
            return Exclusion.SETTING if is_named(self._globs, _name(uri)) else None
        file = Path(os.path.normpath(path))
        inside = [(Path(root), file.relative_to(root)) for root in roots if file.is_relative_to(root)]
        places = [place for _, place in inside] or [file.relative_to(file.anchor)]
        if any(is_named(self._globs, place.as_posix()) for place in places):
            return Exclusion.SETTING
        if any(self._of(root).ignores(place) for root, place in inside):
            return Exclusion.IGNORED
        return None

    def _of(self, root: Path) -> IgnoreFiles:
        return self._ignore_files.setdefault(root, IgnoreFiles(root))


class IgnoreFiles:
    """The ignore files of a workspace, each read again when it has changed.

    Args:
        root: of the workspace.
        clock: in seconds.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._read: dict[PurePath, _Read] = {}
        self._verdicts: dict[PurePath, bool] = {}

    def ignores(self, place: PurePath) -> bool:
        """Whether they name a file, or a folder that it lies in.

        Args:
            place: of the file below the root.
        """
        folders = [*reversed(place.parents)]
        specs = [(folder, self._spec(folder)) for folder in folders[:MOST_FOLDERS]]
        if place not in self._verdicts:
            # A file in an ignored folder is ignored, whatever is said of the file.
            around = any(_ignored(specs, folder, is_folder=True) for folder in folders[1:])
            self._verdicts[place] = around or _ignored(specs, place)
        return self._verdicts[place]

    def _spec(self, folder: PurePath) -> GitIgnoreSpec | None:
        now, read = self._clock(), self._read.get(folder)
        if read is not None and now < read.looked_at + LOOK_SECONDS:
            return read.spec
        stamps = tuple(_stamp(self._root / folder / name) for name in IGNORE_FILES)
        if read is not None and read.stamps == stamps:
            spec = read.spec
        else:
            there = [name for name, stamp in zip(IGNORE_FILES, stamps, strict=True) if stamp]
            lines = [line for name in there for line in _lines(self._root / folder / name)]
            spec = compiled(lines) if lines else None
            self._verdicts.clear()
        self._read[folder] = _Read(now, stamps, spec)
        return spec


_Stamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Read:
    """What stood in the ignore files of a folder.

    Attributes:
        looked_at: when we looked last.
        stamps: of each of `IGNORE_FILES`, by which a change is noticed.
        spec: None when there is nothing in them.
    """

    looked_at: float
    stamps: tuple[_Stamp, ...]
    spec: GitIgnoreSpec | None


def compiled(lines: Iterable[str]) -> GitIgnoreSpec:
    """Globs that can be matched; those that make no sense are left out, as git does."""
    # To git a/**/ means the folders in a, to pathspec a itself.
    lines = [f"{line.rstrip()}*/" if line.rstrip().endswith("/**/") else line for line in lines]
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines(filter(makes_sense, lines))


def makes_sense(glob: str) -> bool:
    """Whether something can be matched with a glob."""
    try:
        GitIgnoreSpec.from_lines([glob])
    except ValueError:
        return False
    return True


def is_named(globs: GitIgnoreSpec, place: str) -> bool:
    """Whether globs name a file; KEY.PEM is as secret as key.pem.

    Args:
        globs: compiled.
        place: with slashes, without one in front.
    """
    return any(globs.match_file(spelling) for spelling in (place, place.lower()))


def _ignored(
    specs: Sequence[tuple[PurePath, GitIgnoreSpec | None]], target: PurePath, is_folder: bool = False
) -> bool:
    """What the ignore files above a target say of it; the nearest one that says something, and its last line, holds."""
    for folder, spec in reversed(specs):
        if spec is not None and folder in target.parents:
            place = target.relative_to(folder).as_posix()
            for pattern in reversed(spec.patterns):
                if pattern.include is not None and _is_named_itself(pattern, place, is_folder):
                    return pattern.include
    return False


def _is_named_itself(pattern: Pattern, place: str, is_folder: bool) -> bool:
    """Whether a pattern names a place and not only a folder around it, of which pathspec makes no difference."""
    assert isinstance(pattern, RegexPattern)
    assert pattern.regex is not None, "a comment names nothing, and was left out"
    if str(pattern.pattern).rstrip().endswith("/"):
        if not is_folder:
            return False
        place += "/"
    found = pattern.regex.finditer(place)
    # The group is there in patterns that may match as far as the slash behind a folder.
    return any(one.end() == len(place) or not pattern.regex.groupindex for one in found)


def _name(uri: str) -> str:
    return PurePosixPath(unquote(urlsplit(uri).path)).name


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    # Opening a pipe could take for ever.
    return (status.st_mtime_ns, status.st_size) if S_ISREG(status.st_mode) else None


def _lines(path: Path) -> Iterator[str]:
    """The lines of an ignore file; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8-sig", "replace")
            # Half a line would be another glob.
            whole = text if not file.read(1) else text.rpartition("\n")[0]
    except OSError:
        return
    yield from whole.splitlines()
