"""The home folder of a user of Neovim who has installed the plugin as its README says."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tools.drivers.neovim.editor import Editor
from tools.drivers.neovim.install import ROOT, Neovim

PLUGIN = ROOT / "editors" / "neovim"
INIT = Path(__file__).with_name("init.lua")

KINDS = ("CONFIG", "DATA", "STATE", "CACHE")


@dataclass(frozen=True)
class Home:
    """A folder where Neovim finds its configuration and the plugin, and where it writes everything."""

    folder: Path

    def install(self) -> None:
        """Put the configuration and the plugin where Neovim looks for them (``:help packages``)."""
        init = self.folder / "config/nvim/init.lua"
        init.parent.mkdir(parents=True)
        shutil.copy(INIT, init)
        package = self.folder / "data/nvim/site/pack/dgemma/start/dgemma"
        shutil.copytree(PLUGIN, package)

    def open(self, neovim: Neovim, msgpack: ModuleType, file: Path, choices: dict[str, Any]) -> Editor:
        """Open a file.

        Args:
            neovim: the Neovim to start.
            msgpack: the package of that name.
            file: the file.
            choices: settings for ``init.lua``; ``path``, if given, becomes the PATH of the process.
        """
        command = [*neovim.command, "--embed", *neovim.options, str(file)]
        return Editor(command, msgpack, {**neovim.environment, **self._environment(choices)})

    def _environment(self, choices: dict[str, Any]) -> dict[str, str]:
        runtime = self.folder / "runtime"
        runtime.mkdir(mode=0o700, exist_ok=True)
        homes = {f"XDG_{kind}_HOME": str(self.folder / kind.lower()) for kind in KINDS}
        return {
            **homes,
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(runtime),
            "NVIM_APPNAME": "nvim",
            "PATH": choices.get("path", os.environ["PATH"]),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "NVIM_TEST_CHOICES": json.dumps(choices),
            "PYTHONPATH": str(ROOT),
        }
