"""From fills to a new text and to a diff, and the proof that nothing else changed. Knows no LSP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from dgemma_lsp.text.masked import MaskedDocument, Region

_LINE_END = re.compile(r"\r\n|\r|\n")
_CONTEXT = 3

Opcode = tuple[str, int, int, int, int]


class GuaranteeBroken(Exception):
    """An edit would change text outside the regions: a bug of ours, which no caller may paper over."""


def apply_fills(document: MaskedDocument, fills: Sequence[str]) -> str:
    """The document's text with ``fills`` in its regions.

    Raises:
        GuaranteeBroken: anything outside the regions came out differently.
    """
    after = document.filled(fills)
    check_only_regions_changed(document.text, document.regions, after, fills)
    return after


def check_only_regions_changed(
    before: str, regions: Sequence[Region], after: str, fills: Sequence[str]
) -> None:
    """Walk through ``after`` and compare it, part for part, with what it must be.

    Deliberately its own code and not `MaskedDocument.filled` once more: it is there to catch mistakes in that.

    Raises:
        GuaranteeBroken: ``after`` is not ``before`` with exactly ``fills`` in ``regions``.
    """
    if len(regions) != len(fills):
        raise GuaranteeBroken(f"There are {len(regions)} regions but {len(fills)} fills.")
    copied = position = 0
    for region, fill in zip(regions, fills, strict=True):
        position = _expect(before[copied : region.start], after, position, f"before character {region.start}")
        position = _expect(fill, after, position, f"in the region at character {region.start}")
        copied = region.end
    position = _expect(before[copied:], after, position, "after the last region")
    if position != len(after):
        raise GuaranteeBroken("The edit would append text after the end of the document.")


def _expect(part: str, after: str, position: int, where: str) -> int:
    if not after.startswith(part, position):
        raise GuaranteeBroken(f"The edit would change text {where} that it must not change.")
    return position + len(part)


def in_document_newlines(fill: str, text: str, region: Region) -> str:
    """A fill with LF line endings in those that ``text`` has in the region, else nearest to it; LF if it has none."""
    return fill.replace("\n", _newline_near(text, region))


def _newline_near(text: str, region: Region) -> str:
    if inside := _LINE_END.search(text, region.start, region.end):
        return inside[0]
    # Only the last line before the region is wanted: searching from the front would read the whole file.
    if (at := max(text.rfind("\n", 0, region.start), text.rfind("\r", 0, region.start))) >= 0:
        return "\r\n" if text[at - 1 : at + 1] == "\r\n" else text[at]
    following = _LINE_END.search(text, region.end)
    return following[0] if following else "\n"


def unified_diff(before: bytes, after: bytes, path: str) -> bytes:
    """The change as ``git apply`` and ``patch`` take it, byte for byte; empty when there is none.

    Lines end at LF only, as those programs see them: a CR is part of its line, and a file with bare CRs is one line.
    ``path`` is relative to where the diff will be applied.
    """
    if before == after:
        return b""
    old, new = _lines(before), _lines(after)
    hunks = [part for group in _hunks(old, new) for part in _hunk(group, old, new)]
    return b"".join([b"--- %s\n" % _header(f"a/{path}"), b"+++ %s\n" % _header(f"b/{path}"), *hunks])


def _lines(raw: bytes) -> list[bytes]:
    # Not bytes.splitlines, which also ends lines at CR.
    return re.findall(rb"[^\n]*\n|[^\n]+", raw)


def _hunks(old: list[bytes], new: list[bytes]) -> Iterator[list[Opcode]]:
    """Groups of changes with at most `_CONTEXT` equal lines around and twice as many between them."""
    first, *between, last = _opcodes(old, new)
    group = [_end(first)]
    for opcode in between:
        if opcode[0] == "equal" and opcode[2] - opcode[1] > 2 * _CONTEXT:
            yield [*group, _start(opcode)]
            group = [_end(opcode)]
        else:
            group.append(opcode)
    yield [*group, _start(last)]


def _start(equal: Opcode) -> Opcode:
    tag, a, b, c, d = equal
    return tag, a, min(b, a + _CONTEXT), c, min(d, c + _CONTEXT)


def _end(equal: Opcode) -> Opcode:
    tag, a, b, c, d = equal
    return tag, max(a, b - _CONTEXT), b, max(c, d - _CONTEXT), d


def _opcodes(old: list[bytes], new: list[bytes]) -> list[Opcode]:
    """As `SequenceMatcher` gives them, the first and the last being "equal", though perhaps empty.

    It gets only what lies between the first and the last change: in a large file with many equal lines it would take
    minutes, and it could pair the lines around the change in another way than the one that leaves them alone.
    """
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    matcher = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    between = [(tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in matcher.get_opcodes()]
    start, end = len(old) - tail, len(new) - tail
    return [("equal", 0, head, 0, head), *between, ("equal", start, len(old), end, len(new))]


def _common(old: list[bytes], new: list[bytes]) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _hunk(group: list[Opcode], old: list[bytes], new: list[bytes]) -> Iterator[bytes]:
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


def _marked(mark: bytes, lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line
        if not line.endswith(b"\n"):
            yield b"\n\\ No newline at end of file\n"


def _header(name: str) -> bytes:
    if re.search(r'[\x00-\x1f\x7f"\\]', name):
        quoted = re.sub(r'["\\]', r"\\\g<0>", name)
        name = '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\{ord(match[0]):03o}", quoted) + '"'
    # A tab ends the name where it has blanks: patch would cut it at the first one.
    return name.encode("utf-8", "surrogateescape") + (b"\t" if " " in name else b"")
