"""Neovims of each version, each with the plugin and a server whose worker is a fake one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tools.drivers.client import server_command
from tools.drivers.neovim import install
from tools.drivers.neovim.editor import Editor
from tools.drivers.neovim.user import Home

SCREENS = Path(os.environ.get("SCREENS", install.ROOT / ".cache" / "screens"))


@dataclass(frozen=True)
class Flavour:
    """A Neovim and who draws ghost text in it."""

    name: str
    neovim: install.Neovim
    ghost_text: str


FLAVOURS = {
    "0.11": (install.neovim_0_11, "auto"),
    "0.12": (install.neovim_0_12, "auto"),
    "0.12 with ghost text of ours": (install.neovim_0_12, "own"),
}


@pytest.fixture(scope="session")
def msgpack() -> ModuleType:
    try:
        return install.msgpack()
    except install.Unavailable as reason:
        pytest.skip(f"no Neovim: {reason}")


@pytest.fixture(scope="session", params=["0.11", "0.12"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Both versions; a test for which it matters who draws ghost text asks for all of `FLAVOURS`."""
    find, ghost_text = FLAVOURS[request.param]
    try:
        return Flavour(request.param, find(), ghost_text)
    except install.Unavailable as reason:
        pytest.skip(f"no Neovim {request.param}: {reason}")


OpenEditor = Callable[..., Editor]


@pytest.fixture
def open_editor(flavour: Flavour, msgpack: ModuleType, tmp_path: Path) -> Iterator[OpenEditor]:
    """Open a file with these bytes in an editor, and wait until the server is there.

    ``worker`` are arguments of the fake worker; ``cmd`` is another server. ``choices`` are those of ``init.lua``.
    """
    editors = []
    home = Home(tmp_path / "home")
    home.install()

    def start(
        content: bytes,
        *worker: str,
        cmd: list[str] | None = None,
        attached: bool = True,
        init_options: dict[str, Any] | None = None,
        **choices: Any,
    ) -> Editor:
        file = tmp_path / "edited.py"
        file.write_bytes(content)
        choices = {
            "cmd": cmd or server_command(*worker),
            "ghost_text": flavour.ghost_text,
            "init_options": {"logLevel": "debug", **(init_options or {})},
            **choices,
        }
        editor = home.open(flavour.neovim, msgpack, file, choices)
        editors.append(editor)
        if attached:
            editor.wait_for_server()
        return editor

    yield start
    for editor in editors:
        editor.close()


@pytest.fixture
def keep(flavour: Flavour) -> Callable[[Editor, str], None]:
    """Keep what is on the screen under a name, for people to look at."""
    return lambda editor, name: editor.keep(SCREENS / flavour.name / name)


@pytest.fixture
def bundled() -> list[str]:
    """The command of the server with the bundled model."""
    return [str(Path(sys.executable).with_name("dgemma-lsp")), "--stdio"]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Editor], bytes]:
    """Save the file and read it."""

    def save(editor: Editor) -> bytes:
        editor.command("write")
        return (tmp_path / "edited.py").read_bytes()

    return save
