"""How much was suggested and what has become of it, counted on the user's disk and never sent anywhere."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

COUNTERS = "counters.jsonl"


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was suggested and what has become of it.

    Attributes:
        shown: completions that were sent to be shown, each counted once however long the user types along with it.
        shown_characters: their characters.
        accepted: completions that the user has accepted.
        accepted_characters: their characters.
        kept_characters: those of the accepted characters that were still there half a minute later, or when their
            document was closed.
    """

    shown: int = 0
    shown_characters: int = 0
    accepted: int = 0
    accepted_characters: int = 0
    kept_characters: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


class Counters:
    """Counts in memory, which are appended to a file now and then: a line with what has come since the last one.

    Args:
        folder: where the file is; made when there is something to write.

    Attributes:
        counts: what has been counted since the last time it was saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.counts = Counts()

    def add(self, counts: Counts) -> None:
        self.counts += counts

    def save(self) -> None:
        """Append what has been counted since the last time. What cannot be written is kept and counted on."""
        counted = {name: number for name, number in asdict(self.counts).items() if number}
        if not counted:
            return
        line = json.dumps({"day": time.strftime("%Y-%m-%d"), **counted}) + "\n"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # A single write at the end of a file does not mix with those of other servers.
            with (self._folder / COUNTERS).open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError:
            return
        self.counts = Counts()


def counted_by_day(folder: Path) -> dict[str, Counts]:
    """Return what all servers have counted, by day. Lines that make no sense are skipped."""
    days: dict[str, Counts] = {}
    for entry in _entries(folder / COUNTERS):
        day, numbers = entry.get("day"), [entry.get(field.name, 0) for field in fields(Counts)]
        if isinstance(day, str) and all(isinstance(number, int) for number in numbers):
            days[day] = days.get(day, Counts()) + Counts(*numbers)
    return days


def total(counts: Iterable[Counts]) -> Counts:
    """Return the sum of some counts."""
    return sum(counts, Counts())


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
