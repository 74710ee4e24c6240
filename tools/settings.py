"""Writes the server's settings into the docs and both plugins: ``make settings``. A test fails when one is outdated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dgemma_lsp.settings.schema import as_json, settings_table
from tools import neovim_settings, vscode_settings

ROOT = Path(__file__).parent.parent

Writer = Callable[[str], str]
"""Turns the text of a file into what it should be."""


def schema(_: str) -> str:
    return as_json() + "\n"


def page(text: str) -> str:
    """Return the page with a new table; the table is the last thing on the page."""
    heading = settings_table().partition("\n")[0]
    return text.partition(heading)[0] + settings_table() + "\n"


WRITERS: Mapping[str, Writer] = {
    "docs/settings.schema.json": schema,
    "docs/settings.md": page,
    "editors/neovim/doc/dgemma.txt": neovim_settings.with_settings,
    "editors/neovim/lua/dgemma/settings.lua": neovim_settings.types,
    "editors/vscode/package.json": vscode_settings.with_settings,
}


def main() -> None:
    """Write the files that have changed."""
    for name, write in WRITERS.items():
        path = ROOT / name
        text = path.read_text("utf-8") if path.exists() else ""
        if write(text) != text:
            path.write_text(write(text), "utf-8")
            print(f"{name} is rewritten")


if __name__ == "__main__":
    main()
