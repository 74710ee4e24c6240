"""Measured numbers, and their forms as a table and as a record. Pure functions, except for `this_machine`."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
"""The features of a CPU that decide how fast it multiplies matrices."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the table.

    Attributes:
        name: what was measured.
        value: the number, in `unit`.
        unit: such as "s", "ms" or "MiB"; "×" means times as fast, and "times" means times as long.
        target: the value must be at most this, or at least this for "×"; None where nothing was promised.
    """

    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.unit == "×" else self.value <= self.target


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that the numbers were measured on, without anything that names its owner.

    Attributes:
        cpu: the processor's model.
        cores: how many there are.
        flags: those of `FLAGS` that the processor has.
        python: the version.
        torch: the version.
        threads: how many torch computes with.
        load: the mean number of processes that wanted to run in the minute before the first measurement.
    """

    cpu: str
    cores: int
    flags: tuple[str, ...]
    python: str
    torch: str
    threads: int
    load: float

    @property
    def is_busy(self) -> bool:
        return self.load > BUSY_LOAD


BUSY_LOAD = 0.3


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of ``values`` that at least ``share`` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(
    name: str, values: Sequence[float], unit: str, target: float | None = None, tail: float | None = None
) -> list[Figure]:
    """Return the median, whose target is ``target``, and the 95th percentile, whose target is ``tail``."""
    return [
        Figure(f"{name}, p50", median(values), unit, target),
        Figure(f"{name}, p95", percentile(values, 0.95), unit, tail),
    ]


def table(figures: Sequence[Figure]) -> str:
    """Write the numbers as a Markdown table."""
    rows = [
        f"| {figure.name} | {_shown(figure.value, figure.unit)} | {_target(figure)} |" for figure in figures
    ]
    return "\n".join(["| what | measured | target |", "| --- | ---: | ---: |", *rows])


def record(machine: Machine, figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the numbers, and what they were measured on, ready for JSON."""
    return {
        "machine": asdict(machine),
        "figures": [
            {**asdict(figure), "value": round(figure.value, 4), "met": figure.met} for figure in figures
        ],
    }


def this_machine() -> Machine:
    """Describe this machine; the load is 0 where it is not known, which is on systems that are not POSIX."""
    import torch

    facts = _cpu_facts()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return Machine(
        cpu=facts.get("model name") or platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        flags=known_flags(facts.get("flags", "")),
        python=platform.python_version(),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        load=round(load, 2),
    )


def known_flags(text: str) -> tuple[str, ...]:
    """Return those of `FLAGS` that occur in a list separated by blanks."""
    present = set(text.split())
    return tuple(flag for flag in FLAGS if flag in present)


def described(machine: Machine) -> str:
    """Describe a machine in one line."""
    flags = ", ".join(machine.flags) or "no vector extensions known"
    return (
        f"{machine.cpu}, {machine.cores} cores ({flags}), Python {machine.python}, torch {machine.torch} "
        f"with {machine.threads} threads, load {machine.load:.2f} before the start"
    )


def _cpu_facts() -> dict[str, str]:
    """Read what Linux says about the first processor; nothing on other systems."""
    source = Path("/proc/cpuinfo")
    if not source.exists():
        return {}
    first = source.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _shown(value: float, unit: str) -> str:
    whole = ("tokens", "tokens/s", "requests", "ms", "MiB", "threads")
    digits = 0 if unit in whole else 1 if unit == "×" else 2
    return f"{value:.{digits}f} {unit}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "≥" if figure.unit == "×" else "≤"
    missed = "" if figure.met else " (missed)"
    return f"{sign} {figure.target:g} {figure.unit}{missed}"
