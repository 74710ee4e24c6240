"""Make the README's picture of Neovim: holes that the bundled model has filled, before they are accepted.

Run it from the repository's root: ``.venv/bin/python -m docs.neovim_pictures``. The editor is a real one.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.e2e.neovim import install
from tests.e2e.neovim.user import Home

DEMO = Path("fixtures/demo_inventory.py")
PICTURE = Path("docs/neovim-holes.svg")


def main() -> None:
    """Fill the holes of the demo and keep what the screen shows."""
    with tempfile.TemporaryDirectory() as folder:
        home, file = Home(Path(folder) / "home"), Path(folder) / "inventory.py"
        home.install()
        file.write_text(DEMO.read_text("utf-8").replace("...", "⟨fill⟩"), "utf-8")
        command = [str(Path(sys.executable).with_name("dgemma-lsp")), "--stdio"]
        choices = {"cmd": command, "ghost_text": "auto", "init_options": {}}
        editor = home.open(install.neovim_0_12(), install.msgpack(), file, choices)
        try:
            editor.wait_for_lua("require('dgemma').status() == 'dgemma'")
            editor.command("set scrolloff=5 | Dgemma holes")
            editor.wait_for_screen(" changes;")
            editor.keep(Path(folder) / "inventory.py in Neovim")
            shutil.copy(Path(folder) / "inventory.py in Neovim.svg", PICTURE)
        finally:
            editor.close()


if __name__ == "__main__":
    main()
