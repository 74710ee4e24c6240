"""Finds what ``make vscode`` installs, and packages the extension."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / ".cache" / "vscode"
"""The folder that ``make vscode`` fills."""

NODE = TOOLS / "bin" / "node"
CODE_SERVER = TOOLS / "code-server" / "node_modules" / "code-server" / "out" / "node" / "entry.js"
EXTENSION = ROOT / "editors" / "vscode"


def what_is_missing() -> str | None:
    """The sentence that says why VS Code cannot be started here; None when it can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed; make vscode installs it"
    for what, path in {"Node": NODE, "code-server": CODE_SERVER}.items():
        if not path.exists():
            return f"{what} is not installed; make vscode installs it"
    if shutil.which("chromium") is None:
        return "Chromium is not installed; make vscode installs it on Debian"
    return None


def build_package(folder: Path) -> Path:
    """Package the extension as it is published, and return the package's path."""
    run([NODE, "tools/package.mjs", folder], cwd=EXTENSION)
    (package,) = folder.glob("*.vsix")
    return package


def run(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Run a command that must succeed, and return what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
