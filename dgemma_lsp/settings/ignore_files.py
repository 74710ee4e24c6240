"""The ignore files of a workspace. They are small, and looked at once in a while, so nobody waits for the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from stat import S_ISREG

from pathspec import GitIgnoreSpec

from dgemma_lsp.settings.globs import compiled, is_ignored

IGNORE_FILES = (".gitignore", ".dgemmaignore")
"""The ignore files of a folder. Where they disagree, the later one counts."""

MOST_FOLDERS = 16
"""In how many folders, from the root of a workspace down to a file, ignore files are looked for."""

MOST_BYTES = 64 * 1024
"""How much of an ignore file is read."""

LOOK_SECONDS = 1.0
"""How long it may take until a change of an ignore file is noticed."""

_Stamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Read:
    """What the ignore files of a folder held.

    Attributes:
        looked_at: when they were looked at last.
        stamps: one for each of `IGNORE_FILES`; a change shows in them.
        globs: None if there is nothing in the files.
    """

    looked_at: float
    stamps: tuple[_Stamp, ...]
    globs: GitIgnoreSpec | None


class IgnoreFiles:
    """The ignore files of a workspace. Each is read again when it has changed.

    Args:
        root: the folder of the workspace.
        clock: the time in seconds.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._read: dict[PurePath, _Read] = {}
        self._verdicts: dict[PurePath, bool] = {}

    def ignores(self, path: PurePath) -> bool:
        """Return whether they match a file, or a folder that it is in.

        Args:
            path: the file, relative to the root.
        """
        folders = [*reversed(path.parents)]
        globs = [(folder, self._globs(folder)) for folder in folders[:MOST_FOLDERS]]
        if path not in self._verdicts:
            # A file in an ignored folder is ignored, whatever is said about the file.
            around = any(is_ignored(globs, folder, is_folder=True) for folder in folders[1:])
            self._verdicts[path] = around or is_ignored(globs, path)
        return self._verdicts[path]

    def _globs(self, folder: PurePath) -> GitIgnoreSpec | None:
        now, read = self._clock(), self._read.get(folder)
        if read is not None and now < read.looked_at + LOOK_SECONDS:
            return read.globs
        stamps = tuple(_stamp(self._root / folder / name) for name in IGNORE_FILES)
        if read is not None and read.stamps == stamps:
            globs = read.globs
        else:
            present = [name for name, stamp in zip(IGNORE_FILES, stamps, strict=True) if stamp]
            lines = [line for name in present for line in _lines(self._root / folder / name)]
            globs = compiled(lines) if lines else None
            self._verdicts.clear()
        self._read[folder] = _Read(now, stamps, globs)
        return globs


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    # To open a pipe could take forever.
    return (status.st_mtime_ns, status.st_size) if S_ISREG(status.st_mode) else None


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of an ignore file; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8-sig", "replace")
            # Half a line would be a different glob.
            whole = text if not file.read(1) else text.rpartition("\n")[0]
    except OSError:
        return
    yield from whole.splitlines()
