"""The plugin's Lua by its own tools: luacheck and StyLua."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tools.drivers.neovim import install
from tools.drivers.neovim.user import INIT, PLUGIN

FILES = [str(path) for path in sorted([*PLUGIN.rglob("*.lua"), INIT])]


@pytest.mark.parametrize(
    ("find", "arguments"),
    [(install.luacheck, ["--no-color", "--config", str(PLUGIN / ".luacheckrc")]), (install.stylua, [])],
    ids=["luacheck", "stylua"],
)
def test_has_nothing_to_say(find: Callable[[], tuple[str, ...]], arguments: list[str]) -> None:
    try:
        command = find()
    except install.Unavailable as reason:
        pytest.skip(f"not checked: {reason}")
    done = subprocess.run([*command, *arguments, *FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
