"""The folder on the user's disk that holds the log and the counters. Nothing in it is ever sent anywhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_folder(variables: Mapping[str, str], home: Path, windows: bool = os.name == "nt") -> Path:
    """Return the folder that the system has for such files.

    Args:
        variables: the environment.
        home: the user's home folder.
        windows: whether the system is Windows.
    """
    if windows:
        base = variables.get("LOCALAPPDATA") or str(home / "AppData" / "Local")
    else:
        base = variables.get("XDG_STATE_HOME") or str(home / ".local" / "state")
    return Path(base) / "dgemma-lsp"
