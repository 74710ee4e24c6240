"""Matches files with the globs of a ``.gitignore``. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from pathspec import GitIgnoreSpec, Pattern, RegexPattern


def compiled(globs: Iterable[str]) -> GitIgnoreSpec:
    """Return globs ready to be matched. Invalid ones are left out, as git does."""
    # In git a/**/ means the folders in a, in pathspec a itself.
    globs = [f"{glob.rstrip()}*/" if glob.rstrip().endswith("/**/") else glob for glob in globs]
    try:
        return GitIgnoreSpec.from_lines(globs)
    except ValueError:
        return GitIgnoreSpec.from_lines(filter(is_valid, globs))


def is_valid(glob: str) -> bool:
    """Return whether anything can be matched with a glob."""
    try:
        GitIgnoreSpec.from_lines([glob])
    except ValueError:
        return False
    return True


def matches(globs: GitIgnoreSpec, path: str) -> bool:
    """Return whether globs match a file. Case is ignored: KEY.PEM is as secret as key.pem.

    Args:
        globs: from `compiled`.
        path: relative, with slashes.
    """
    return any(globs.match_file(spelling) for spelling in (path, path.lower()))


def is_ignored(
    globs: Sequence[tuple[PurePath, GitIgnoreSpec | None]], target: PurePath, is_folder: bool = False
) -> bool:
    """Return what the ignore files above a target say about it.

    The nearest file that says something counts, and in it the last line that does.

    Args:
        globs: folders with the globs of their ignore files, outermost first.
        target: a file or folder; relative to the same root as the folders.
        is_folder: whether the target is a folder.
    """
    for folder, spec in reversed(globs):
        if spec is not None and folder in target.parents:
            path = target.relative_to(folder).as_posix()
            for pattern in reversed(spec.patterns):
                if pattern.include is not None and _matches_itself(pattern, path, is_folder):
                    return pattern.include
    return False


def _matches_itself(pattern: Pattern, path: str, is_folder: bool) -> bool:
    """Return whether a pattern matches a target, and not only a folder around it; pathspec accepts both."""
    assert isinstance(pattern, RegexPattern)
    assert pattern.regex is not None, "a comment matches nothing, and was left out"
    if str(pattern.pattern).rstrip().endswith("/"):
        if not is_folder:
            return False
        path += "/"
    # Only patterns that may match up to the slash behind a folder have a group.
    return any(
        match.end() == len(path) or not pattern.regex.groupindex for match in pattern.regex.finditer(path)
    )
