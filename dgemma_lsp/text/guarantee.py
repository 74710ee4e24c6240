"""From fills to a new text, and the proof that nothing outside the regions changed."""

from __future__ import annotations

from collections.abc import Sequence

from dgemma_lsp.text.masked import MaskedDocument, Region


class GuaranteeBroken(Exception):
    """An edit would change text outside the regions: our own mistake, which no caller may hide."""


def apply_fills(document: MaskedDocument, fills: Sequence[str]) -> str:
    """Return the document's text with ``fills`` in its regions.

    Raises:
        GuaranteeBroken: something outside the regions came out differently.
    """
    after = document.filled(fills)
    check_only_regions_changed(document.text, document.regions, after, fills)
    return after


def check_only_regions_changed(
    before: str, regions: Sequence[Region], after: str, fills: Sequence[str]
) -> None:
    """Walk through ``after`` and compare it, part by part, with what it must be.

    This deliberately does not call `MaskedDocument.filled`, because it is there to catch mistakes in it.

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
