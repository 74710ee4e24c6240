"""Which documents the server must leave alone: keys, secrets, and what the workspace ignores."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from dgemma_lsp.settings.globs import compiled, matches
from dgemma_lsp.settings.ignore_files import IgnoreFiles


class Exclusion(Enum):
    """Why a document is left alone."""

    SETTING = "the setting exclude covers the document"
    IGNORED = "an ignore file of the workspace covers the document"


class Exclusions:
    """Tells which documents are left alone.

    Args:
        globs: in the order of a ``.gitignore``.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._globs = compiled(globs)
        self._ignore_files: dict[Path, IgnoreFiles] = {}

    def reason(self, uri: str, path: str | None, roots: Iterable[str]) -> Exclusion | None:
        """Return why a document is left alone; None if it is not.

        Args:
            uri: the document.
            path: its file; None for a document that is not a file, of which only the name counts.
            roots: the folders of the workspace.
        """
        if path is None:
            return Exclusion.SETTING if matches(self._globs, _name(uri)) else None
        file = Path(os.path.normpath(path))
        inside = [(Path(root), file.relative_to(root)) for root in roots if file.is_relative_to(root)]
        relative = [path for _, path in inside] or [file.relative_to(file.anchor)]
        if any(matches(self._globs, path.as_posix()) for path in relative):
            return Exclusion.SETTING
        if any(self._files(root).ignores(path) for root, path in inside):
            return Exclusion.IGNORED
        return None

    def _files(self, root: Path) -> IgnoreFiles:
        return self._ignore_files.setdefault(root, IgnoreFiles(root))


def _name(uri: str) -> str:
    return PurePosixPath(unquote(urlsplit(uri).path)).name
