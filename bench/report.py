"""What every measurement prints: the machine, then on stderr what is being measured, and at the end a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, Machine, described, record, this_machine


def say(message: str) -> None:
    """Print a line to stderr, where it does not get between the results."""
    print(message, file=sys.stderr, flush=True)


def introduce_machine() -> Machine:
    """Print what the numbers are measured on, and warn when the machine is busy."""
    machine = this_machine()
    print(f"{described(machine)}\n", flush=True)
    if machine.is_busy:
        say(f"The machine is busy (load {machine.load}): only ratios of one run mean anything.")
    return machine


def keep(path: Path, machine: Machine, figures: Sequence[Figure]) -> None:
    """Write the numbers, and what they were measured on, as JSON."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record(machine, figures), indent=2, ensure_ascii=False) + "\n", "utf-8")
