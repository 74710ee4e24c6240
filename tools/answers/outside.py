"""A scratch folder and the processes that run in it: all that a scenario may know of the product.

The environment makes answers the same on every machine: one thread, float32 in the code for AVX2, eighty columns, and
no variable of whoever runs it that the product would read.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"

PREFIX = "DGEMMA_"
"""Of the environment variables that the product reads."""

SECONDS = 120
"""After so long a command is given up."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command has left behind."""

    status: int
    stdout: bytes
    stderr: str


class Outside:
    """Runs the product in a folder of its own.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.here = self.folder / "here"
        self.here.mkdir()

    def copy(self, fixture: str) -> str:
        """Put a fixture into the folder where commands run, and return its name there."""
        name = Path(fixture).name
        shutil.copyfile(FIXTURES / fixture, self.here / name)
        return name

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables of every process.

        Args:
            variables: more of them.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        fixed = {
            "DGEMMA_CPU": "AVX2",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "XDG_STATE_HOME": str(self.folder / "state"),
            "COLUMNS": "80",
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        return {**inherited, **fixed, **(variables or {})}

    def run(self, program: str, *arguments: str, stdin: bytes = b"") -> Done:
        """Run one of the product's commands to its end."""
        done = subprocess.run(
            [command(program), *arguments],
            cwd=self.here,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())


def command(program: str) -> str:
    """Where a command of this environment lies."""
    return str(Path(sys.executable).with_name(program))


def why_not_here() -> str:
    """Why answers cannot be repeated on this machine; "" where they can."""
    wanted = "answers are recorded with the code for AVX2"
    if platform.machine() not in ("x86_64", "AMD64"):
        return wanted
    known = Path("/proc/cpuinfo")
    flags = known.read_text("utf-8", "replace") if known.exists() else "avx2"
    return "" if "avx2" in flags else wanted
