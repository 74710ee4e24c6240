"""Texts with marks in them: a cursor is ˇ, regions are in «»."""

from __future__ import annotations

from collections.abc import Iterable

from dgemma_lsp.text.masked import Region


def parts(marked: str) -> tuple[str, int]:
    return marked.replace("ˇ", ""), marked.index("ˇ")


def with_regions(text: str, regions: Iterable[Region]) -> str:
    for region in sorted(regions, reverse=True):
        text = f"{text[: region.start]}«{text[region.start : region.end]}»{text[region.end :]}"
    return text


def without_marks(marked: str) -> str:
    return marked.replace("«", "").replace("»", "")


def marking(text: str, region: Region | None) -> str:
    assert region is not None
    return text[: region.start] + "«" + text[region.start : region.end] + "»" + text[region.end :]
