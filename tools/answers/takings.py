"""The recordings by name, and how one is made anew."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tools.answers import acting, command_line, completing, help, settling
from tools.answers.command_line import Scenes
from tools.answers.outside import FIXTURES, ROOT, Outside
from tools.answers.recording import Recording, scene

FOLDER = FIXTURES / "recorded"

RECORDINGS: Mapping[str, Callable[[Outside], Scenes]] = MappingProxyType(
    {
        "code_actions": acting.code_actions,
        "command_line": command_line.fills,
        "completions": completing.completions,
        "greetings": settling.greetings,
        "manual": help.manual,
        "proofreading": acting.proofreading,
        "refusals": command_line.refusals,
        "settings": settling.settings,
        "troubles": settling.troubles,
    }
)


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


def take(name: str) -> Recording:
    """Run the scenarios of a recording.

    Raises:
        ValueError: two of its scenarios have the same name.
    """
    recording: Recording = {}
    with tempfile.TemporaryDirectory() as scratch:
        outside = Outside(Path(scratch))
        folders = {str(outside.here): "/here", str(outside.folder): "/scratch", str(ROOT): "/repository"}
        for title, seen in RECORDINGS[name](outside):
            if title in recording:
                raise ValueError(f"Two scenarios of {name} are called {title!r}.")
            recording[title] = scene(seen, folders)
    return recording
