"""The extension's own checks: types, style, and the tests of what needs no VS Code."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from tools.drivers.vscode.installed import EXTENSION, TOOLS, run


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_extensions_own_checks_pass(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    run(["npm", "run", "--silent", script], cwd=EXTENSION)


def test_the_package_holds_what_is_used_and_nothing_else(package: Path) -> None:
    names = {name for name in zipfile.ZipFile(package).namelist() if name.startswith("extension/")}
    assert {
        "extension/dist/extension.js",
        "extension/media/icon.png",
        "extension/media/tour.gif",
        "extension/LICENSE.txt",
    } <= names
    assert not [
        name
        for name in names
        if name.endswith((".ts", ".map", ".mjs", ".json")) and "package.json" not in name
    ]
