"""``dgemma-lsp stats``: how much was suggested on this machine, and how much of it was kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from dgemma_lsp.lsp.counters import COUNTERS, Counts, counted_by_day, total

DAYS = 7
"""How many of the last days are listed one by one."""


def report(folder: Path, as_json: bool) -> str:
    """Add up the counters of all servers.

    Args:
        folder: the folder that holds them.
        as_json: whether to write {"days": {day: counts}, "total": counts} instead of a table.
    """
    days = counted_by_day(folder)
    if as_json:
        return json.dumps(
            {"days": {day: asdict(days[day]) for day in sorted(days)}, "total": asdict(total(days.values()))}
        )
    if not days:
        return "Nothing has been counted yet; completions are counted while the setting counters is on."
    return "\n".join(
        [*_table(days), "", f"Counted on this machine, in {folder / COUNTERS}; never sent anywhere."]
    )


def _table(days: Mapping[str, Counts]) -> list[str]:
    recent = [(day, days[day]) for day in sorted(days)[-DAYS:]]
    header = f"{'':10}  {'shown':>8}  {'accepted':>8}  {'characters':>10}  {'kept':>8}  {'share':>6}"
    return [header, *(_row(name, counts) for name, counts in [*recent, ("total", total(days.values()))])]


def _row(name: str, counts: Counts) -> str:
    share = f"{counts.accepted / counts.shown:.0%}" if counts.shown else "–"
    return (
        f"{name:10}  {counts.shown:>8}  {counts.accepted:>8}  {counts.accepted_characters:>10}  "
        f"{counts.kept_characters:>8}  {share:>6}"
    )
