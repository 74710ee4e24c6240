"""Where a written text is to stop. Pure functions on text; no language is known here."""

from __future__ import annotations

_CLOSERS = ")]}"


def line_end(text: str) -> int | None:
    """The length of a text that ends with its line; None while the line goes on."""
    at = text.find("\n")
    return None if at < 0 else at


def block_end(line: str, text: str, below: str) -> int | None:
    """The length of a text that ends with its block; None while the block goes on.

    A block ends before a line that is indented less than its first one, before an empty line behind which it does not
    go deeper, and before a line that already stands below. A block that begins in mid-line consists of what is indented
    more than that line, and of brackets that are closed.

    Args:
        line: what stands in the line before the text.
        text: what was written so far; its last line may be incomplete.
        below: what stands below the region.
    """
    inner = bool(line.strip())
    lines = text.split("\n")
    margin = _indentation(line if inner else line + lines[0])
    following = next((each for each in below.split("\n") if each.strip()), None)
    at = len(lines[0])
    gap = False
    for index, each in enumerate(lines[1:], 1):
        begun, whole = bool(each.strip()), index < len(lines) - 1
        if begun and _leaves(each, margin, inner, gap):
            return _without_blanks(text, at)
        if whole and begun and each.rstrip() == (following or "").rstrip():
            return _without_blanks(text, at)
        gap = not begun
        at += 1 + len(each)
    return None


def _leaves(line: str, margin: int, inner: bool, gap: bool) -> bool:
    """Whether a line no longer belongs to a block with this margin."""
    depth = _indentation(line)
    if line.lstrip()[0] in _CLOSERS:
        return depth < margin
    return depth < margin or (depth == margin and (inner or gap))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _without_blanks(text: str, end: int) -> int:
    return len(text[:end].rstrip())
