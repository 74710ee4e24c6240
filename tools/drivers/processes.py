"""Facts about running processes, read from the files below /proc; Linux only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def children(process: int) -> list[int]:
    """Return the processes that a process has started; none where there is no /proc."""
    tasks = Path(f"/proc/{process}/task")
    if not tasks.exists():
        return []
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def descendants(process: int, words: str) -> list[int]:
    """Return the nearest processes below a process whose command line contains these words."""
    found = []
    for child in children(process):
        found += [child] if words in command_line(child) else descendants(child, words)
    return found


def in_session(leader: int) -> list[int]:
    """Return the processes of the session that a process leads, itself included, but no zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = _fields(stat)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def command_line(process: int) -> str:
    """Return the words of a process's command line, separated by blanks; "" for a process that has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def resident_bytes(process: int) -> int:
    """Return how much memory of a process is in RAM.

    Raises:
        ProcessLookupError: the process has ended.
    """
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise ProcessLookupError(process)


def computing_threads(process: int, share: float = 0.2) -> int:
    """Count the threads of a process that have computed at least this share of what the busiest one has."""
    ticks = list(_ticks(process))
    return sum(each >= share * max(ticks) for each in ticks)


def _ticks(process: int) -> Iterator[int]:
    """Yield the time that each thread has spent in user and in system mode, in clock ticks."""
    for stat in Path(f"/proc/{process}/task").glob("*/stat"):
        fields = _fields(stat)
        yield int(fields[11]) + int(fields[12])


def _fields(stat: Path) -> list[str]:
    """Return the fields after the process's name, which is in brackets and may contain anything."""
    return stat.read_text().rpartition(")")[2].split()
