"""What the server leaves on the user's disk: a log that goes round, and counters. Neither is ever sent anywhere.

The log has our own sentences only. Source code comes into it where the setting ``logSource`` asks for it, and errors
that others have worded, since they may quote source code, no less. Several servers may write at the same time.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

LOG = "dgemma-lsp.log"
COUNTERS = "counters.jsonl"

LOG_BYTES = 1_000_000
"""After so much a new log is begun."""

LOGS = 3
"""Older ones that are kept."""


def state_folder(variables: Mapping[str, str], home: Path, windows: bool = os.name == "nt") -> Path:
    """Where log and counters are."""
    if windows:
        base = variables.get("LOCALAPPDATA") or str(home / "AppData" / "Local")
    else:
        base = variables.get("XDG_STATE_HOME") or str(home / ".local" / "state")
    return Path(base) / "dgemma-lsp"


class LogFile:
    """The log on disk. What cannot be written is lost in silence: there is nowhere to complain.

    Args:
        folder: is made when something is to be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handler: _Rotating | None = None

    def write(self, level: str, message: str) -> None:
        """Append a message; line breaks in it are shown as ⏎."""
        try:
            if self._handler is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._handler = _Rotating(self._folder / LOG)
        except OSError:
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        line = f"{stamp} {os.getpid()} {level} {message}".replace("\n", "⏎").replace("\r", "")
        self._handler.emit(logging.LogRecord("dgemma", logging.INFO, "", 0, line, (), None))

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()


class _Rotating(RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=LOGS, encoding="utf-8", delay=True)

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk must not write to stderr at each keystroke."""


@dataclass(slots=True)
class Counts:
    """How much was suggested and what became of it.

    Attributes:
        shown: completions that were sent to be shown, each once however long it was typed along.
        shown_characters: of them.
        accepted: completions that were taken over.
        accepted_characters: of them.
        kept_characters: of the accepted ones that stood there still half a minute later, or when their document closed.
    """

    shown: int = 0
    shown_characters: int = 0
    accepted: int = 0
    accepted_characters: int = 0
    kept_characters: int = 0

    def add(self, other: Counts) -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


class Counters:
    """Counts in memory, appended to a file now and then: a line with what has come since the last one.

    Args:
        folder: is made when something is to be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.counts = Counts()

    def save(self) -> None:
        """Append what has been counted since the last time; what cannot be written is counted on."""
        counted = {name: number for name, number in asdict(self.counts).items() if number}
        if not counted:
            return
        line = json.dumps({"day": time.strftime("%Y-%m-%d"), **counted}) + "\n"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # One write at the end of a file does not mix with those of other servers.
            with (self._folder / COUNTERS).open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError:
            return
        self.counts = Counts()


def counted(folder: Path) -> dict[str, Counts]:
    """What all servers have counted, by day; lines that make no sense are passed over."""
    days: dict[str, Counts] = {}
    for entry in _entries(folder / COUNTERS):
        day, numbers = entry.get("day"), [entry.get(one.name, 0) for one in fields(Counts)]
        if isinstance(day, str) and all(isinstance(one, int) for one in numbers):
            days.setdefault(day, Counts()).add(Counts(*numbers))
    return days


def total(days: Iterable[Counts]) -> Counts:
    """The sum of some counts."""
    whole = Counts()
    for counts in days:
        whole.add(counts)
    return whole


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
