"""The difference of two files as a unified diff, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal

from dgemma_model.protocol import unchanged_ends

_CONTEXT = 3

Opcode = tuple[Literal["replace", "delete", "insert", "equal"], int, int, int, int]
"""What happens to the lines a to b of the old file, which become the lines c to d of the new one."""


def unified_diff(before: bytes, after: bytes, path: str) -> bytes:
    """Return the change as ``git apply`` and ``patch`` accept it; empty if there is none.

    Lines end at LF only, as those programs see them. A CR is part of its line, and a file with bare CRs is one line.

    Args:
        before: the old file.
        after: the new file.
        path: where the file is, relative to where the diff will be applied.
    """
    if before == after:
        return b""
    old, new = _lines(before), _lines(after)
    groups = _Pairing(old, new).get_grouped_opcodes(_CONTEXT)
    hunks = [part for group in groups for part in _hunk(group, old, new)]
    return b"".join([b"--- %s\n" % _header(f"a/{path}"), b"+++ %s\n" % _header(f"b/{path}"), *hunks])


def _lines(raw: bytes) -> list[bytes]:
    # bytes.splitlines also ends lines at CR.
    return re.findall(rb"[^\n]*\n|[^\n]+", raw)


class _Pairing(SequenceMatcher[bytes]):
    """Pairs the lines between the first change and the last one; all lines outside are equal.

    If `SequenceMatcher` saw a whole large file with many equal lines, it would take minutes. It could also pair the
    lines around the change so that more of them seem to change.
    """

    def __init__(self, old: Sequence[bytes], new: Sequence[bytes]) -> None:
        self._head, self._tail = unchanged_ends(old, new)
        self._lengths = len(old), len(new)
        old_end, new_end = len(old) - self._tail, len(new) - self._tail
        super().__init__(None, old[self._head : old_end], new[self._head : new_end])

    def get_opcodes(self) -> list[Opcode]:
        """Return the opcodes; the first and the last are "equal", but may be empty."""
        by, (old, new) = self._head, self._lengths
        between = [(tag, a + by, b + by, c + by, d + by) for tag, a, b, c, d in super().get_opcodes()]
        end: Opcode = "equal", old - self._tail, old, new - self._tail, new
        return [("equal", 0, by, 0, by), *between, end]


def _hunk(
    group: Sequence[tuple[str, int, int, int, int]], old: Sequence[bytes], new: Sequence[bytes]
) -> Iterator[bytes]:
    first, last = group[0], group[-1]
    yield b"@@ -%s +%s @@\n" % (_extent(first[1], last[2]), _extent(first[3], last[4]))
    for tag, a, b, c, d in group:
        if tag == "equal":
            yield from _marked(b" ", old[a:b])
        else:
            yield from _marked(b"-", old[a:b])
            yield from _marked(b"+", new[c:d])


def _extent(start: int, end: int) -> bytes:
    # An empty extent is named by the line before it.
    return b"%d,%d" % (start + 1 if end > start else start, end - start)


def _marked(mark: bytes, lines: Sequence[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line
        if not line.endswith(b"\n"):
            yield b"\n\\ No newline at end of file\n"


def _header(name: str) -> bytes:
    if re.search(r'[\x00-\x1f\x7f"\\]', name):
        quoted = re.sub(r'["\\]', r"\\\g<0>", name)
        name = '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\{ord(match[0]):03o}", quoted) + '"'
    # A tab ends a name with blanks; otherwise patch would cut it at the first one.
    return name.encode("utf-8", "surrogateescape") + (b"\t" if " " in name else b"")
